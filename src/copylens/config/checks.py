"""Checks of a configuration: against the schema, which fills in the defaults, and beyond it."""

import itertools
import re
from pathlib import Path

import yaml

from copylens.config import audit_spec, spec
from copylens.config.grids import halve
from copylens.config.kinds import can, kinds
from copylens.config.model_checks import check_model, check_network, check_reference
from copylens.config.schema import shown, validate


def load_config(path: Path) -> dict:
    """The configuration in a YAML file, checked; raises ValueError as `check` does."""
    return check(yaml.safe_load(Path(path).read_text(encoding="utf-8")))


def check(config: dict) -> dict:
    """A copy of `config` with every default filled in.

    Raises ValueError with the path of the first wrong key, and with its correction.
    """
    config = _separate(config)
    validate(config)
    for name, entry in config["datasets"].items():
        _check_kind(f"datasets.{name}.reader", entry["reader"], "readers")
        _check_dataset(f"datasets.{name}", entry)
    for section in ("models", "detectors"):
        for name, entry in config[section].items():
            _check_kind(f"{section}.{name}.kind", entry["kind"], section)
    for name, entry in config["detectors"].items():
        if entry.get("training", {}).get("stop"):
            raise ValueError(f"detectors.{name}.training.stop: detectors don't denoise; leave it out")
    _check_variants(config)
    for name, entry in config["datasets"].items():
        _check_planted(f"datasets.{name}.planted.transforms", entry["planted"]["transforms"], entry["grid"])
        if entry["duplicates"] is not None:
            _check_duplicates(config, f"datasets.{name}.duplicates.detector", entry["duplicates"]["detector"])
        _check_round_trip(config, f"datasets.{name}.planted.round_trip", entry["planted"]["round_trip"])
    for name in config["models"]:
        check_model(config, f"models.{name}", config["models"][name])
    for name, study in config["studies"].items():
        _check_study(config, f"studies.{name}", study)
    if not config["studies"] and not config["audits"]:
        raise ValueError("studies, audits: there is neither; name at least one study or one audit")
    for name in config["studies"]:
        _add_audits(config, name)
    for name, audit in config["audits"].items():
        _check_audit(config, f"audits.{name}", audit)
    return config


def _add_audits(config: dict, study: str) -> None:
    """Add the audits of a study's networks to those of the configuration."""
    for name, audit in audit_spec.of_study(config, study).items():
        if config["audits"].setdefault(name, audit) != audit:
            raise ValueError(
                f"audits.{name}: studies.{study}.audit makes another audit of this name; call it otherwise"
            )


def _separate(value, place: str = ""):
    """A copy in which no part is in two places, as aliases of YAML have it: each entry fills in defaults of its own.

    Raises ValueError for a key that isn't text: YAML reads on, 1 and null as other things.
    """
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"{place}{key!r}: a key must be text; write it in quotes")
        return {key: _separate(part, f"{place}{shown(key)}.") for key, part in value.items()}
    if isinstance(value, list):
        return [_separate(part, f"{place}{number}.") for number, part in enumerate(value)]
    return value


def _check_duplicates(config: dict, key: str, name: str) -> None:
    check_reference(key, name, config["detectors"])
    if "training" in config["detectors"][name]:
        raise ValueError(f"{key}: '{name}' needs training, but there is no split yet; use one without training")


def _check_kind(key: str, kind: str, folder: str) -> None:
    if kind not in kinds(folder):
        raise ValueError(f"{key}: unknown {folder.removesuffix('s')} {kind!r}; there are {', '.join(kinds(folder))}")


def _check_dataset(key: str, entry: dict) -> None:
    is_3d = entry.get("anatomy") in ("ct", "mr") if entry["reader"] == "phantom" else None
    if is_3d is not None and len(entry["grid"]) != 2 + is_3d:
        raise ValueError(f"{key}.grid: the {entry['anatomy']} phantom needs {2 + is_3d} sizes, not {entry['grid']}")
    for name in ("table", "about", "only", "outside_links"):
        if name in entry and "root" not in entry:
            raise ValueError(f"{key}.{name}: the reader {entry['reader']} opens no files; leave it out")
    for column in entry.get("only", {}):
        if column not in entry.get("about", []):
            raise ValueError(f"{key}.only: no column {column!r} in {key}.about; name it there")
    if entry.get("patient") is not None and "table" in entry:
        raise ValueError(f"{key}.patient: the table {shown(entry['table'])} gives the patients too; leave out one")
    if entry.get("patient") is not None and re.compile(entry["patient"]).groups < 1:
        raise ValueError(f"{key}.patient: needs a group, (...), of the patient's id; got {shown(entry['patient'])}")
    if entry["reader"] == "phantom" and entry["split"] is not None:
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
    """Each variant must fit at least one model; a study checks those that it combines."""
    for variant in config["variants"]:
        errors = []
        for model in config["models"]:
            try:
                spec.resolve(config, model, variant)
            except ValueError as error:
                errors.append(error)
        if errors and len(errors) == len(config["models"]):
            raise next((error for error in errors if "did you mean" in str(error)), errors[-1])


def _check_planted(key: str, transforms: list[str], grid: list[int]) -> None:
    for name, dims in (("jpeg", 2), ("slice_order", 3)):
        if name in transforms and len(grid) != dims:
            raise ValueError(f"{key}: {name} is for {dims}D images; the grid is {grid}")


def _check_round_trip(config: dict, key: str, named: dict | None) -> None:
    if named is None:
        return
    check_reference(f"{key}.model", named["model"], config["models"])
    check_reference(f"{key}.variant", named["variant"], config["variants"])
    kind = spec.resolve(config, named["model"], named["variant"])["kind"]
    if kind != "latent_diffusion":
        raise ValueError(f"{key}.model: '{named['model']}' is of kind {kind}; a latent_diffusion is needed")


def _check_study(config: dict, key: str, study: dict) -> None:
    for section in ("datasets", "models", "variants", "detectors"):
        for position, name in enumerate(study[section]):
            check_reference(f"{key}.{section}[{position}]", name, config[section])
    for name in study["datasets"]:
        if config["datasets"][name]["split"] is None and "table" not in config["datasets"][name]:
            raise ValueError(
                f"datasets.{name}.split: {key} needs it, or a table with a column split, to choose training, "
                "calibration and control patients"
            )
    for model, names in study["more_variants"].items():
        check_reference(f"{key}.more_variants", model, dict.fromkeys(study["models"]))
        for position, name in enumerate(names):
            check_reference(f"{key}.more_variants.{model}[{position}]", name, config["variants"])
    if study["quality"] is not None:
        check_reference(f"{key}.quality", study["quality"], config["detectors"])
    if study["usefulness"]:
        _check_usefulness(config, key, study)
    if study["audit"] is not None and study["quality"] is None:
        raise ValueError(f"{key}.quality: name a detector, such as one of kind random_features; {key}.audit needs it")
    if "privacy_and_quality" in study["figures"] and study["audit"] is None:
        raise ValueError(f"{key}.audit: the figure privacy_and_quality needs it, such as {{detectors: [...]}}")
    for position, name in enumerate(study["figures"]):
        _check_kind(f"{key}.figures[{position}]", name, "figures")
    drawn = [name for name in study["datasets"] if config["datasets"][name]["planted"]["families"]]
    if "severity_curves" in study["figures"] and len(drawn) < len(study["datasets"]):
        without = next(name for name in study["datasets"] if name not in drawn)
        raise ValueError(f"{key}.figures: severity_curves needs datasets.{without}.planted.families, such as {{}}")
    if "copied_regions" in study["figures"] and not spec.detectors_that(config, study, "where"):
        raise ValueError(
            f"{key}.figures: copied_regions needs a detector that locates copies, such as one of kind copylens"
        )
    for position, model in enumerate(study["models"]):
        if "sampling" not in config["models"][model]:
            raise ValueError(f"{key}.models[{position}]: '{model}' can't be sampled, so it can't be studied by itself")
        for variant in study["variants"] + study["more_variants"].get(model, []):
            for dataset in study["datasets"]:
                check_network(config, dataset, model, variant)


def _check_usefulness(config: dict, key: str, study: dict) -> None:
    """The networks that learn from samples halve images twice; of classes, no patient may be in two."""
    for name in study["datasets"]:
        halve(config["datasets"][name]["grid"], 2, f"datasets.{name}.grid (for {key}.usefulness)")
    if not study["usefulness"]["classes"]:
        return
    if len(study["datasets"]) < 2:
        raise ValueError(f"{key}.usefulness.classes: {key}.datasets names one class only; name a data set for each")
    for one, other in itertools.combinations(study["datasets"], 2):
        first, second = (config["datasets"][name] for name in (one, other))
        if first["grid"] != second["grid"]:
            raise ValueError(f"datasets.{other}.grid: must be that of datasets.{one} ({key}.usefulness.classes)")
        values = first.get("only", {})
        apart = any(values.get(column, value) != value for column, value in second.get("only", {}).items())
        if not apart and spec.source_of(config, one) == spec.source_of(config, other):
            raise ValueError(
                f"datasets.{other}.only: must name another value than datasets.{one}.only in one of its columns, or "
                f"patients could be in both ({key}.usefulness.classes)"
            )


def _check_audit(config: dict, key: str, audit: dict) -> None:
    for part in ("training", "held_out"):
        if audit[part] is not None:
            check_reference(f"{key}.{part}", audit[part], config["datasets"])
    training = config["datasets"][audit["training"]]
    if audit["held_out"] is None and training["split"] is None and "table" not in training:
        raise ValueError(
            f"{key}.held_out: name a data set of patients who weren't trained on, or give datasets.{audit['training']} "
            "a split, or a table with one"
        )
    if audit["held_out"] == audit["training"]:
        raise ValueError(f"{key}.held_out: is the training set; leave it out where that set's split has these patients")
    for position, name in enumerate(audit["detectors"]):
        check_reference(f"{key}.detectors[{position}]", name, config["detectors"])
    _check_planted(f"{key}.policy.transforms", audit["policy"]["transforms"], training["grid"])
    synthetic = audit["synthetic"]
    if "model" in synthetic:
        check_reference(f"{key}.synthetic.model", synthetic["model"], config["models"])
        check_reference(f"{key}.synthetic.variant", synthetic["variant"], config["variants"])
        settings = spec.resolve(config, synthetic["model"], synthetic["variant"])
        if "sampling" not in settings:
            raise ValueError(f"{key}.synthetic.model: '{synthetic['model']}' can't be sampled")
        if training["split"] is None and "table" not in training:
            raise ValueError(f"datasets.{audit['training']}.split: {key} needs it to train '{synthetic['model']}'")
        check_network(config, audit["training"], synthetic["model"], synthetic["variant"])
    else:
        check_reference(f"{key}.synthetic.dataset", synthetic["dataset"], config["datasets"])
    if audit["weights"]:
        _check_weights(config, f"{key}.weights", synthetic)
    for part, name in (("held_out", audit["held_out"]), ("synthetic.dataset", synthetic.get("dataset"))):
        for image_key in spec.IMAGE_KEYS if name else ():
            if config["datasets"][name][image_key] != training[image_key]:
                raise ValueError(
                    f"datasets.{name}.{image_key}: must be that of datasets.{audit['training']}, because {key}.{part} "
                    "is compared with it"
                )


def _check_weights(config: dict, key: str, synthetic: dict) -> None:
    """Membership is tested by the denoising losses of a model."""
    model = config["models"].get(synthetic.get("model"))
    able = [name for name in kinds("models") if can("models", name, "errors_by_noise")]
    if model is None or model["kind"] not in able:
        raise ValueError(f"{key}: membership is tested on a model of one of these kinds only: {', '.join(able)}")
    if "losses" in model and model["losses"] is None:
        raise ValueError(f"{key}: give models.{synthetic['model']}.losses, the command that measures denoising losses")
