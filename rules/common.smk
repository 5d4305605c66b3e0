# The configuration, checked; the wildcards' alphabets; the functions that rules take their inputs and parameters from.
import functools
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# This workflow's own folder, also where another workflow uses it as a module.
PIPELINE = Path(str(workflow.current_basedir)).parent
# What a `prefix` in the parent's module statement makes of paths.
MODIFIER = workflow.modifier.path_modifier
# Scripts and cluster jobs find the library in a checkout, installed or not; an installed workflow lies in its library.
LIBRARY = str(PIPELINE / "src" if (PIPELINE / "src").is_dir() else PIPELINE.parents[1])
sys.path.insert(0, LIBRARY)
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [LIBRARY, os.getenv("PYTHONPATH")])))

from copylens.config import audit_spec, checks, dependencies, execution, kinds, spec, upstream

from copylens.data import source_files


def checked(subject, check, *arguments):
    """The result of `check`; its ValueError, a user's mistake, becomes one line."""
    try:
        return check(*arguments)
    except ValueError as error:
        raise WorkflowError(f"{subject}: {error}")


config = checked("configuration", checks.check, config)


# Of another audit that may have compared the same real images (`copylens.auditing.nearest`).
OTHER = {
    "nearest": "nearest/{detector}.npz",
    "images": "data/images.npy",
    "splits": "data/splits.tsv",
    "decoded": "data/decoded.npy",
    "planted": "planted/images.npy",
    "scans": "detectors/{detector}/scans.npy",
    "weights": "detectors/{detector}/weights.safetensors",
}
# Variants whose networks aren't trained by themselves; a name that can't be if there are none.
REUSING = "|".join(upstream.reusing_variants(config)) or "-"


wildcard_constraints:
    dataset="[a-z][a-z0-9_]*",
    model="[a-z][a-z0-9_]*",
    variant="[a-z][a-z0-9_]*",
    detector="[a-z][a-z0-9_]*",
    study="[a-z][a-z0-9_]*",
    audit="[a-z][a-z0-9_]*",
    seed=r"\d+",


def code(script, *kinds_of):
    """An input function: the library files that a script's results depend on.

    kinds_of: functions that return kinds as (folder, kind), because scripts don't import kinds by name.
    """

    def files(wildcards):
        paths = [PIPELINE / "workflow" / "scripts" / f"{script}.py"]
        paths += [kinds.path_of(*kind) for function in kinds_of for kind in function(wildcards)]
        return [local(os.path.relpath(path)) for path in dependencies.code_behind(*paths)]

    return files


def reader_of(dataset):
    entry = config["datasets"][dataset]
    return [("readers", entry["reader"]), *([("phantoms", entry["anatomy"])] if "anatomy" in entry else [])]


def reader(wildcards):
    return reader_of(wildcards.dataset)


def audited_readers(wildcards):
    named = audit_spec.datasets(config, wildcards.audit)
    return sorted({kind for dataset in named.values() for kind in reader_of(dataset)})


def network_of(model, variant):
    """The kinds of a model and of the autoencoder that it works on."""
    below = upstream.autoencoder_of(config, model, variant)
    return [("models", config["models"][name]["kind"]) for name in (model, *(below or ())[:1])]


def network(wildcards):
    return network_of(wildcards.model, wildcards.variant)


def other_comparison(wildcards):
    """What another audit of the study found, of which real images are compared once; files of `OTHER`, in that order."""
    other = audit_spec.other_audit(config, wildcards.audit)
    folder = f"results/audits/{other}/restricted"
    # Whether it may be used is seen from checksums: what else changes there concerns nobody here.
    return [ancient(f"{folder}/{path.format(detector=wildcards.detector)}") for path in OTHER.values()] if other else []


def audited_network(wildcards):
    network = audit_spec.network(config, wildcards.audit)
    return network_of(network["model"], network["variant"]) if network else []


def round_trip_network(wildcards):
    networks = upstream.round_trip(config, wildcards.dataset)
    return [("models", config["models"][network["model"]]["kind"]) for network in networks]


def detector_of(name):
    return [("detectors", config["detectors"][name]["kind"])]


def detector(wildcards):
    return detector_of(wildcards.detector)


def duplicates_detector(wildcards):
    return detector_of(config["datasets"][wildcards.dataset]["duplicates"]["detector"])


def quality_detector(wildcards):
    return detector_of(config["studies"][wildcards.study]["quality"])


def figure_code(name):
    return code("draw_figure", lambda wildcards: [("figures", name)])


def settings_of(function, *names):
    """An input function: `function` of the configuration and of these wildcards."""
    return lambda wildcards: function(config, *(wildcards[name] for name in names))


def users_files(function, *names):
    """An input function: files of the user's, which lie where the configuration says, whatever a parent's prefix is."""
    return lambda wildcards: [local(path) for path in settings_of(function, *names)(wildcards)]


def review_files(wildcards):
    """The user's answers, and our key of the pairs; nothing without answers."""
    answers, key = spec.review_files(config, wildcards.study) or ([], [])
    return [local(answers), key] if answers else []


def files_state(wildcards):
    """The state of the user's files behind a data set, for the jobs that list them."""
    return _files_state(wildcards.dataset)


@functools.cache
def _files_state(dataset):
    settings = spec.listing_settings(config, dataset)
    table = MODIFIER.replace_prefix(f"results/data/{dataset}/scans.tsv")
    return checked(f"datasets.{dataset}", source_files.state, settings, table)


def neighbours(wildcards):
    return config["detectors"][wildcards.detector]["neighbours"]


def autoencoder_weights(wildcards):
    """The weights of the autoencoder that a model works on, trained with the same seed."""
    named = wildcards.model, wildcards.variant
    below = upstream.autoencoder_of(config, *named)
    dataset = upstream.autoencoder_dataset(config, wildcards.dataset, *named)
    return [_weights(dataset, *below, wildcards.seed)] if below else []


def pretrained_weights(wildcards):
    """The weights that a model's training starts from, trained with the same seed on another data set."""
    start = upstream.pretrained_of(config, wildcards.model, wildcards.variant)
    return [_weights(start["dataset"], start["model"], start["variant"], wildcards.seed)] if start else []


def quality_trainings(wildcards):
    """`quality_runs`, each with the variant that was trained."""
    return [run | {"variant": upstream.trained_variant(config, run["variant"])} for run in quality_runs(wildcards)]


def teacher_samples(wildcards):
    """The samples that a model learns from in the place of training images, of a network with the same seed."""
    teacher = upstream.teacher_of(config, wildcards.model, wildcards.variant)
    folder = "results/samples/{dataset}/{model}/{variant}/seed{seed}"
    named = {"dataset": wildcards.dataset, "seed": wildcards.seed}
    return [f"{folder}/images.npy".format(**teacher, **named)] if teacher else []


def _weights(dataset, model, variant, seed):
    return f"results/models/{dataset}/{model}/{variant}/seed{seed}/weights.safetensors"


def round_trip_weights(wildcards):
    weights = "results/models/{dataset}/{model}/{variant}/seed{seed}/weights.safetensors"
    return [weights.format(**network) for network in upstream.round_trip(config, wildcards.dataset)]


def study_names(section):
    """An input function: a study's data sets, or its detectors."""
    return lambda wildcards: config["studies"][wildcards.study][section]


def study_benchmarks(wildcards):
    return [f"results/detectors/{dataset}/benchmark.csv" for dataset in study_names("datasets")(wildcards)]


def study_runs(wildcards):
    return spec.runs(config, wildcards.study)


def first_seed_runs(wildcards):
    """One comparison of each network setting, for figures that show images."""
    first = config["studies"][wildcards.study]["seeds"][0]
    return [run for run in study_runs(wildcards) if run["seed"] == first]


def locating_runs(wildcards):
    """The comparisons of `first_seed_runs` whose detector locates copies."""
    able = spec.detectors_that(config, config["studies"][wildcards.study], "where")
    return [run for run in first_seed_runs(wildcards) if run["detector"] in able]


def of_runs(pattern, runs=study_runs):
    """An input function: `pattern` filled for each comparison of a study."""
    return lambda wildcards: [pattern.format(**run) for run in runs(wildcards)]


def network_runs(wildcards):
    """Every network of a study, once each."""
    networks = {tuple({key: run[key] for key in run if key != "detector"}.items()) for run in study_runs(wildcards)}
    return [dict(network) for network in sorted(networks)]


def usefulness_files(wildcards):
    return [f"results/usefulness/{wildcards.study}.csv"] if config["studies"][wildcards.study]["usefulness"] else []


def quality_runs(wildcards):
    """Every network of a study, once each, with the detector whose embeddings are the features of quality."""
    features = config["studies"][wildcards.study]["quality"]
    return [{**network, "detector": features} for network in network_runs(wildcards)]


def study_verdicts(wildcards):
    """The verdict on each network of `quality_runs`."""
    names = [audit_spec.name_in_study(config, wildcards.study, run) for run in quality_runs(wildcards)]
    return [f"results/audits/{name}/public/verdict.json" for name in names]


def quality_files(wildcards):
    return [local(path) for path in spec.detector_files(config, config["studies"][wildcards.study]["quality"])]


def study_losses(wildcards):
    return [f"{network['folder']}/losses.csv" for network in upstream.trained_networks(config, wildcards.study)]
