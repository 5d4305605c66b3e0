"""Files and functions that grow beyond these sizes hold two subjects."""

import ast

import pytest
from conftest import ROOT

LIBRARY = ROOT / "src" / "copylens"
LONGEST_FILE, LONGEST_FUNCTION, MOST_PARAMETERS = 300, 60, 7


def parameters_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """What a caller gives: all but self and cls."""
    listed = function.args
    names = [argument.arg for argument in (*listed.posonlyargs, *listed.args, *listed.kwonlyargs)]
    names += [argument.arg for argument in (listed.vararg, listed.kwarg) if argument]
    return [name for name in names if name not in ("self", "cls")]


def too_large(source: str) -> list[str]:
    """What is beyond the sizes, each with its number."""
    wrong, n_lines = [], len(source.splitlines())
    if n_lines > LONGEST_FILE:
        wrong.append(f"{n_lines} lines")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length, parameters = node.end_lineno - node.lineno + 1, parameters_of(node)
            if length > LONGEST_FUNCTION:
                wrong.append(f"{node.name}: {length} lines")
            if len(parameters) > MOST_PARAMETERS:
                wrong.append(f"{node.name}: {len(parameters)} parameters")
    return wrong


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.py")), ids=lambda path: str(path.relative_to(LIBRARY)))
def test_no_file_and_no_function_is_too_large(path):
    assert too_large(path.read_text()) == []


def test_what_is_too_large_is_named():
    long = "def draw():\n" + "    pass\n" * 60
    wide = "def judge(a, b, c, d, *, e, f, g, h):\n    pass\n"
    assert too_large(long + wide) == ["draw: 61 lines", "judge: 8 parameters"]
    assert too_large("x = 1\n" * 301) == ["301 lines"]
    assert too_large("class A:\n    def f(self, a, b, c, d, e, f, g):\n        pass\n") == []
