# One rule per figure. Nothing here needs torch.


rule draw_copy_pairs:
    input:
        scores="results/scores/{study}.csv",
        nearest=of_runs(
            "results/similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/{epoch}/nearest.npz", first_seed_runs
        ),
        samples=of_runs("results/samples/{dataset}/{model}/{variant}/seed{seed}/{epoch}/images.npy", first_seed_runs),
        images=of_runs("results/data/{dataset}/images.npy", first_seed_runs),
        scans=of_runs("results/data/{dataset}/scans.tsv", first_seed_runs),
        code=code("figure_tables.py", "figures/copy_pairs.py", "figures/__init__.py", "figures/house.mplstyle"),
    output:
        figure=report(
            "results/figures/{study}/copy_pairs.pdf",
            caption="../workflow/report/copy_pairs.rst",
            category="{study}",
            labels={"figure": "copies beside their nearest training image"},
        ),
    log:
        "results/logs/draw_copy_pairs/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        runs=first_seed_runs,
    script:
        "../workflow/scripts/draw_copy_pairs.py"


rule draw_nearest_correlations:
    input:
        scores="results/scores/{study}.csv",
        nearest=of_runs(
            "results/similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/{epoch}/nearest.npz", first_seed_runs
        ),
        code=code(
            "figure_tables.py", "figures/nearest_correlations.py", "figures/__init__.py", "figures/house.mplstyle"
        ),
    output:
        figure=report(
            "results/figures/{study}/nearest_correlations.pdf",
            caption="../workflow/report/nearest_correlations.rst",
            category="{study}",
            labels={"figure": "nearest correlations and thresholds"},
        ),
    log:
        "results/logs/draw_nearest_correlations/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        runs=first_seed_runs,
    script:
        "../workflow/scripts/draw_nearest_correlations.py"


rule draw_copies_by_dataset:
    input:
        scores="results/scores/{study}.csv",
        code=code("figures/copies_by_dataset.py", "figures/__init__.py", "figures/house.mplstyle"),
    output:
        figure=report(
            "results/figures/{study}/copies_by_dataset.pdf",
            caption="../workflow/report/copies_by_dataset.rst",
            category="{study}",
            labels={"figure": "copies and memorized patients"},
        ),
    log:
        "results/logs/draw_copies_by_dataset/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../workflow/scripts/draw_copies_by_dataset.py"


rule draw_training_curves:
    input:
        losses=study_losses,
        code=code("figure_tables.py", "figures/training_curves.py", "figures/__init__.py", "figures/house.mplstyle"),
    output:
        figure=report(
            "results/figures/{study}/training_curves.pdf",
            caption="../workflow/report/training_curves.rst",
            category="{study}",
            labels={"figure": "training curves"},
        ),
    log:
        "results/logs/draw_training_curves/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        networks=trained_networks,
    script:
        "../workflow/scripts/draw_training_curves.py"
