# Planted copies, and how well each detector finds them.


rule plant_copies:
    input:
        images="results/data/{dataset}/images.npy",
        splits="results/data/{dataset}/splits.tsv",
        weights=round_trip_weights,
        code=code("planted.py", "transforms.py", "warps.py", "filters.py", "sampling.py", "diffusion.py"),
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
        code=code("benchmark.py", "comparison.py", "similarity.py", "calibration.py"),
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


# How many copies there are, given what the detectors find of planted ones, and people see.
rule correct_rates:
    input:
        scores="results/scores/{study}.csv",
        planted=of_runs(
            "results/detectors/{dataset}/{detector}/planted.npz", settings_of(spec.compared_detectors, "study")
        ),
        review=settings_of(spec.review_files, "study"),
        code=code("correction.py", "prevalence.py", "review.py"),
    output:
        corrected="results/corrected/{study}.csv",
    log:
        "results/logs/correct_rates/{study}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        detectors=settings_of(spec.compared_detectors, "study"),
        settings=settings_of(spec.correction_settings, "study"),
    script:
        "../workflow/scripts/correct_rates.py"


rule compare_detectors:
    input:
        nearest=of_runs("results/similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/nearest.npz"),
        scores="results/scores/{study}.csv",
        code=code("agreement.py"),
    output:
        agreement="results/agreement/{study}.csv",
        consensus="results/consensus/{study}.csv",
    log:
        "results/logs/compare_detectors/{study}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        runs=study_runs,
    script:
        "../workflow/scripts/compare_detectors.py"


rule draw_review_sheet:
    input:
        scores="results/scores/{study}.csv",
        nearest=of_runs(
            "results/similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/nearest.npz", first_seed_runs
        ),
        samples=of_runs("results/samples/{dataset}/{model}/{variant}/seed{seed}/images.npy", first_seed_runs),
        images=of_runs("results/data/{dataset}/images.npy", first_seed_runs),
        code=code("review.py", "figures/review_sheet.py", "figures/__init__.py", "figures/house.mplstyle"),
    output:
        figure=report(
            "results/figures/{study}/review_sheet.pdf",
            caption="../workflow/report/review_sheet.rst",
            category="{study}",
            labels={"figure": "pairs for people to judge"},
        ),
        key="results/review/{study}/key.csv",
        answers="results/review/{study}/answers.csv",
    log:
        "results/logs/draw_review_sheet/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        runs=first_seed_runs,
        settings=settings_of(spec.review_settings, "study"),
    script:
        "../workflow/scripts/draw_review_sheet.py"


rule draw_detector_benchmark:
    input:
        benchmarks=study_benchmarks,
        code=code("figures/detector_benchmark.py", "figures/__init__.py", "figures/house.mplstyle"),
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
