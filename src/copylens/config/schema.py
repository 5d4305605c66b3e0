"""Validation of a configuration against its JSON Schema: fills in defaults, and names the first wrong key."""

import copy
import difflib
import functools
import math
import re

import jsonschema
import yaml

from copylens.config.kinds import kinds, settings_schema
from copylens.config.pipeline import pipeline_folder

SCHEMA = pipeline_folder() / "workflow" / "schemas" / "config.schema.yaml"
# Sections whose entries name a file of a folder, and the key that names it.
SECTIONS = {"datasets": ("readers", "reader"), "models": ("models", "kind"), "detectors": ("detectors", "kind")}


def validate(instance: dict, path: str = "", part: tuple[str, ...] = ()) -> None:
    """Check `instance` in place against the schema, or against the part of it that `part` leads to; fills defaults.

    Raises ValueError for the first mistake; `path` is the instance's path in the configuration.
    """
    errors = list(_checker(part).iter_errors(instance))
    if not errors:
        return
    error = min(errors, key=lambda error: _place(instance, list(error.absolute_path)))
    parts = [shown(key) for key in error.absolute_path]
    key = ".".join(([path] if path else []) + parts) or "the configuration"
    raise ValueError(_explain(error, key))


def shown(word) -> str:
    """A key or a text of a configuration in a message: as Python writes it where it's empty or would break the line."""
    return word if isinstance(word, str) and word.isprintable() and word else repr(word)


def _place(instance, path: list[str | int]) -> list[int]:
    """Where a key of `instance` stands: the positions of the path's parts, so that sorting gives the order of a file.

    jsonschema goes through entries in an order of its own, another one in each process.
    """
    place = []
    for key in path:
        place.append(list(instance).index(key) if isinstance(instance, dict) else int(key))
        instance = instance[key]
    return place


def _fill_defaults(validator, properties, instance, schema):
    if isinstance(instance, dict):
        for key, subschema in properties.items():
            if "default" in subschema:
                instance.setdefault(key, copy.deepcopy(subschema["default"]))
    yield from jsonschema.Draft202012Validator.VALIDATORS["properties"](validator, properties, instance, schema)


def _is_integer(checker, value) -> bool:
    """JSON Schema calls 3.0 an integer; Python doesn't."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(checker, value) -> bool:
    """NaN is neither below a minimum nor above a maximum, and would pass as any setting."""
    return _types.is_type(value, "number") and not (isinstance(value, float) and not math.isfinite(value))


_types = jsonschema.Draft202012Validator.TYPE_CHECKER
_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"properties": _fill_defaults},
    type_checker=_types.redefine_many({"integer": _is_integer, "number": _is_number}),
)


# Python refuses some expressions with other errors than re.error.
_formats = jsonschema.FormatChecker()
_formats.checks("regex", raises=(re.error, OverflowError, RecursionError))(
    lambda value: not isinstance(value, str) or bool(re.compile(value))
)


@functools.cache
def _schema() -> dict:
    """The schema file, with the settings of every kind from the kind's own file."""
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    for section, (folder, key) in SECTIONS.items():
        entries = schema["properties"][section]["additionalProperties"]
        entries["allOf"] = []
        for kind in kinds(folder):
            named = {key: {"const": kind}}
            settings = settings_schema(folder, kind)
            settings["properties"] = {**entries["properties"], **named, **settings["properties"]}
            settings["additionalProperties"] = False
            entries["allOf"].append({"if": {"properties": named}, "then": settings})
    return schema


@functools.cache
def _checker(part: tuple[str, ...]):
    subschema = _schema()
    for key in part:
        subschema = subschema[key]
    return _Validator({**subschema, "$defs": _schema()["$defs"]}, format_checker=_formats)


def _explain(error: jsonschema.ValidationError, key: str) -> str:
    """The mistake and its correction, with the key's path."""
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = next(name for name in error.instance if name not in known)
        close = difflib.get_close_matches(str(unknown), known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(known)}"
        prefix = "" if key == "the configuration" else f"{key}."
        return f"{prefix}{shown(unknown)}: unknown key; {hint}"
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
    if error.validator in ("minItems", "maxItems"):
        low, high = error.schema.get("minItems", 0), error.schema.get("maxItems")
        count = f"{low}" if low == high else f"{low} to {high}" if high else f"at least {low}"
        return f"{key}: needs {count} entries, not {len(error.instance)}"
    if error.validator == "minimum" and key.endswith("split.calibration"):
        return f"{key}: {error.instance} patients are too few for a threshold at their 95th percentile; at least 20"
    return f"{key}: {error.message}"
