# The configuration, checked; the wildcards' alphabets; the functions that rules take their inputs and parameters from.
import functools
import os
import sys

from snakemake.exceptions import WorkflowError

# Scripts and cluster jobs find the library in this checkout, installed or not.
LIBRARY = os.path.join(workflow.basedir, "src")
sys.path.insert(0, LIBRARY)
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [LIBRARY, os.getenv("PYTHONPATH")])))

from copylens.config import audit_spec, checks, kinds, spec

from copylens.data import source_files


def checked(what, check, *arguments):
    """What `check` returns; its ValueError is the user's mistake, said in one line."""
    try:
        return check(*arguments)
    except ValueError as error:
        raise WorkflowError(f"{what}: {error}")


config = checked("configuration", checks.check, config)


wildcard_constraints:
    dataset="[a-z][a-z0-9_]*",
    model="[a-z][a-z0-9_]*",
    variant="[a-z][a-z0-9_]*",
    detector="[a-z][a-z0-9_]*",
    study="[a-z][a-z0-9_]*",
    audit="[a-z][a-z0-9_]*",
    seed=r"\d+",


def code(*names):
    """Library files that hold a stage's maths, as inputs: an edit reruns the stage, a touch doesn't."""
    folder = os.path.relpath(os.path.join(LIBRARY, "copylens"))
    return [os.path.join(folder, name) for name in names]


def code_of(folder, kind, *more):
    """The files behind one kind of network, and the modules `more`."""
    return [os.path.relpath(path) for path in kinds.code_of(folder, kind, *more)]


def reader_code(wildcards):
    reader = config["datasets"][wildcards.dataset]["reader"]
    return code_of("readers", reader, "data/listing") + phantom_code(wildcards)


def phantom_code(wildcards):
    anatomy = config["datasets"][wildcards.dataset].get("anatomy")
    return code("data/phantoms/__init__.py", f"data/phantoms/{anatomy}.py") if anatomy else []


def model_code(wildcards):
    return code_of("models", config["models"][wildcards.model]["kind"])


def model_training_code(wildcards):
    entry = config["models"][wildcards.model]
    return code_of("models", entry["kind"], *(["training/loop"] if "training" in entry else []))


def detector_code(wildcards):
    return code_of("detectors", config["detectors"][wildcards.detector]["kind"])


def duplicates_code(wildcards):
    detector = config["datasets"][wildcards.dataset]["duplicates"]["detector"]
    return code_of("detectors", config["detectors"][detector]["kind"])


def detector_training_code(wildcards):
    entry = config["detectors"][wildcards.detector]
    return code_of("detectors", entry["kind"], *(["training/loop"] if "training" in entry else []))


def settings_of(function, *names):
    """An input function: what `function` of the configuration says about these wildcards."""
    return lambda wildcards: function(config, *(wildcards[name] for name in names))


def files_state(wildcards):
    """What state the user's files behind a data set are in; only the jobs that list them ask."""
    return _files_state(wildcards.dataset)


@functools.cache
def _files_state(dataset):
    settings = spec.listing_settings(config, dataset)
    return checked(f"datasets.{dataset}", source_files.state, settings, f"results/data/{dataset}/scans.tsv")


def neighbours(wildcards):
    return config["detectors"][wildcards.detector]["neighbours"]


def autoencoder_weights(wildcards):
    """The weights of the autoencoder that a model works on, trained on the same data set with the same seed."""
    below = spec.autoencoder_of(config, wildcards.model, wildcards.variant)
    if below is None:
        return []
    model, variant = below
    return [f"results/models/{wildcards.dataset}/{model}/{variant}/seed{wildcards.seed}/weights.safetensors"]


def round_trip_weights(wildcards):
    weights = "results/models/{dataset}/{model}/{variant}/seed{seed}/weights.safetensors"
    return [weights.format(**network) for network in spec.round_trip(config, wildcards.dataset)]


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
    """Those of them whose detector says which parts are repeated."""
    able = spec.detectors_that(config, config["studies"][wildcards.study], "where")
    return [run for run in first_seed_runs(wildcards) if run["detector"] in able]


def of_runs(pattern, runs=study_runs):
    """An input function: `pattern` filled for each comparison of a study."""
    return lambda wildcards: [pattern.format(**run) for run in runs(wildcards)]


def quality_runs(wildcards):
    """Every network of a study, once each, with the detector whose embeddings are the features of quality."""
    features = config["studies"][wildcards.study]["quality"]
    networks = {tuple({**run, "detector": features}.items()) for run in study_runs(wildcards)}
    return [dict(network) for network in sorted(networks)]


def quality_files(wildcards):
    return spec.detector_files(config, config["studies"][wildcards.study]["quality"])


def study_losses(wildcards):
    return [f"{network['folder']}/losses.csv" for network in spec.trained_networks(config, wildcards.study)]
