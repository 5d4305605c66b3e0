"""The configuration: checked against the schema, filled with its defaults, and resolved to the settings of one run.

Imports neither torch nor numpy, because every cluster job reads the Snakefile again. What is returned has sorted keys:
Snakemake compares parameters by their text, and reordering a configuration must not retrain anything.
"""

import copy
import difflib
import re
from pathlib import Path

import jsonschema
import yaml

PACKAGE = Path(__file__).parent
SCHEMA = PACKAGE.parents[1] / "workflow" / "schemas" / "config.schema.yaml"

# Which part of a data set's entry belongs to which stage; what is in neither list tells the reader where to look.
IMAGE_KEYS = ("grid", "fit", "scaling")
SPLIT_KEYS = ("split",)
# Keys that say how a trained network is used; changing one must not train again.
USAGE_KEYS = ("sampling", "neighbours")


def kinds(folder: str) -> list[str]:
    """Names that a configuration may use, one per file in `folder` (readers, models, detectors or figures)."""
    return sorted(path.stem for path in (PACKAGE / folder).glob("*.py") if path.stem != "__init__")


def load_config(path: Path) -> dict:
    """The configuration in a YAML file, checked; raises ValueError as `check` does."""
    return check(yaml.safe_load(Path(path).read_text()))


def check(config: dict) -> dict:
    """A copy of `config` with every default filled in.

    Raises ValueError with the path of the first key that is wrong and what would be right.
    """
    schema = yaml.safe_load(SCHEMA.read_text())
    config = copy.deepcopy(config)
    _validate(config, schema, schema, "")
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
    schema = yaml.safe_load(SCHEMA.read_text())
    entry_schema = schema["properties"]["models"]["additionalProperties"]
    _validate(settings, entry_schema, schema, f"variants.{variant} (laid over models.{model})")
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


def autoencoder_of(config: dict, model: str, variant: str) -> tuple[str, str] | None:
    """(model, variant) of the autoencoder that `model` works in the latent space of; None if it has none."""
    named = resolve(config, model, variant).get("autoencoder")
    return (named["model"], named["variant"]) if named else None


def networks(config: dict, study: str) -> list[dict]:
    """Every generator of a study, as the wildcards of its path: dataset, model, variant, seed."""
    entry = config["studies"][study]
    return [
        {"dataset": dataset, "model": model, "variant": variant, "seed": seed}
        for dataset in entry["datasets"]
        for model in entry["models"]
        for variant in entry["variants"]
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
            folder = f"results/models/{run['dataset']}/{model}/{variant}/seed{run['seed']}"
            label = model if variant == "base" else f"{model} {variant}"
            found[folder] = {"dataset": run["dataset"], "network": label, "folder": folder}
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


def _fill_defaults(validator, properties, instance, schema):
    if isinstance(instance, dict):
        for key, subschema in properties.items():
            if "default" in subschema:
                instance.setdefault(key, copy.deepcopy(subschema["default"]))
    yield from jsonschema.Draft202012Validator.VALIDATORS["properties"](validator, properties, instance, schema)


_Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"properties": _fill_defaults})


def _validate(instance, subschema: dict, schema: dict, path: str) -> None:
    """Check `instance` in place against a part of `schema`, filling defaults; ValueError for the first thing wrong."""
    rooted = {**subschema, "$defs": schema["$defs"]}
    checker = _Validator(rooted, format_checker=jsonschema.FormatChecker())
    error = next(iter(checker.iter_errors(instance)), None)
    if error is None:
        return
    parts = [str(part) for part in error.absolute_path]
    key = ".".join(([path] if path else []) + parts) or "the configuration"
    raise ValueError(_explain(error, key))


def _explain(error: jsonschema.ValidationError, key: str) -> str:
    """What is wrong and what would be right, with the key's path."""
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = next(name for name in error.instance if name not in known)
        close = difflib.get_close_matches(unknown, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(known)}"
        prefix = "" if key == "the configuration" else f"{key}."
        return f"{prefix}{unknown}: unknown key; {hint}"
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{key}: missing {', '.join(missing)}"
    if error.validator == "type":
        wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
        # YAML 1.1 takes 1e-4 for text.
        hint = "; write a number like 1.0e-4" if "number" in wanted and isinstance(error.instance, str) else ""
        return f"{key}: must be {' or '.join(wanted)}, not {error.instance!r}{hint}"
    if error.validator == "enum":
        return f"{key}: must be one of {', '.join(map(str, error.validator_value))}, not {error.instance!r}"
    return f"{key}: {error.message}"


def _check_kind(key: str, kind: str, folder: str) -> None:
    if kind not in kinds(folder):
        raise ValueError(f"{key}: unknown {folder.removesuffix('s')} '{kind}'; there are {', '.join(kinds(folder))}")


def _check_dataset(key: str, entry: dict) -> None:
    is_3d = entry.get("anatomy") in ("ct", "mr") if entry["reader"] == "phantom" else None
    if is_3d is not None and len(entry["grid"]) != 2 + is_3d:
        raise ValueError(f"{key}.grid: the {entry['anatomy']} phantom needs {2 + is_3d} sizes, not {entry['grid']}")
    if "patient" in entry and re.compile(entry["patient"]).groups < 1:
        raise ValueError(f"{key}.patient: needs a group, (...), that holds the patient's id; got '{entry['patient']}'")
    scaling = entry["scaling"]
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
            raise errors[-1]


def _check_autoencoder(config: dict, key: str, settings: dict) -> None:
    named = settings.get("autoencoder")
    if named is None:
        return
    _check_reference(f"{key}.autoencoder.model", named["model"], config["models"])
    _check_reference(f"{key}.autoencoder.variant", named["variant"], config["variants"])
    if "latent_channels" not in config["models"][named["model"]]:
        raise ValueError(f"{key}.autoencoder.model: '{named['model']}' has no latent space (no latent_channels)")
    resolve(config, named["model"], named["variant"])


def _check_study(config: dict, key: str, study: dict) -> None:
    for section in ("datasets", "models", "variants", "detectors"):
        for position, name in enumerate(study[section]):
            _check_reference(f"{key}.{section}[{position}]", name, config[section])
    for position, name in enumerate(study["figures"]):
        _check_kind(f"{key}.figures[{position}]", name, "figures")
    for position, model in enumerate(study["models"]):
        if "sampling" not in config["models"][model]:
            raise ValueError(f"{key}.models[{position}]: '{model}' can't be sampled, so it can't be studied by itself")
        for variant in study["variants"]:
            settings = resolve(config, model, variant)
            _check_autoencoder(config, f"models.{model} with variants.{variant}", settings)
            for dataset in study["datasets"]:
                _check_halvings(config, dataset, model, settings)


def _check_halvings(config: dict, dataset: str, model: str, settings: dict) -> None:
    """A latent network's grid, and its autoencoder's, must be known to fit before hours of training."""
    named = settings.get("autoencoder")
    below = resolve(config, named["model"], named["variant"]) if named else None
    if below is None and "latent_channels" not in settings:
        return
    times = len(settings["channels"]) - 1 + (len(below["channels"]) - 1 if below else 0)
    both = f"{model} and its autoencoder" if below else model
    halve(config["datasets"][dataset]["grid"], times, f"datasets.{dataset}.grid (for {both})")


def _check_reference(key: str, name: str, entries: dict) -> None:
    if name not in entries:
        raise ValueError(f"{key}: no entry '{name}'; there are {', '.join(entries)}")
