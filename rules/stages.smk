# Targets by name: a stage of every study (`snakemake models`), all of one study (`snakemake study_built_in`), or every
# audit (`snakemake audits`).


localrules:
    models,
    samples,
    scores,
    figures,
    audits,


rule models:
    input:
        spec.stage_files(config, "models", "weights.safetensors"),


rule samples:
    input:
        spec.stage_files(config, "samples", "images.npy"),


rule scores:
    input:
        expand("results/scores/{study}.csv", study=config["studies"]),


rule figures:
    input:
        [f for study in config["studies"] for f in spec.study_files(config, study) if f.startswith("results/figures/")],


rule audits:
    input:
        [audit_spec.files(config, audit) for audit in config["audits"]],


for study in config["studies"]:

    rule:
        name:
            f"study_{study}"
        input:
            spec.study_files(config, study),
        localrule: True
