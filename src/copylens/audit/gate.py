"""The verdict of an audit as an exit code, for pipelines."""

import json
from pathlib import Path

import jsonschema
import yaml

from copylens.audit.words import FAIL, PASS, UNABLE

SCHEMA = Path(__file__).parents[3] / "workflow" / "schemas" / "verdict.schema.yaml"
CODES = {PASS: 0, FAIL: 1, UNABLE: 2}
ERROR = 3


def gate(folder: Path) -> tuple[int, str]:
    """(exit code, what to say) of the audit in `folder`: 0 PASS, 1 FAIL, 2 NOT ABLE TO SAY, 3 where there is none.

    A verdict that isn't whole, or isn't what `workflow/schemas/verdict.schema.yaml` describes, is an error too.
    """
    path = folder / "public" / "verdict.json"
    try:
        verdict = json.loads(path.read_text())
        jsonschema.validate(verdict, yaml.safe_load(SCHEMA.read_text()))
    except FileNotFoundError:
        return ERROR, f"{path}: no verdict there; make it with: snakemake audits"
    except (json.JSONDecodeError, UnicodeDecodeError, OSError, jsonschema.ValidationError) as error:
        return ERROR, f"{path}: can't be read as a verdict ({str(error).splitlines()[0]}); make it again"
    return CODES[verdict["verdict"]], "\n".join([f"{verdict['audit']}: {verdict['verdict']}", *verdict["reasons"]])
