"""`--sdm conda`: each rule's environment has what its script imports, in the versions of the lock file."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from copylens.auditing.folders import DETECTORS
from copylens.config.kinds import FOLDERS

PACKAGES = {
    "PIL": "pillow",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "faiss": "faiss-cpu",
}
LIBRARY = ROOT / "src" / "copylens"
RULE_FILES = sorted(set((ROOT / "rules").glob("*.smk")) - {ROOT / "rules" / "stages.smk"})  # those run nothing
RULES = [
    named
    for path in RULE_FILES
    for named in re.findall(
        r"^rule (\w+):.*?envs/(\w+)\.yaml.*?scripts/(\w+)\.py", path.read_text(), re.MULTILINE | re.DOTALL
    )
]


def pinned(environment: str) -> dict[str, str]:
    """What an environment installs by pip: package and version, or '' where it is free."""
    (pip,) = (
        entry["pip"]
        for entry in yaml.safe_load((ROOT / "envs" / f"{environment}.yaml").read_text())["dependencies"]
        if isinstance(entry, dict)
    )
    return {re.split(r"[=>]=", line)[0]: [*line.split("=="), ""][1] for line in pip}


def imported(path: Path) -> tuple[set[str], set[Path]]:
    """Packages and files of the library that a file imports, also inside its functions."""
    packages, files = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            package, *parts = name.split(".")
            if package == "copylens":
                module = LIBRARY.joinpath(*parts)
                files |= {file for file in (module.with_suffix(".py"), module / "__init__.py") if file.exists()}
            elif package not in sys.stdlib_module_names:
                packages.add(PACKAGES.get(package, package))
    return packages, files


def test_every_rule_names_an_environment():
    text = "".join(path.read_text() for path in RULE_FILES)
    assert len(RULES) == len(re.findall(r"^rule ", text, re.MULTILINE)) > 20


@pytest.mark.parametrize(("rule", "environment", "script"), RULES)
def test_a_rules_environment_has_what_its_script_imports(rule, environment, script):
    waiting, seen, packages = [ROOT / "workflow" / "scripts" / f"{script}.py"], set(), set()
    while waiting:
        path = waiting.pop()
        found, files = imported(path)
        packages |= found
        waiting += files - seen
        seen |= files
    assert packages <= set(pinned(environment)), f"{rule} needs more than envs/{environment}.yaml has"


def test_kinds_find_what_they_import():
    files = [
        path
        for folder in ("readers", "models", "detectors", "phantoms")
        for path in (LIBRARY / FOLDERS[folder]).glob("*.py")
    ]
    assert set().union(*(imported(path)[0] for path in files)) <= set(pinned("train"))
    figures = (LIBRARY / FOLDERS["figures"]).glob("*.py")
    assert set().union(*(imported(path)[0] for path in figures)) <= set(pinned("figures"))


@pytest.mark.parametrize("environment", ["train", "figures"])
def test_versions_are_those_of_the_lock_file(environment):
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    for package, version in pinned(environment).items():
        if version and package != "torch":
            assert locked[package] == version, package


def test_the_container_has_the_same_torch():
    (torch,) = re.findall(r"^TORCH := (torch==[\d.]+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert torch == f"torch=={pinned('train')['torch']}"
    assert torch in (ROOT / "envs" / "copylens.def").read_text()


def requirements(*extras: str) -> set[str]:
    """The packages that an installation with these extras brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return {re.split(r"[>=<\[]", line)[0] for line in lines}


def needed(*modules: str, but: tuple[str, ...] = ()) -> set[str]:
    """The packages that these files of the library import, with all that they import, but for the rooms `but`."""
    waiting, seen, packages = [LIBRARY / module for module in modules], set(), set()
    while waiting:
        path = waiting.pop()
        found, files = imported(path)
        packages |= found
        files = {file for file in files if file.relative_to(LIBRARY).parts[0] not in but}
        waiting += files - seen
        seen |= files
    return packages


def test_an_audit_needs_the_core_alone_and_a_training_its_extra():
    readers = [f"data/readers/{path.name}" for path in (LIBRARY / "data" / "readers").glob("*.py")]
    untrained = [f"detection/detectors/{kind}.py" for kind in DETECTORS]
    audit = needed("auditing/interface.py", "cli/commands.py", "evaluation/copies.py", *readers, *untrained)
    assert audit - needed("training/loop.py") <= requirements()
    assert audit - requirements() == {"lightning"}, "which trainings import"
    everything = needed(*(str(path.relative_to(LIBRARY)) for path in LIBRARY.rglob("*.py")))
    assert everything <= requirements("train", "diffusers", "privacy")
