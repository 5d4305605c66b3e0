"""No line of the library means something else in another locale, or with Python's option -O."""

import ast

import pytest
from conftest import ROOT

CODE = [*(ROOT / "src").rglob("*.py"), *(ROOT / "workflow").rglob("*.py")]
OPENERS = ("open", "read_text", "write_text", "fdopen")
OTHERS = ("os.open", "PIL.Image.open", "self.archive.open", "archive.open")  # open no text


def text_without_encoding(source: str) -> list[str]:
    """Calls that read or write text in whatever encoding the locale has."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) in OTHERS:
            continue
        name, words = ast.unparse(node.func).rsplit(".", 1)[-1], {word.arg: word.value for word in node.keywords}
        constants = [part.value for part in (*node.args, *words.values()) if isinstance(part, ast.Constant)]
        binary = any(isinstance(value, str) and "b" in value and len(value) < 4 for value in constants)
        opens = name in OPENERS and not binary
        starts_in_text = any(key in words for key in ("text", "universal_newlines"))
        if (opens or starts_in_text) and "encoding" not in words:
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


def asserts_that_act(source: str) -> list[str]:
    """Assertions of more than a value's type: without them, as with -O, something else would happen."""
    asserted = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]
    return [f"line {node.lineno}: {ast.unparse(node)}" for node in asserted if not narrows(node.test)]


def narrows(test: ast.expr) -> bool:
    if isinstance(test, ast.Call):
        return ast.unparse(test.func) == "isinstance" and isinstance(test.args[0], ast.Name)
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name | ast.Attribute)
        and [ast.unparse(part) for part in test.comparators] == ["None"]
    )


@pytest.mark.parametrize("find", [text_without_encoding, asserts_that_act])
def test_no_line_depends_on_the_surroundings(find):
    found = {str(path.relative_to(ROOT)): find(path.read_text(encoding="utf-8")) for path in CODE}
    assert len(found) > 200
    assert not [f"{path}, {line}" for path, lines in found.items() for line in lines]


def test_lines_that_do_are_named():
    lines = "path.open('w')\nopen(path, 'rb')\nrun(command, text=True)\npath.read_text(encoding='utf-8')"
    assert text_without_encoding(lines) == ["line 1: path.open('w')", "line 3: run(command, text=True)"]
    assert asserts_that_act("assert path.unlink()\nassert x is not None\nassert isinstance(x, int)\nassert x > 0") == [
        "line 1: assert path.unlink()",
        "line 4: assert x > 0",
    ]
