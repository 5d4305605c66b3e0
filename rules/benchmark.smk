# Planted copies, and how well each detector finds them.


rule plant_copies:
    input:
        images="results/data/{dataset}/images.npy",
        splits="results/data/{dataset}/splits.tsv",
        weights=round_trip_weights,
        code=code("plant_copies", round_trip_network),
    output:
        planted="results/planted/{dataset}/images.npy",
        sources="results/planted/{dataset}/sources.tsv",
        transforms="results/planted/{dataset}/transforms.tsv",
    log:
        "results/logs/plant_copies/{dataset}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=120,
    params:
        settings=settings_of(spec.planted_settings, "dataset"),
    script:
        "../workflow/scripts/plant_copies.py"


rule benchmark_detector:
    input:
        images="results/data/{dataset}/images.npy",
        splits="results/data/{dataset}/splits.tsv",
        scans="results/embeddings/{dataset}/{detector}/scans.npy",
        planted="results/planted/{dataset}/images.npy",
        sources="results/planted/{dataset}/sources.tsv",
        transforms="results/planted/{dataset}/transforms.tsv",
        weights="results/detectors/{dataset}/{detector}/weights.safetensors",
        spec="results/detectors/{dataset}/{detector}/spec.yaml",
        files=users_files(spec.detector_files, "detector"),
        code=code("benchmark_detector", detector),
    output:
        benchmark="results/detectors/{dataset}/{detector}/benchmark.csv",
        planted="results/detectors/{dataset}/{detector}/planted.npz",
    log:
        "results/logs/benchmark_detector/{dataset}/{detector}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    script:
        "../workflow/scripts/benchmark_detector.py"


rule collect_benchmarks:
    input:
        benchmarks=settings_of(spec.benchmark_files, "dataset"),
    output:
        benchmark="results/detectors/{dataset}/benchmark.csv",
    log:
        "results/logs/collect_benchmarks/{dataset}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../workflow/scripts/collect_benchmarks.py"
