"""The configuration: checked against the schema, filled with its defaults, and resolved to the settings of one run.

Imports neither torch nor numpy, because every cluster job reads the Snakefile again. What is returned has sorted keys:
Snakemake compares parameters by their text, and reordering a configuration must not retrain anything.
"""

import copy
import os
import re
from pathlib import Path

import yaml

from copylens.kinds import kinds
from copylens.schema import validate

# Which part of a data set's entry belongs to which stage; what is in neither list tells the reader where to look.
IMAGE_KEYS = ("grid", "fit", "scaling")
SPLIT_KEYS = ("split",)
# Keys that say how a trained network is used; changing one must not train again.
USAGE_KEYS = ("sampling", "neighbours")


def load_config(path: Path) -> dict:
    """The configuration in a YAML file, checked; raises ValueError as `check` does."""
    return check(yaml.safe_load(Path(path).read_text()))


def check(config: dict) -> dict:
    """A copy of `config` with every default filled in.

    Raises ValueError with the path of the first key that is wrong and what would be right.
    """
    config = copy.deepcopy(config)
    validate(config)
    for name, entry in config["datasets"].items():
        _check_kind(f"datasets.{name}.reader", entry["reader"], "readers")
        _check_dataset(f"datasets.{name}", entry)
    for section in ("models", "detectors"):
        for name, entry in config[section].items():
            _check_kind(f"{section}.{name}.kind", entry["kind"], section)
    _check_variants(config)
    for name in config["models"]:
        _check_autoencoder(config, f"models.{name}", config["models"][name])
    for name, study in config["studies"].items():
        _check_study(config, f"studies.{name}", study)
    return config


def data_root() -> Path:
    """The folder that paths in a configuration are relative to."""
    return Path(os.environ.get("COPYLENS_DATA", "data"))


def listing_settings(config: dict, dataset: str) -> dict:
    """What a reader needs to list and to load the scans of `dataset`."""
    entry = config["datasets"][dataset]
    return _sorted({key: entry[key] for key in entry if key not in IMAGE_KEYS + SPLIT_KEYS})


def image_settings(config: dict, dataset: str) -> dict:
    """How the scans of `dataset` become one array: grid, fit, scaling."""
    return _sorted({key: config["datasets"][dataset][key] for key in IMAGE_KEYS})


def split_settings(config: dict, dataset: str) -> dict:
    """How many patients of `dataset` are for training, calibration and control."""
    return _sorted(config["datasets"][dataset]["split"])


def resolve(config: dict, model: str, variant: str) -> dict:
    """The settings of `model` with `variant` laid over them, checked again and sorted."""
    settings = _overlay(config["models"][model], config["variants"][variant])
    part = ("properties", "models", "additionalProperties")
    validate(settings, f"variants.{variant} (laid over models.{model})", part)
    return _sorted(settings)


def training_settings(config: dict, model: str, variant: str) -> dict:
    """The part of `resolve` that a model's weights depend on."""
    return {key: value for key, value in resolve(config, model, variant).items() if key not in USAGE_KEYS}


def sampling_settings(config: dict, model: str, variant: str) -> dict:
    """How images are drawn from a trained model."""
    return resolve(config, model, variant)["sampling"]


def detector_settings(config: dict, detector: str) -> dict:
    """The part of a detector's entry that its weights depend on."""
    entry = config["detectors"][detector]
    return _sorted({key: entry[key] for key in entry if key not in USAGE_KEYS})


def detector_files(config: dict, detector: str) -> list[str]:
    """The user's files that a detector is made of."""
    entry = config["detectors"][detector]
    return [str(data_root() / entry["file"])] if "file" in entry else []


def autoencoder_of(config: dict, model: str, variant: str) -> tuple[str, str] | None:
    """(model, variant) of the autoencoder that `model` works in the latent space of; None if it has none."""
    named = resolve(config, model, variant).get("autoencoder")
    return (named["model"], named["variant"]) if named else None


def variants_of(config: dict, study: str, model: str) -> list[str]:
    """The variants of `model` that a study looks at."""
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


def runs(config: dict, study: str) -> list[dict]:
    """Every comparison of a study: `networks` x detectors, with the model's kind."""
    return [
        {**network, "kind": config["models"][network["model"]]["kind"], "detector": detector}
        for network in networks(config, study)
        for detector in config["studies"][study]["detectors"]
    ]


def interval_settings(config: dict, study: str) -> dict:
    """How a study's intervals are resampled."""
    return _sorted(config["studies"][study]["intervals"])


def trained_networks(config: dict, study: str) -> list[dict]:
    """Every network that a study trains, each once: dataset, network (its label) and folder in results/."""
    found = {}
    for run in runs(config, study):
        named = [(run["model"], run["variant"]), autoencoder_of(config, run["model"], run["variant"])]
        for model, variant in filter(None, named):
            if "training" not in config["models"][model]:
                continue
            folder = f"results/models/{run['dataset']}/{model}/{variant}/seed{run['seed']}"
            label = model if variant == "base" else f"{model} {variant}"
            found[folder] = {"dataset": run["dataset"], "network": label, "folder": folder}
        if "training" not in config["detectors"][run["detector"]]:
            continue
        folder = f"results/detectors/{run['dataset']}/{run['detector']}"
        found[folder] = {"dataset": run["dataset"], "network": run["detector"], "folder": folder}
    return list(found.values())


def halve(shape: list[int], times: int, what: str) -> list[int]:
    """`shape` after `times` halvings. ValueError that says which sizes would fit if one can't be halved evenly."""
    factor = 2**times
    if any(size % factor for size in shape):
        fitting = [max(1, round(size / factor)) * factor for size in shape]
        raise ValueError(
            f"{what}: {'x'.join(map(str, shape))} can't be halved {times} times; "
            f"every size must be a multiple of {factor}, for example {'x'.join(map(str, fitting))}"
        )
    return [size // factor for size in shape]


def _sorted(value):
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


def _overlay(below: dict, above: dict) -> dict:
    merged = copy.deepcopy(below)
    for key, value in above.items():
        both_maps = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _overlay(merged[key], value) if both_maps else copy.deepcopy(value)
    return merged


def _check_kind(key: str, kind: str, folder: str) -> None:
    if kind not in kinds(folder):
        raise ValueError(f"{key}: unknown {folder.removesuffix('s')} '{kind}'; there are {', '.join(kinds(folder))}")


def _check_dataset(key: str, entry: dict) -> None:
    is_3d = entry.get("anatomy") in ("ct", "mr") if entry["reader"] == "phantom" else None
    if is_3d is not None and len(entry["grid"]) != 2 + is_3d:
        raise ValueError(f"{key}.grid: the {entry['anatomy']} phantom needs {2 + is_3d} sizes, not {entry['grid']}")
    if "patient" in entry and re.compile(entry["patient"]).groups < 1:
        raise ValueError(f"{key}.patient: needs a group, (...), that holds the patient's id; got '{entry['patient']}'")
    if entry["reader"] == "phantom":
        wanted = sum(entry["split"][role] for role in ("train", "calibration", "control"))
        if wanted > entry["n_patients"]:
            raise ValueError(f"{key}.split: asks for {wanted} patients, but {key}.n_patients is {entry['n_patients']}")
    scaling = entry["scaling"]
    if scaling["kind"] == "minmax" and {"low", "high"} & set(scaling):
        raise ValueError(f"{key}.scaling: low and high need a kind, percentile or window; minmax has no use for them")
    if scaling["kind"] != "minmax" and scaling["low"] >= scaling["high"]:
        raise ValueError(f"{key}.scaling: low ({scaling['low']}) must be below high ({scaling['high']})")
    if scaling["kind"] == "percentile" and not 0 <= scaling["low"] < scaling["high"] <= 100:
        raise ValueError(f"{key}.scaling: percentiles must lie between 0 and 100")


def _check_variants(config: dict) -> None:
    """Each variant must fit at least one model; which ones it must fit is the studies' word."""
    for variant in config["variants"]:
        errors = []
        for model in config["models"]:
            try:
                resolve(config, model, variant)
            except ValueError as error:
                errors.append(error)
        if len(errors) == len(config["models"]):
            raise next((error for error in errors if "did you mean" in str(error)), errors[-1])


def _check_autoencoder(config: dict, key: str, settings: dict) -> None:
    _check_network(key, settings)
    named = settings.get("autoencoder")
    if named is None:
        return
    _check_reference(f"{key}.autoencoder.model", named["model"], config["models"])
    _check_reference(f"{key}.autoencoder.variant", named["variant"], config["variants"])
    if "latent_channels" not in config["models"][named["model"]]:
        raise ValueError(f"{key}.autoencoder.model: '{named['model']}' has no latent space (no latent_channels)")
    resolve(config, named["model"], named["variant"])


def _check_network(key: str, settings: dict) -> None:
    """What would fail only when the network is built, or when it is sampled after hours of training."""
    channels = settings.get("channels", [])
    levels = settings.get("attention_levels")
    if levels and len(levels) != len(channels):
        raise ValueError(f"{key}.attention_levels: needs {len(channels)} entries, one per channel width")
    groups = settings.get("norm_groups")
    if groups and any(width % groups for width in channels):
        raise ValueError(f"{key}.channels: every width must be a multiple of norm_groups ({groups}), not {channels}")
    sampling = settings.get("sampling", {})
    if sampling.get("sampler") == "ddim" and sampling["steps"] > settings["timesteps"]:
        raise ValueError(f"{key}.sampling.steps: at most timesteps ({settings['timesteps']}), not {sampling['steps']}")


def _check_study(config: dict, key: str, study: dict) -> None:
    for section in ("datasets", "models", "variants", "detectors"):
        for position, name in enumerate(study[section]):
            _check_reference(f"{key}.{section}[{position}]", name, config[section])
    for model, names in study["more_variants"].items():
        _check_reference(f"{key}.more_variants", model, dict.fromkeys(study["models"]))
        for position, name in enumerate(names):
            _check_reference(f"{key}.more_variants.{model}[{position}]", name, config["variants"])
    if study["quality"] is not None:
        _check_reference(f"{key}.quality", study["quality"], config["detectors"])
    for position, name in enumerate(study["figures"]):
        _check_kind(f"{key}.figures[{position}]", name, "figures")
    for position, model in enumerate(study["models"]):
        if "sampling" not in config["models"][model]:
            raise ValueError(f"{key}.models[{position}]: '{model}' can't be sampled, so it can't be studied by itself")
        for variant in study["variants"] + study["more_variants"].get(model, []):
            settings = resolve(config, model, variant)
            both = f"models.{model}" if variant == "base" else f"models.{model} with variants.{variant}"
            _check_autoencoder(config, both, settings)
            for dataset in study["datasets"]:
                _check_halvings(config, dataset, model, settings)
                _check_n_train(config, dataset, both, settings)


def _check_n_train(config: dict, dataset: str, both: str, settings: dict) -> None:
    """Where every patient has one image, it's known before anything is listed how many there are."""
    split = config["datasets"][dataset]["split"]
    if split["scans_per_patient"] == 1 and (settings.get("n_train") or 0) > split["train"]:
        raise ValueError(
            f"{both}.n_train: asks for {settings['n_train']} training images, but datasets.{dataset}.split.train has "
            f"{split['train']} patients with one image each"
        )


def _check_halvings(config: dict, dataset: str, model: str, settings: dict) -> None:
    """Every level but a network's first halves: whether the grid allows it must be known before hours of training."""
    named = settings.get("autoencoder")
    below = resolve(config, named["model"], named["variant"]) if named else None
    times = sum(len(network["channels"]) - 1 for network in (settings, below or {}) if "channels" in network)
    both = f"{model} and its autoencoder" if below else model
    halve(config["datasets"][dataset]["grid"], times, f"datasets.{dataset}.grid (for {both})")


def _check_reference(key: str, name: str, entries: dict) -> None:
    if name not in entries:
        raise ValueError(f"{key}: no entry '{name}'; there are {', '.join(entries)}")
