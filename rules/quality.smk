# How good the images are, and what that can't see.


rule score_quality:
    input:
        scans=of_runs("results/embeddings/{dataset}/{detector}/scans.npy", quality_runs),
        synthetic=of_runs(
            "results/embeddings/{dataset}/{detector}/{model}/{variant}/seed{seed}/{epoch}/synthetic.npy", quality_runs
        ),
        images=of_runs("results/data/{dataset}/images.npy", quality_runs),
        samples=of_runs("results/samples/{dataset}/{model}/{variant}/seed{seed}/{epoch}/images.npy", quality_runs),
        reconstructed=of_runs(
            "results/samples/{dataset}/{model}/{variant}/seed{seed}/{epoch}/reconstructed.npy", quality_runs
        ),
        splits=of_runs("results/data/{dataset}/splits.tsv", quality_runs),
        training_rows=of_runs("results/models/{dataset}/{model}/{variant}/seed{seed}/training_rows.tsv", quality_runs),
        losses=of_runs("results/models/{dataset}/{model}/{variant}/seed{seed}/losses.csv", quality_runs),
        code=code("quality.py"),
    output:
        quality="results/quality/{study}.csv",
    log:
        "results/logs/score_quality/{study}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        runs=quality_runs,
    script:
        "../workflow/scripts/score_quality.py"


# For networks that denoise: the loss on T beside that on V, the warning that needs no sampling.
rule measure_denoising:
    input:
        weights="results/models/{dataset}/{model}/{variant}/seed{seed}/weights.safetensors",
        snapshots="results/models/{dataset}/{model}/{variant}/seed{seed}/snapshots.safetensors",
        spec="results/models/{dataset}/{model}/{variant}/seed{seed}/spec.yaml",
        training_rows="results/models/{dataset}/{model}/{variant}/seed{seed}/training_rows.tsv",
        autoencoder=autoencoder_weights,
        images="results/data/{dataset}/images.npy",
        splits="results/data/{dataset}/splits.tsv",
        code=model_code,
    output:
        table="results/denoising/{dataset}/{model}/{variant}/seed{seed}/{epoch}.csv",
    log:
        "results/logs/measure_denoising/{dataset}/{model}/{variant}/seed{seed}/{epoch}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=60,
    script:
        "../workflow/scripts/measure_denoising.py"
