"""The verdict of an audit as an exit code, for pipelines."""

import json
from pathlib import Path

import jsonschema
import yaml

from copylens.auditing.outcomes import FAIL, PASS, UNABLE
from copylens.data import source_files
from copylens.jobs.checksums import checked, digest
from copylens.jobs.job import one_line

SCHEMA = Path(__file__).with_name("verdict.schema.yaml")
CODES = {PASS: 0, FAIL: 1, UNABLE: 2}
ERROR = 3


def gate(folder: Path) -> tuple[int, str]:
    """(exit code, message) for the audit in `folder`: 0 PASS, 1 FAIL, 2 NOT ABLE TO SAY, 3 without a valid verdict.

    A verdict is valid if it is whole, matches verdict.schema.yaml, and is about the files that are there now.
    """
    path = folder / "public" / "verdict.json"
    try:
        schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        return ERROR, f"{SCHEMA}: can't be read ({_first(error)}); install copylens again"
    try:
        verdict = json.loads(checked(path).read_text(encoding="utf-8"))
        jsonschema.validate(verdict, schema)
    except FileNotFoundError:
        return ERROR, f"{path}: no verdict there; make it with: snakemake audits"
    except (ValueError, OSError, jsonschema.ValidationError) as error:
        return ERROR, f"{path}: can't be read as a verdict ({_first(error)}); make it again with: snakemake audits"
    other = _other_files(verdict, folder / "restricted" / "files.json")
    if other:
        return ERROR, f"{verdict['audit']}: the verdict isn't about the present files: {one_line('; '.join(other))}"
    return CODES[verdict["verdict"]], "\n".join([f"{verdict['audit']}: {verdict['verdict']}", *verdict["reasons"]])


def _other_files(verdict: dict, path: Path) -> list[str]:
    """Differences between the user's files and the audited ones; empty if there are none."""
    again = "audit them with: snakemake audits"
    try:
        parts = source_files.read(path)
        audited = {f"{part}_files": digest(of_part["files"]) for part, of_part in parts.items()}
        named = {key: value for key, value in verdict["provenance"]["checksums"].items() if key.endswith("_files")}
        if audited != named:
            return [f"{path} belongs to another verdict", again]
        changes = source_files.changes(parts)
    except FileNotFoundError:
        return [f"{path} is missing: it lists the audited files", again]
    except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        return [f"{path} can't be read ({_first(error)}): it lists the audited files", again]
    return [*changes, again] if changes else []


def _first(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
