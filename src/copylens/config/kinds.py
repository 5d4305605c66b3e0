"""What a file in one of the folders of kinds says about itself, read without importing it.

A configuration's word for a kind is the file's name; its settings, which figures have none of, stand in the file as
SETTINGS, a JSON Schema in YAML (`required` and `properties`; `$ref` leads into workflow/schemas/config.schema.yaml).
"""

import ast
from importlib import import_module
from pathlib import Path

import yaml

PACKAGE = Path(__file__).parents[1]
# Where the files of each sort of kind lie.
FOLDERS = {
    "readers": "data/readers",
    "phantoms": "data/phantoms",
    "models": "generation/models",
    "detectors": "detection/detectors",
    "figures": "reporting/figures",
}
# The public functions that each sort must have, and those that it may have; the folders' docstrings say what they do.
CONTRACTS = {
    "readers": ({"list_scans", "load", "checksum"}, {"files", "patterns"}),
    "phantoms": ({"draw"}, set()),
    "models": ({"build"}, {"sample", "rows", "losses_by_noise", "round_trip"}),
    "detectors": ({"build", "embed"}, {"fit", "lay", "compare", "verify", "where"}),
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
    """What a configuration may say about `kind`, as JSON Schema; ValueError if its file doesn't say."""
    path = path_of(folder, kind)
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["SETTINGS"]:
            return yaml.safe_load(ast.literal_eval(node.value))
    raise ValueError(f"{path}: needs SETTINGS, the JSON Schema of its settings, as a literal text")


def can(folder: str, kind: str, function: str) -> bool:
    """Whether a kind's file has a function of that name."""
    tree = ast.parse(path_of(folder, kind).read_text())
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body)
