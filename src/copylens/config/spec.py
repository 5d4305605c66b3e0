"""A checked configuration (`copylens.config.checks`), resolved to the settings of one run.

Imports neither torch nor numpy, because every cluster job reads the Snakefile again. Settings have sorted keys:
Snakemake compares parameters by their text, and reordering a configuration must not retrain anything.
"""

import copy
import os
from pathlib import Path

from copylens.config.kinds import can
from copylens.config.schema import validate

# The keys of a data set's entry by stage; all others are the reader's.
IMAGE_KEYS = ("grid", "fit", "scaling")
SPLIT_KEYS = ("split", "duplicates")
PLANTED_KEYS = ("planted",)
# Keys for the use of a trained network; changing one must not train again.
USAGE_KEYS = ("sampling", "neighbours", "search")


def data_root() -> Path:
    """The folder that paths in a configuration are relative to."""
    return Path(os.environ.get("COPYLENS_DATA", "data"))


def listing_settings(config: dict, dataset: str) -> dict:
    """The reader's settings, to list and to load the scans of `dataset`."""
    entry = config["datasets"][dataset]
    return with_sorted_keys({key: entry[key] for key in entry if key not in IMAGE_KEYS + SPLIT_KEYS + PLANTED_KEYS})


def source_of(config: dict, dataset: str) -> tuple:
    """What tells a data set's source from others: the reader, and the folder or, without one, all of its settings."""
    settings = listing_settings(config, dataset)
    return settings["reader"], settings.get("root", settings)


def image_settings(config: dict, dataset: str) -> dict:
    """How the scans of `dataset` become one array: grid, fit, scaling."""
    return with_sorted_keys({key: config["datasets"][dataset][key] for key in IMAGE_KEYS})


def split_settings(config: dict, dataset: str) -> dict:
    """Numbers of training, calibration and control patients, unless a table gives the split; use of duplicates."""
    split, duplicates = (config["datasets"][dataset][key] for key in SPLIT_KEYS)
    return with_sorted_keys({**(split or {}), "duplicates": duplicates["action"] if duplicates else "list"})


def table_files(config: dict, dataset: str) -> list[str]:
    """The user's table of the files of `dataset` and their patients, if the configuration names one."""
    entry = config["datasets"][dataset]
    return [str(data_root() / entry["root"] / entry["table"])] if "table" in entry else []


def duplicates_files(config: dict, dataset: str) -> list[str]:
    """The table of near-duplicates, if the configuration asks for one."""
    return [f"results/data/{dataset}/duplicates.csv"] if config["datasets"][dataset]["duplicates"] else []


def duplicates_detector(config: dict, dataset: str) -> dict:
    """The detector that finds near-duplicates in `dataset`: its settings, and neighbours."""
    name = config["datasets"][dataset]["duplicates"]["detector"]
    return with_sorted_keys(
        {"settings": detector_settings(config, name), "neighbours": config["detectors"][name]["neighbours"]}
    )


def planted_settings(config: dict, dataset: str) -> dict:
    """Settings of the copies planted among the images of `dataset`."""
    return with_sorted_keys(config["datasets"][dataset]["planted"])


def benchmark_files(config: dict, dataset: str) -> list[str]:
    """The benchmark of every detector that a study of `dataset` uses, in the order of the configuration."""
    studies = [study for study in config["studies"].values() if dataset in study["datasets"]]
    used = [name for name in config["detectors"] if any(name in study["detectors"] for study in studies)]
    return [f"results/detectors/{dataset}/{name}/benchmark.csv" for name in used]


def resolve(config: dict, model: str, variant: str) -> dict:
    """The settings of `model` with `variant` laid over them, checked again and sorted."""
    settings = _overlay(config["models"][model], config["variants"][variant])
    part = ("properties", "models", "additionalProperties")
    validate(settings, f"variants.{variant} (laid over models.{model})", part)
    return with_sorted_keys(settings)


def training_settings(config: dict, model: str, variant: str) -> dict:
    """The part of `resolve` that a model's weights depend on."""
    return {key: value for key, value in resolve(config, model, variant).items() if key not in USAGE_KEYS}


def sampling_settings(config: dict, model: str, variant: str) -> dict:
    """How images are drawn from a trained model."""
    return resolve(config, model, variant)["sampling"]


def detector_settings(config: dict, detector: str) -> dict:
    """The part of a detector's entry that its weights depend on."""
    entry = config["detectors"][detector]
    return with_sorted_keys({key: entry[key] for key in entry if key not in USAGE_KEYS})


def search_settings(config: dict, detector: str) -> dict:
    """Settings of the search among a detector's embeddings; exact for a detector without any."""
    return with_sorted_keys(config["detectors"][detector].get("search", {"kind": "exact"}))


def detector_files(config: dict, detector: str) -> list[str]:
    """The user's files that a detector is made of."""
    entry = config["detectors"][detector]
    return [str(data_root() / entry["file"])] if "file" in entry else []


def model_files(config: dict, model: str, variant: str) -> list[str]:
    """The user's files that a generator from elsewhere is made of, as far as they are there."""
    return [path for path in named_files(resolve(config, model, variant)) if Path(path).exists()]


def named_files(settings: dict) -> list[str]:
    """The files that a model's settings name: its `files`, those in its folders, and its commands' arguments."""
    arguments = [*settings.get("command", []), *(settings.get("losses") or [])]
    named = [data_root() / argument for argument in arguments if (data_root() / argument).is_file()]
    folders = [settings["folder"]] if "folder" in settings else []
    folders += [state["path"] for state in settings.get("earlier", [])]
    named += [data_root() / folder for folder in folders if (data_root() / folder).is_file()]
    named += [path for folder in folders for path in (data_root() / folder).rglob("*") if path.is_file()]
    return sorted({str(path) for path in (*named, *(data_root() / path for path in settings.get("files", [])))})


def variants_of(config: dict, study: str, model: str) -> list[str]:
    """The variants of `model` in a study."""
    entry = config["studies"][study]
    return entry["variants"] + [name for name in entry["more_variants"].get(model, []) if name not in entry["variants"]]


def networks(config: dict, study: str) -> list[dict]:
    """Every generator of a study, as the wildcards of its path: dataset, model, variant, seed."""
    entry = config["studies"][study]
    return [
        {"dataset": dataset, "model": model, "variant": variant, "seed": seed}
        for dataset in entry["datasets"]
        for model in entry["models"]
        for variant in variants_of(config, study, model)
        for seed in entry["seeds"]
    ]


def stopping_networks(config: dict, study: str) -> list[dict]:
    """The networks of a study whose trainings stop by themselves."""
    return [
        network
        for network in networks(config, study)
        if resolve(config, network["model"], network["variant"]).get("training", {}).get("stop")
    ]


def runs(config: dict, study: str) -> list[dict]:
    """Every comparison of a study: `networks` x detectors, with the model's kind."""
    return [
        {**network, "kind": config["models"][network["model"]]["kind"], "detector": detector}
        for network in networks(config, study)
        for detector in config["studies"][study]["detectors"]
    ]


def detectors_that(config: dict, study: dict, function: str) -> list[str]:
    """The detectors of a study whose kind has a function of that name."""
    return [name for name in study["detectors"] if can("detectors", config["detectors"][name]["kind"], function)]


def interval_settings(config: dict, study: str) -> dict:
    """How a study's intervals are resampled."""
    return with_sorted_keys(config["studies"][study]["intervals"])


def compared_detectors(config: dict, study: str) -> list[dict]:
    """Every data set of a study with each of its detectors: dataset, detector."""
    entry = config["studies"][study]
    return [{"dataset": dataset, "detector": name} for dataset in entry["datasets"] for name in entry["detectors"]]


def study_files(config: dict, study: str) -> list[str]:
    """A study's outputs: its tables and figures."""
    entry = config["studies"][study]
    tables = ["scores"]
    tables += ["quality"] if entry["quality"] else []
    tables += ["usefulness"] if entry["usefulness"] else []
    tables += ["mitigations"] if entry["audit"] else []
    tables += ["forecast"] if stopping_networks(config, study) else []
    tables += ["agreement"] if len(entry["detectors"]) > 1 else []
    tables += ["corrected"] if entry["correction"] is not None else []
    files = [f"results/{table}/{study}.csv" for table in tables]
    return files + [f"results/figures/{study}/{figure}.pdf" for figure in entry["figures"]]


def stage_files(config: dict, folder: str, name: str) -> list[str]:
    """The file `name` of every network of every study in results/<folder>, each once."""
    pattern = f"results/{folder}/{{dataset}}/{{model}}/{{variant}}/seed{{seed}}/{name}"
    return list({pattern.format(**network): None for study in config["studies"] for network in networks(config, study)})


def review_files(config: dict, study: str) -> list[str]:
    """The file of people's answers and the key of their pairs, if the configuration names one."""
    answers = config["studies"][study]["correction"]["answers"]
    return [answers, f"results/review/{study}/key.csv"] if answers else []


def correction_settings(config: dict, study: str) -> dict:
    """The transforms of the planted copies that a study's rates are corrected by."""
    return with_sorted_keys({"transforms": config["studies"][study]["correction"]["transforms"]})


def usefulness_settings(config: dict, study: str) -> dict:
    """How long a network learns from samples, and its seed."""
    return with_sorted_keys(config["studies"][study]["usefulness"])


def review_settings(config: dict, study: str) -> dict:
    """Number of pairs that people judge, and the seed."""
    return with_sorted_keys(config["studies"][study]["review"])


def with_sorted_keys(value):
    """A map, or a list of maps, with sorted keys at every depth."""
    if isinstance(value, dict):
        return {key: with_sorted_keys(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [with_sorted_keys(item) for item in value]
    return value


def _overlay(below: dict, above: dict) -> dict:
    merged = copy.deepcopy(below)
    for key, value in above.items():
        both_maps = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _overlay(merged[key], value) if both_maps else copy.deepcopy(value)
    return merged
