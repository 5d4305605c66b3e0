"""The library's files that results depend on, found by reading imports, so that no list can miss one.

An edit of one of these files reruns the jobs that depend on it; a touch doesn't.
"""

import ast
import functools
import re
from pathlib import Path

from copylens.config.kinds import PACKAGE, path_of

FILE_NAME = r"\w+(\.\w*[a-z]\w*)+"
MATHS = {PACKAGE / "config" / "grids.py", PACKAGE / "jobs" / "seeds.py"}
# An edit there changes no result.
PLUMBING = {path for room in ("config", "jobs") for path in (PACKAGE / room).glob("*.py")} - MATHS
PLUMBING |= {PACKAGE / "data" / "source_files.py", PACKAGE / "__init__.py"}


def code_of(folder: str, kind: str, *modules: str) -> list[Path]:
    """The files that `kind` and the modules (paths below the package without .py) depend on, these included."""
    return code_behind(path_of(folder, kind), *(PACKAGE / f"{name}.py" for name in modules))


@functools.cache
def code_behind(*paths: Path) -> list[Path]:
    """The library files that these files depend on, these included if they are of the library, sorted.

    Data files count for the module that names them and lies beside them.
    """
    waiting, seen = list(paths), set()
    while waiting:
        path = waiting.pop()
        if path in seen or path in PLUMBING:
            continue
        seen.add(path)
        waiting += _used_by(path)
    return sorted(path for path in seen if path.is_relative_to(PACKAGE))


@functools.cache
def _used_by(path: Path) -> list[Path]:
    if path.suffix != ".py":
        return []
    used, tree = [], ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE.name:
            module = PACKAGE.joinpath(*node.module.split(".")[1:])
            used += [module / f"{alias.name}.py" for alias in node.names]
            used += [module.with_suffix(".py"), *_body_of(module)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(FILE_NAME, node.value):
            used.append(path.with_name(node.value))
    return [candidate for candidate in used if candidate.is_file()]


def _body_of(package: Path) -> list[Path]:
    """A package's own file, if it holds more than a docstring."""
    path = package / "__init__.py"
    return [path] if path.is_file() and len(ast.parse(path.read_text(encoding="utf-8")).body) > 1 else []
