"""The plug-in files in the folders of kinds, and their settings, read without importing them.

A configuration names a kind by its file's name. The file holds the kind's settings (figures have none) as SETTINGS, a
JSON Schema in YAML (`required` and `properties`; `$ref` leads into workflow/schemas/config.schema.yaml).
"""

import ast
from importlib import import_module
from pathlib import Path

import yaml

PACKAGE = Path(__file__).parents[1]
# The folder of each sort of kind.
FOLDERS = {
    "readers": "data/readers",
    "phantoms": "data/phantoms",
    "models": "generation/models",
    "detectors": "detection/detectors",
    "figures": "reporting/figures",
}
# The required and the optional public functions of each sort; the folders' docstrings describe them.
CONTRACTS = {
    "readers": ({"list_scans", "load", "checksum"}, {"files", "patterns"}),
    "phantoms": ({"draw"}, set()),
    "models": ({"build"}, {"sample", "rows", "losses_by_noise", "errors_by_noise", "round_trip"}),
    "detectors": ({"build", "embed"}, {"fit", "lay", "compare", "verify", "index", "search", "where"}),
    "figures": ({"draw"}, {"pages"}),
}


def kinds(folder: str) -> list[str]:
    """Names that a configuration may use, one per file in `folder`."""
    return sorted(path.stem for path in (PACKAGE / FOLDERS[folder]).glob("*.py") if path.stem != "__init__")


def path_of(folder: str, kind: str) -> Path:
    """The file of one kind."""
    return PACKAGE / FOLDERS[folder] / f"{kind}.py"


def implementation(folder: str, kind: str):
    """The module of one kind, imported."""
    return import_module(".".join((PACKAGE.name, *FOLDERS[folder].split("/"), kind)))


def settings_schema(folder: str, kind: str) -> dict:
    """The JSON Schema of a kind's settings; ValueError if its file has none."""
    path = path_of(folder, kind)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["SETTINGS"]:
            return yaml.safe_load(ast.literal_eval(node.value))
    raise ValueError(f"{path}: needs SETTINGS, the JSON Schema of its settings, as a literal text")


def can(folder: str, kind: str, function: str) -> bool:
    """Whether a kind's file has a function of that name."""
    tree = ast.parse(path_of(folder, kind).read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body)
