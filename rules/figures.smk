# One rule per figure. Nothing here needs torch.


rule draw_copy_pairs:
    input:
        scores="results/scores/{study}.csv",
        nearest=of_runs(
            "results/similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/nearest.npz", first_seed_runs
        ),
        samples=of_runs("results/samples/{dataset}/{model}/{variant}/seed{seed}/images.npy", first_seed_runs),
        images=of_runs("results/data/{dataset}/images.npy", first_seed_runs),
        scans=of_runs("results/data/{dataset}/scans.tsv", first_seed_runs),
        code=code(
            "reporting/tables.py",
            "reporting/figures/copy_pairs.py",
            "reporting/figures/__init__.py",
            "reporting/figures/house.mplstyle",
        ),
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
            "results/similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/nearest.npz", first_seed_runs
        ),
        code=code(
            "reporting/tables.py",
            "reporting/figures/nearest_correlations.py",
            "reporting/figures/__init__.py",
            "reporting/figures/house.mplstyle",
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
        code=code(
            "reporting/figures/copies_by_dataset.py",
            "reporting/figures/__init__.py",
            "reporting/figures/house.mplstyle",
        ),
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
        code=code(
            "reporting/tables.py",
            "reporting/figures/training_curves.py",
            "reporting/figures/__init__.py",
            "reporting/figures/house.mplstyle",
        ),
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
        networks=settings_of(spec.trained_networks, "study"),
    script:
        "../workflow/scripts/draw_training_curves.py"


rule draw_sample_sheet:
    input:
        samples=of_runs("results/samples/{dataset}/{model}/{variant}/seed{seed}/images.npy", first_seed_runs),
        images=of_runs("results/data/{dataset}/images.npy", first_seed_runs),
        splits=of_runs("results/data/{dataset}/splits.tsv", first_seed_runs),
        code=code(
            "reporting/tables.py",
            "reporting/figures/sample_sheet.py",
            "reporting/figures/__init__.py",
            "reporting/figures/house.mplstyle",
        ),
    output:
        figure=report(
            "results/figures/{study}/sample_sheet.pdf",
            caption="../workflow/report/sample_sheet.rst",
            category="{study}",
            labels={"figure": "samples of every network"},
        ),
    log:
        "results/logs/draw_sample_sheet/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        runs=first_seed_runs,
    script:
        "../workflow/scripts/draw_sample_sheet.py"


rule draw_copies_by_model:
    input:
        scores="results/scores/{study}.csv",
        code=code(
            "reporting/figures/copies_by_model.py", "reporting/figures/__init__.py", "reporting/figures/house.mplstyle"
        ),
    output:
        figure=report(
            "results/figures/{study}/copies_by_model.pdf",
            caption="../workflow/report/copies_by_model.rst",
            category="{study}",
            labels={"figure": "copies by kind of model"},
        ),
    log:
        "results/logs/draw_copies_by_model/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../workflow/scripts/draw_copies_by_model.py"


rule draw_memorization_and_quality:
    input:
        scores="results/scores/{study}.csv",
        quality="results/quality/{study}.csv",
        code=code(
            "reporting/figures/memorization_and_quality.py",
            "reporting/figures/__init__.py",
            "reporting/figures/house.mplstyle",
        ),
    output:
        figure=report(
            "results/figures/{study}/memorization_and_quality.pdf",
            caption="../workflow/report/memorization_and_quality.rst",
            category="{study}",
            labels={"figure": "copies against image quality"},
        ),
    log:
        "results/logs/draw_memorization_and_quality/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../workflow/scripts/draw_memorization_and_quality.py"


rule draw_over_training:
    input:
        scores="results/scores/{study}.csv",
        quality="results/quality/{study}.csv",
        code=code(
            "reporting/figures/over_training.py", "reporting/figures/__init__.py", "reporting/figures/house.mplstyle"
        ),
    output:
        figure=report(
            "results/figures/{study}/over_training.pdf",
            caption="../workflow/report/over_training.rst",
            category="{study}",
            labels={"figure": "copies and quality over a training"},
        ),
    log:
        "results/logs/draw_over_training/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../workflow/scripts/draw_over_training.py"


rule draw_variant_effects:
    input:
        scores="results/scores/{study}.csv",
        code=code(
            "reporting/figures/variant_effects.py", "reporting/figures/__init__.py", "reporting/figures/house.mplstyle"
        ),
    output:
        figure=report(
            "results/figures/{study}/variant_effects.pdf",
            caption="../workflow/report/variant_effects.rst",
            category="{study}",
            labels={"figure": "what augmentation, size and data change"},
        ),
    log:
        "results/logs/draw_variant_effects/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../workflow/scripts/draw_variant_effects.py"


rule draw_exposure_curve:
    input:
        exposure="results/exposure/{study}.csv",
        code=code(
            "reporting/figures/exposure_curve.py", "reporting/figures/__init__.py", "reporting/figures/house.mplstyle"
        ),
    output:
        figure=report(
            "results/figures/{study}/exposure_curve.pdf",
            caption="../workflow/report/exposure_curve.rst",
            category="{study}",
            labels={"figure": "patients exposed by samples released"},
        ),
    log:
        "results/logs/draw_exposure_curve/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../workflow/scripts/draw_exposure_curve.py"


rule draw_denoising_gap:
    input:
        scores="results/scores/{study}.csv",
        denoising=of_runs(
            "results/samples/{dataset}/{model}/{variant}/seed{seed}/denoising.csv", settings_of(spec.networks, "study")
        ),
        code=code(
            "reporting/tables.py",
            "reporting/figures/denoising_gap.py",
            "reporting/figures/__init__.py",
            "reporting/figures/house.mplstyle",
        ),
    output:
        figure=report(
            "results/figures/{study}/denoising_gap.pdf",
            caption="../workflow/report/denoising_gap.rst",
            category="{study}",
            labels={"figure": "the denoising gap, a warning without sampling"},
        ),
    log:
        "results/logs/draw_denoising_gap/{study}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        networks=settings_of(spec.networks, "study"),
    script:
        "../workflow/scripts/draw_denoising_gap.py"
