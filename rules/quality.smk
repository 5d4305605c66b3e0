# Image quality of the samples, and what they are worth to others.


rule score_quality:
    input:
        scans=of_runs("results/embeddings/{dataset}/{detector}/scans.npy", quality_runs),
        detector=of_runs("results/detectors/{dataset}/{detector}/weights.safetensors", quality_runs),
        detector_spec=of_runs("results/detectors/{dataset}/{detector}/spec.yaml", quality_runs),
        images=of_runs("results/data/{dataset}/images.npy", quality_runs),
        samples=of_runs("results/samples/{dataset}/{model}/{variant}/seed{seed}/images.npy", quality_runs),
        reconstructed=of_runs("results/samples/{dataset}/{model}/{variant}/seed{seed}/reconstructed.npy", quality_runs),
        splits=of_runs("results/data/{dataset}/splits.tsv", quality_runs),
        training_rows=of_runs("results/models/{dataset}/{model}/{variant}/seed{seed}/training_rows.tsv", quality_runs),
        spec=of_runs("results/models/{dataset}/{model}/{variant}/seed{seed}/spec.yaml", quality_runs),
        files=quality_files,
        code=code("score_quality", quality_detector),
    output:
        quality="results/quality/{study}.csv",
    log:
        "results/logs/score_quality/{study}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=120,
    params:
        runs=quality_runs,
    script:
        "../workflow/scripts/score_quality.py"


rule score_usefulness:
    input:
        images=of_runs("results/data/{dataset}/images.npy", network_runs),
        samples=of_runs("results/samples/{dataset}/{model}/{variant}/seed{seed}/images.npy", network_runs),
        splits=of_runs("results/data/{dataset}/splits.tsv", network_runs),
        training_rows=of_runs("results/models/{dataset}/{model}/{variant}/seed{seed}/training_rows.tsv", network_runs),
        spec=of_runs("results/models/{dataset}/{model}/{variant}/seed{seed}/spec.yaml", network_runs),
        code=code("score_usefulness"),
    output:
        usefulness="results/usefulness/{study}.csv",
    log:
        "results/logs/score_usefulness/{study}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        runs=network_runs,
        settings=settings_of(spec.usefulness_settings, "study"),
    script:
        "../workflow/scripts/score_usefulness.py"
