# The evidence behind a rate: true copies, agreement of detectors, people's judgement, and repeated parts.


rule correct_rates:
    input:
        scores="results/scores/{study}.csv",
        planted=of_runs(
            "results/detectors/{dataset}/{detector}/planted.npz", settings_of(spec.compared_detectors, "study")
        ),
        review=review_files,
        code=code("correct_rates"),
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
        splits=of_runs("results/data/{dataset}/splits.tsv"),
        scores="results/scores/{study}.csv",
        code=code("compare_detectors"),
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
        intervals=settings_of(spec.interval_settings, "study"),
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
        code=code("draw_review_sheet"),
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


rule locate_copies:
    input:
        nearest="results/similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/nearest.npz",
        samples="results/samples/{dataset}/{model}/{variant}/seed{seed}/images.npy",
        images="results/data/{dataset}/images.npy",
        weights="results/detectors/{dataset}/{detector}/weights.safetensors",
        spec="results/detectors/{dataset}/{detector}/spec.yaml",
        code=code("locate_copies", detector),
    output:
        regions="results/similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/regions.npz",
    log:
        "results/logs/locate_copies/{dataset}/{detector}/{model}/{variant}/seed{seed}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=60,
    script:
        "../workflow/scripts/locate_copies.py"
