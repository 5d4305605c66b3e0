"""Which of the library's files each job of a workflow loads, against those that its rule declares as inputs."""

import ast
import json
import os
from pathlib import Path

from copylens.config.dependencies import PLUMBING
from copylens.config.kinds import PACKAGE

# Python runs it when it starts. A job's script knows its rule and its inputs by the name `snakemake`.
WATCHER = """
import atexit, json, os, sys

def write():
    job = getattr(sys.modules["__main__"], "snakemake", None)
    if job is None:
        return
    loaded = [os.path.realpath(module.__file__) for name, module in list(sys.modules.items())
              if name.split(".")[0] == "copylens" and getattr(module, "__file__", None)]
    declared = [os.path.realpath(path) for path in map(str, job.input)]
    with open(os.path.join({folder!r}, f"{{os.getpid()}}.json"), "w") as file:
        json.dump({{"rule": job.rule, "loaded": loaded, "declared": declared}}, file)

atexit.register(write)
"""


def watching(folder: Path) -> dict[str, str]:
    """What the environment of a workflow needs so that its jobs write down in `folder` what they load."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WATCHER.format(folder=str(folder)))
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.getenv("PYTHONPATH")]))}


def undeclared(folder: Path) -> tuple[set[str], list[str]]:
    """(the rules that ran, "rule: file" for each file that a job loaded and its rule doesn't declare)."""
    rules, missing = set(), set()
    for path in folder.glob("*.json"):
        job = json.loads(path.read_text())
        rules.add(job["rule"])
        loaded = {Path(each) for each in job["loaded"]} - PLUMBING
        holding = {each for each in loaded if each.name != "__init__.py" or _says_something(each)}
        missing |= {
            f"{job['rule']}: {each.relative_to(PACKAGE)}" for each in holding if str(each) not in job["declared"]
        }
    return rules, sorted(missing)


def _says_something(package: Path) -> bool:
    return len(ast.parse(package.read_text()).body) > 1
