"""Every file of a kind keeps to the contract of its folder, and the library asks for nothing that no contract has."""

import ast
from importlib import import_module

import pytest

from copylens.config.kinds import CONTRACTS, FOLDERS, PACKAGE, implementation, kinds

EVERY = [(folder, kind) for folder in CONTRACTS for kind in kinds(folder)]


def public_functions(source: str) -> set[str]:
    tree = ast.parse(source)
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
    }


def unknown(folder: str, source: str) -> set[str]:
    """Public functions of a kind's file that its contract doesn't know."""
    required, optional = CONTRACTS[folder]
    return public_functions(source) - required - optional


@pytest.mark.parametrize(("folder", "kind"), EVERY)
def test_a_kind_has_what_it_must_and_nothing_unknown(folder, kind):
    module = implementation(folder, kind)
    missing = {name for name in CONTRACTS[folder][0] if not callable(getattr(module, name, None))}
    assert not missing, f"{folder}/{kind}.py lacks {missing}"
    source = (PACKAGE / FOLDERS[folder] / f"{kind}.py").read_text()
    assert not unknown(folder, source), f"{folder}/{kind}.py"


def test_a_function_that_no_contract_knows_is_named():
    assert unknown("detectors", "def build(): ...\ndef emmbed(): ...\ndef _helper(): ...\n") == {"emmbed"}


def test_the_library_asks_for_no_function_that_no_contract_has():
    """By `hasattr`, or of the configuration: `can`, `detectors_that`."""
    asked = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            named = getattr(node, "func", None)
            if getattr(named, "id", getattr(named, "attr", None)) in ("hasattr", "can", "detectors_that"):
                asked |= {each.value for each in node.args if isinstance(each, ast.Constant)}
    known = set().union(*(optional for _, optional in CONTRACTS.values()))
    assert asked - known <= {"StandardGpuResources", "detectors", "models"}
    assert {"rows", "losses_by_noise", "files", "patterns", "lay", "fit"} <= asked


@pytest.mark.parametrize("folder", CONTRACTS)
def test_the_folders_docstring_says_what_each_function_does(folder):
    text = import_module(".".join(("copylens", *FOLDERS[folder].split("/")))).__doc__
    required, optional = CONTRACTS[folder]
    assert all(f"``{name}(" in text or f"{name}(" in text for name in required | optional)
