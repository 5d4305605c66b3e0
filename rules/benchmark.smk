# Planted copies, and how well each detector finds them.


rule plant_copies:
    input:
        images="results/data/{dataset}/images.npy",
        splits="results/data/{dataset}/splits.tsv",
        weights=round_trip_weights,
        code=code(
            "evaluation/planted.py",
            "evaluation/transforms.py",
            "imaging/orientation.py",
            "imaging/warps.py",
            "imaging/filters.py",
            "generation/sample.py",
            "generation/diffusion.py",
        ),
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
        files=settings_of(spec.detector_files, "detector"),
        code=code("evaluation/benchmark.py", "detection/nearest.py", "detection/search.py", "evaluation/thresholds.py"),
        detector_code=detector_code,
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


rule draw_detector_benchmark:
    input:
        benchmarks=study_benchmarks,
        code=code(
            "reporting/figures/detector_benchmark.py",
            "reporting/figures/__init__.py",
            "reporting/figures/house.mplstyle",
        ),
    output:
        figure=report(
            "results/figures/{study}/detector_benchmark.pdf",
            caption="../workflow/report/detector_benchmark.rst",
            category="{study}",
            labels={"figure": "which planted copies detectors find"},
        ),
    log:
        "results/logs/draw_detector_benchmark/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        datasets=study_names("datasets"),
        detectors=study_names("detectors"),
    script:
        "../workflow/scripts/draw_detector_benchmark.py"
