# One rule draws every figure from its input files. No figure needs torch.


rule draw_copies_by_dataset:
    input:
        scores="results/scores/{study}.csv",
        code=figure_code("copies_by_dataset"),
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
        mem_mb=4000,
        runtime=30,
    script:
        "../workflow/scripts/draw_figure.py"


use rule draw_copies_by_dataset as draw_copy_pairs with:
    input:
        scores="results/scores/{study}.csv",
        nearest=of_runs(
            "results/similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/nearest.npz", first_seed_runs
        ),
        samples=of_runs("results/samples/{dataset}/{model}/{variant}/seed{seed}/images.npy", first_seed_runs),
        images=of_runs("results/data/{dataset}/images.npy", first_seed_runs),
        scans=of_runs("results/data/{dataset}/scans.tsv", first_seed_runs),
        code=figure_code("copy_pairs"),
    output:
        figure=report(
            "results/figures/{study}/copy_pairs.pdf",
            caption="../workflow/report/copy_pairs.rst",
            category="{study}",
            labels={"figure": "copies beside their nearest training image"},
        ),
    log:
        "results/logs/draw_copy_pairs/{study}.log",
    params:
        runs=first_seed_runs,


use rule draw_copies_by_dataset as draw_nearest_correlations with:
    input:
        scores="results/scores/{study}.csv",
        nearest=of_runs(
            "results/similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/nearest.npz", first_seed_runs
        ),
        code=figure_code("nearest_correlations"),
    output:
        figure=report(
            "results/figures/{study}/nearest_correlations.pdf",
            caption="../workflow/report/nearest_correlations.rst",
            category="{study}",
            labels={"figure": "nearest correlations and thresholds"},
        ),
    log:
        "results/logs/draw_nearest_correlations/{study}.log",
    params:
        runs=first_seed_runs,


use rule draw_copies_by_dataset as draw_training_curves with:
    input:
        losses=study_losses,
        code=figure_code("training_curves"),
    output:
        figure=report(
            "results/figures/{study}/training_curves.pdf",
            caption="../workflow/report/training_curves.rst",
            category="{study}",
            labels={"figure": "training curves"},
        ),
    log:
        "results/logs/draw_training_curves/{study}.log",
    params:
        networks=settings_of(upstream.trained_networks, "study"),


use rule draw_copies_by_dataset as draw_sample_sheet with:
    input:
        samples=of_runs("results/samples/{dataset}/{model}/{variant}/seed{seed}/images.npy", first_seed_runs),
        images=of_runs("results/data/{dataset}/images.npy", first_seed_runs),
        splits=of_runs("results/data/{dataset}/splits.tsv", first_seed_runs),
        code=figure_code("sample_sheet"),
    output:
        figure=report(
            "results/figures/{study}/sample_sheet.pdf",
            caption="../workflow/report/sample_sheet.rst",
            category="{study}",
            labels={"figure": "samples of every network"},
        ),
    log:
        "results/logs/draw_sample_sheet/{study}.log",
    params:
        runs=first_seed_runs,


use rule draw_copies_by_dataset as draw_copies_by_model with:
    input:
        scores="results/scores/{study}.csv",
        code=figure_code("copies_by_model"),
    output:
        figure=report(
            "results/figures/{study}/copies_by_model.pdf",
            caption="../workflow/report/copies_by_model.rst",
            category="{study}",
            labels={"figure": "copies by kind of model"},
        ),
    log:
        "results/logs/draw_copies_by_model/{study}.log",


use rule draw_copies_by_dataset as draw_memorization_and_quality with:
    input:
        scores="results/scores/{study}.csv",
        quality="results/quality/{study}.csv",
        code=figure_code("memorization_and_quality"),
    output:
        figure=report(
            "results/figures/{study}/memorization_and_quality.pdf",
            caption="../workflow/report/memorization_and_quality.rst",
            category="{study}",
            labels={"figure": "copies against image quality"},
        ),
    log:
        "results/logs/draw_memorization_and_quality/{study}.log",


use rule draw_copies_by_dataset as draw_over_training with:
    input:
        scores="results/scores/{study}.csv",
        quality="results/quality/{study}.csv",
        code=figure_code("over_training"),
    output:
        figure=report(
            "results/figures/{study}/over_training.pdf",
            caption="../workflow/report/over_training.rst",
            category="{study}",
            labels={"figure": "copies and quality over a training"},
        ),
    log:
        "results/logs/draw_over_training/{study}.log",


use rule draw_copies_by_dataset as draw_variant_effects with:
    input:
        scores="results/scores/{study}.csv",
        code=figure_code("variant_effects"),
    output:
        figure=report(
            "results/figures/{study}/variant_effects.pdf",
            caption="../workflow/report/variant_effects.rst",
            category="{study}",
            labels={"figure": "effects of augmentation, size and data"},
        ),
    log:
        "results/logs/draw_variant_effects/{study}.log",


use rule draw_copies_by_dataset as draw_exposure_curve with:
    input:
        exposure="results/exposure/{study}.csv",
        code=figure_code("exposure_curve"),
    output:
        figure=report(
            "results/figures/{study}/exposure_curve.pdf",
            caption="../workflow/report/exposure_curve.rst",
            category="{study}",
            labels={"figure": "patients exposed by samples released"},
        ),
    log:
        "results/logs/draw_exposure_curve/{study}.log",


use rule draw_copies_by_dataset as draw_denoising_gap with:
    input:
        scores="results/scores/{study}.csv",
        denoising=of_runs(
            "results/samples/{dataset}/{model}/{variant}/seed{seed}/denoising.csv", settings_of(spec.networks, "study")
        ),
        code=figure_code("denoising_gap"),
    output:
        figure=report(
            "results/figures/{study}/denoising_gap.pdf",
            caption="../workflow/report/denoising_gap.rst",
            category="{study}",
            labels={"figure": "the denoising gap, a warning without sampling"},
        ),
    log:
        "results/logs/draw_denoising_gap/{study}.log",
    params:
        networks=settings_of(spec.networks, "study"),


use rule draw_copies_by_dataset as draw_copied_regions with:
    input:
        scores="results/scores/{study}.csv",
        regions=of_runs(
            "results/similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/regions.npz", locating_runs
        ),
        samples=of_runs("results/samples/{dataset}/{model}/{variant}/seed{seed}/images.npy", locating_runs),
        images=of_runs("results/data/{dataset}/images.npy", locating_runs),
        code=figure_code("copied_regions"),
    output:
        figure=report(
            "results/figures/{study}/copied_regions.pdf",
            caption="../workflow/report/copied_regions.rst",
            category="{study}",
            labels={"figure": "repeated parts"},
        ),
    log:
        "results/logs/draw_copied_regions/{study}.log",
    params:
        runs=locating_runs,


use rule draw_copies_by_dataset as draw_detector_benchmark with:
    input:
        benchmarks=study_benchmarks,
        code=figure_code("detector_benchmark"),
    output:
        figure=report(
            "results/figures/{study}/detector_benchmark.pdf",
            caption="../workflow/report/detector_benchmark.rst",
            category="{study}",
            labels={"figure": "planted copies that detectors find"},
        ),
    log:
        "results/logs/draw_detector_benchmark/{study}.log",
    params:
        datasets=study_names("datasets"),
        detectors=study_names("detectors"),


use rule draw_copies_by_dataset as draw_severity_curves with:
    input:
        benchmarks=study_benchmarks,
        code=figure_code("severity_curves"),
    output:
        figure=report(
            "results/figures/{study}/severity_curves.pdf",
            caption="../workflow/report/severity_curves.rst",
            category="{study}",
            labels={"figure": "copies found by severity of their change"},
        ),
    log:
        "results/logs/draw_severity_curves/{study}.log",
    params:
        datasets=study_names("datasets"),
        detectors=study_names("detectors"),


use rule draw_copies_by_dataset as draw_privacy_and_quality with:
    input:
        mitigations="results/mitigations/{study}.csv",
        code=figure_code("privacy_and_quality"),
    output:
        figure=report(
            "results/figures/{study}/privacy_and_quality.pdf",
            caption="../workflow/report/privacy_and_quality.rst",
            category="{study}",
            labels={"figure": "verdicts and quality of every recipe"},
        ),
    log:
        "results/logs/draw_privacy_and_quality/{study}.log",
