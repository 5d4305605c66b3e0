# What each recipe of a study costs and buys: its networks' verdicts beside the quality of their images.


rule tabulate_mitigations:
    input:
        verdict=study_verdicts,
        quality="results/quality/{study}.csv",
        usefulness=usefulness_files,
        spec=of_runs("results/models/{dataset}/{model}/{variant}/seed{seed}/spec.yaml", quality_runs),
        seconds=of_runs("results/logs/train_model/{dataset}/{model}/{variant}/seed{seed}.tsv", quality_trainings),
        code=code("tabulate_mitigations"),
    output:
        mitigations="results/mitigations/{study}.csv",
    log:
        "results/logs/tabulate_mitigations/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        runs=quality_runs,
    script:
        "../workflow/scripts/tabulate_mitigations.py"


rule forecast_memorization:
    input:
        losses=of_runs(
            "results/models/{dataset}/{model}/{variant}/seed{seed}/losses.csv",
            settings_of(spec.stopping_networks, "study"),
        ),
        training_rows=of_runs(
            "results/models/{dataset}/{model}/{variant}/seed{seed}/training_rows.tsv",
            settings_of(spec.stopping_networks, "study"),
        ),
        spec=of_runs(
            "results/models/{dataset}/{model}/{variant}/seed{seed}/spec.yaml",
            settings_of(spec.stopping_networks, "study"),
        ),
        code=code("forecast_memorization"),
    output:
        forecast="results/forecast/{study}.csv",
    log:
        "results/logs/forecast_memorization/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        runs=settings_of(spec.stopping_networks, "study"),
    script:
        "../workflow/scripts/forecast_memorization.py"
