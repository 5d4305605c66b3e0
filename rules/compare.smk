# Draw synthetic images, embed them, find nearest neighbours, count copies.


rule draw_samples:
    input:
        weights="results/models/{dataset}/{model}/{variant}/seed{seed}/weights.safetensors",
        snapshots="results/models/{dataset}/{model}/{variant}/seed{seed}/snapshots.safetensors",
        spec="results/models/{dataset}/{model}/{variant}/seed{seed}/spec.yaml",
        training_rows="results/models/{dataset}/{model}/{variant}/seed{seed}/training_rows.tsv",
        autoencoder=autoencoder_weights,
        images="results/data/{dataset}/images.npy",
        splits="results/data/{dataset}/splits.tsv",
        code=code("draw_samples", network),
    output:
        images="results/samples/{dataset}/{model}/{variant}/seed{seed}/images.npy",
        reconstructed="results/samples/{dataset}/{model}/{variant}/seed{seed}/reconstructed.npy",
        denoising="results/samples/{dataset}/{model}/{variant}/seed{seed}/denoising.csv",
    log:
        "results/logs/draw_samples/{dataset}/{model}/{variant}/seed{seed}.log",
    conda:
        "../envs/train.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=240,
    params:
        settings=settings_of(spec.sampling_settings, "model", "variant"),
    script:
        "../workflow/scripts/draw_samples.py"


# One job embeds and compares: on a cluster most of a short job is its start.
rule compare_to_training:
    input:
        images="results/data/{dataset}/images.npy",
        scans="results/embeddings/{dataset}/{detector}/scans.npy",
        splits="results/data/{dataset}/splits.tsv",
        training_rows="results/models/{dataset}/{model}/{variant}/seed{seed}/training_rows.tsv",
        samples="results/samples/{dataset}/{model}/{variant}/seed{seed}/images.npy",
        decoded="results/samples/{dataset}/{model}/{variant}/seed{seed}/reconstructed.npy",
        weights="results/detectors/{dataset}/{detector}/weights.safetensors",
        spec="results/detectors/{dataset}/{detector}/spec.yaml",
        files=users_files(spec.detector_files, "detector"),
        code=code("compare_to_training", detector),
    output:
        synthetic="results/embeddings/{dataset}/{detector}/{model}/{variant}/seed{seed}/synthetic.npy",
        reconstructed="results/embeddings/{dataset}/{detector}/{model}/{variant}/seed{seed}/reconstructed.npy",
        nearest="results/similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/nearest.npz",
    log:
        "results/logs/compare_to_training/{dataset}/{detector}/{model}/{variant}/seed{seed}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=120,
    params:
        neighbours=neighbours,
        search=settings_of(spec.search_settings, "detector"),
    script:
        "../workflow/scripts/compare_to_training.py"


# No rule needs this file: ask for it by name.
rule write_matrix:
    input:
        scans="results/embeddings/{dataset}/{detector}/scans.npy",
        synthetic="results/embeddings/{dataset}/{detector}/{model}/{variant}/seed{seed}/synthetic.npy",
        training_rows="results/models/{dataset}/{model}/{variant}/seed{seed}/training_rows.tsv",
        code=code("write_matrix"),
    output:
        matrix="results/similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/matrix.npy",
    log:
        "results/logs/write_matrix/{dataset}/{detector}/{model}/{variant}/seed{seed}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    script:
        "../workflow/scripts/write_matrix.py"


rule score_copies:
    input:
        nearest=of_runs("results/similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/nearest.npz"),
        splits=of_runs("results/data/{dataset}/splits.tsv"),
        training_rows=of_runs("results/models/{dataset}/{model}/{variant}/seed{seed}/training_rows.tsv"),
        spec=of_runs("results/models/{dataset}/{model}/{variant}/seed{seed}/spec.yaml"),
        code=code("score_copies"),
    output:
        scores="results/scores/{study}.csv",
        exposure="results/exposure/{study}.csv",
    log:
        "results/logs/score_copies/{study}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        runs=study_runs,
        intervals=settings_of(spec.interval_settings, "study"),
    script:
        "../workflow/scripts/score_copies.py"
