# One rule for every kind of generative network, one for every kind of copy detector (which also embeds the real images).


rule train_model:
    input:
        images="results/data/{dataset}/images.npy",
        splits="results/data/{dataset}/splits.tsv",
        autoencoder=autoencoder_weights,
        pretrained=pretrained_weights,
        teacher=teacher_samples,
        files=users_files(spec.model_files, "model", "variant"),
        code=code("train_model", network),
    output:
        weights="results/models/{dataset}/{model}/{variant}/seed{seed}/weights.safetensors",
        snapshots="results/models/{dataset}/{model}/{variant}/seed{seed}/snapshots.safetensors",
        spec="results/models/{dataset}/{model}/{variant}/seed{seed}/spec.yaml",
        losses="results/models/{dataset}/{model}/{variant}/seed{seed}/losses.csv",
        training_rows="results/models/{dataset}/{model}/{variant}/seed{seed}/training_rows.tsv",
    log:
        "results/logs/train_model/{dataset}/{model}/{variant}/seed{seed}.log",
        # Seconds and memory, of the last job where a training was interrupted.
        cost="results/logs/train_model/{dataset}/{model}/{variant}/seed{seed}.tsv",
    wildcard_constraints:
        variant=rf"(?!(?:{REUSING})/)[a-z][a-z0-9_]*",
    # Long jobs first: short ones fill up the end.
    priority: 1
    conda:
        "../envs/train.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=1440,
    params:
        settings=settings_of(spec.training_settings, "model", "variant"),
    script:
        "../workflow/scripts/train_model.py"


# Of variants that differ from base in how a network is used, such as in `sampling`, and not in its training.
rule reuse_model:
    input:
        weights="results/models/{dataset}/{model}/base/seed{seed}/weights.safetensors",
        snapshots="results/models/{dataset}/{model}/base/seed{seed}/snapshots.safetensors",
        spec="results/models/{dataset}/{model}/base/seed{seed}/spec.yaml",
        losses="results/models/{dataset}/{model}/base/seed{seed}/losses.csv",
        training_rows="results/models/{dataset}/{model}/base/seed{seed}/training_rows.tsv",
        code=code("reuse_model"),
    output:
        weights="results/models/{dataset}/{model}/{variant}/seed{seed}/weights.safetensors",
        snapshots="results/models/{dataset}/{model}/{variant}/seed{seed}/snapshots.safetensors",
        spec="results/models/{dataset}/{model}/{variant}/seed{seed}/spec.yaml",
        losses="results/models/{dataset}/{model}/{variant}/seed{seed}/losses.csv",
        training_rows="results/models/{dataset}/{model}/{variant}/seed{seed}/training_rows.tsv",
    log:
        "results/logs/reuse_model/{dataset}/{model}/{variant}/seed{seed}.log",
    wildcard_constraints:
        variant=REUSING,
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../workflow/scripts/reuse_model.py"


rule train_detector:
    input:
        images="results/data/{dataset}/images.npy",
        splits="results/data/{dataset}/splits.tsv",
        files=users_files(spec.detector_files, "detector"),
        code=code("train_detector", detector),
    output:
        weights="results/detectors/{dataset}/{detector}/weights.safetensors",
        spec="results/detectors/{dataset}/{detector}/spec.yaml",
        losses="results/detectors/{dataset}/{detector}/losses.csv",
        scans="results/embeddings/{dataset}/{detector}/scans.npy",
    log:
        "results/logs/train_detector/{dataset}/{detector}.log",
    conda:
        "../envs/train.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=720,
    params:
        settings=settings_of(spec.detector_settings, "detector"),
    script:
        "../workflow/scripts/train_detector.py"
