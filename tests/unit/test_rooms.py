"""The library's rooms depend on one another in one direction, and no files in a circle."""

import ast
import re
from graphlib import CycleError, TopologicalSorter

import pytest
from conftest import ROOT

LIBRARY = ROOT / "src" / "copylens"
# Each may import from those after it; those side by side import nothing from each other.
ROOMS = [
    {"cli"},
    {"auditing"},
    {"evaluation"},
    {"detection"},
    {"generation"},
    {"training"},
    {"data", "imaging", "reporting"},
    {"config", "jobs"},
]


def module_of(path) -> str:
    parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in LIBRARY.rglob("*.py")}


def imports_of(source: str) -> set[str]:
    """Modules of the library that a file imports, also inside its functions."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [
                full if (full := f"{node.module}.{alias.name}") in MODULES else node.module for alias in node.names
            ]
        modules |= {name for name in names if name.split(".")[0] == "copylens"}
    return modules


def level_of(module: str) -> tuple[int, str]:
    room = module.split(".")[1]
    return next(level for level, rooms in enumerate(ROOMS) if room in rooms), room


def against_the_direction(graph: dict[str, set[str]]) -> list[str]:
    """Imports that lead to an earlier room, or to one beside: "file imports file"."""
    wrong = []
    for module, imported in graph.items():
        for other in imported - {"copylens"}:
            (level, room), (below, other_room) = level_of(module), level_of(other)
            if room != other_room and below <= level:
                wrong.append(f"{module} imports {other}")
    return wrong


GRAPH = {module: imports_of(path.read_text()) for module, path in MODULES.items() if module != "copylens"}


def test_no_arrow_leads_up():
    assert against_the_direction(GRAPH) == []


def test_an_arrow_up_is_named():
    wrong = {"copylens.imaging.warps": imports_of("def f():\n    from copylens.auditing import verdict\n")}
    assert against_the_direction(wrong) == ["copylens.imaging.warps imports copylens.auditing.verdict"]


def test_no_files_import_each_other_in_a_circle():
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of files: {' -> '.join(error.args[1])}")


def test_every_file_lies_in_a_room():
    rooms = set().union(*ROOMS)
    assert {module.split(".")[1] for module in GRAPH} == rooms


@pytest.mark.parametrize("room", sorted(set().union(*ROOMS)))
def test_a_rooms_docstring_lists_its_files_and_no_others(room):
    text = ast.get_docstring(ast.parse((LIBRARY / room / "__init__.py").read_text()))
    listed = re.findall(r"^(\w+) {2,}\w", text, re.MULTILINE)
    files = {path.stem for path in (LIBRARY / room).glob("*.py")} - {"__init__"}
    folders = {path.parent.name for path in (LIBRARY / room).glob("*/__init__.py")}
    assert sorted(listed) == sorted(files | folders)


def test_units_are_tested_in_the_room_they_lie_in():
    folders = {path.parent.relative_to(ROOT / "tests" / "unit") for path in (ROOT / "tests/unit").rglob("test_*.py")}
    assert all((LIBRARY / folder).is_dir() for folder in folders)
