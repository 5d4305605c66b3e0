# copylens: do the images that a generative model makes copy the patients it was trained on?
#
# results/
#   data/{dataset}/                                   scans.tsv  images.npy  splits.tsv  restricted/files.json
#   models/{dataset}/{model}/{variant}/seed{seed}/    weights.safetensors  snapshots.safetensors  spec.yaml  losses.csv
#                                                     training_rows.tsv
#   samples/{dataset}/{model}/{variant}/seed{seed}/   images.npy  reconstructed.npy  denoising.csv
#   detectors/{dataset}/{detector}/                   weights.safetensors  spec.yaml  losses.csv  benchmark.csv
#                                                     planted.npz
#   detectors/{dataset}/benchmark.csv
#   planted/{dataset}/                                images.npy  sources.tsv  transforms.tsv
#   embeddings/{dataset}/{detector}/                  scans.npy
#   embeddings/{dataset}/{detector}/{model}/{variant}/seed{seed}/   synthetic.npy  reconstructed.npy
#   similarity/{dataset}/{detector}/{model}/{variant}/seed{seed}/   nearest.npz  regions.npz  (matrix.npy on request)
#   scores/{study}.csv   exposure/{study}.csv   quality/{study}.csv   usefulness/{study}.csv
#   agreement/{study}.csv   consensus/{study}.csv     forecast/{study}.csv
#   corrected/{study}.csv  mitigations/{study}.csv    review/{study}/answers.csv  key.csv
#   figures/{study}/{figure}.pdf
#   audits/{audit}/public/                            verdict.json  samples.csv  report.html  report.pdf
#   audits/{audit}/restricted/                        report.html  report.pdf  samples.tsv  patients.tsv
#                                                     rest/  files.json  data/  detectors/  planted/  nearest/
#                                                     membership.npz
#   logs/<rule>/<the same wildcards>.log              (of train_model also .tsv, its seconds and memory)
# work/                                               unfinished trainings; may be deleted


# `--configfile configs/<name>.yaml` takes the place of config.yaml; the two aren't mixed.
if not workflow.config_settings.configfiles:

    configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "rules/common.smk"


# For `--sdm apptainer`; build it once, by envs/copylens.def.
container: str(PIPELINE / "envs" / "copylens.sif")


localrules:
    all,
    split_patients,
    collect_benchmarks,
    correct_rates,
    compare_detectors,
    tabulate_mitigations,
    forecast_memorization,
    draw_privacy_and_quality,
    draw_copied_regions,
    draw_copy_pairs,
    draw_review_sheet,
    draw_nearest_correlations,
    draw_copies_by_dataset,
    draw_training_curves,


rule all:
    default_target: True
    input:
        [spec.study_files(config, study) for study in config["studies"]],


include: "rules/stages.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/compare.smk"
include: "rules/benchmark.smk"
include: "rules/evidence.smk"
include: "rules/quality.smk"
include: "rules/figures.smk"
include: "rules/audit.smk"
include: "rules/mitigations.smk"


named = {rule.name: rule.resources for rule in workflow.rules}
checked("resources", execution.check_resources, named | {"--resources": workflow.global_resources})


onstart:
    checked("profile", execution.check_executor, workflow.executor_plugin.name)
    if workflow.local_exec and not workflow.output_settings.quiet:
        from copylens.reporting.progress import watch_in_background

        watch_in_background(Path("results/logs"), lambda line: print(line, file=sys.stderr, flush=True))


onsuccess:
    # Here, because it needs pandas and only a finished run asks for it.
    from copylens.reporting.closing import closing_lines

    print("\n".join(closing_lines(config, Path("results"))), flush=True)


onerror:
    from copylens.reporting.closing import failure_lines

    lines = [line for path in log for line in failure_lines(Path(path))]
    print("\n".join(["", *lines]), file=sys.stderr, flush=True)
