"""The code blocks of README and docs: commands that exist, configurations that are YAML, Python that runs."""

import itertools
import json
import re
import shlex

import pytest
import yaml
from conftest import ROOT

from copylens.cli.commands import _parser

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(page.name, *found) for page in PAGES for found in BLOCK.findall(page.read_text())]
COMMANDS = [
    (name, line.split("  #")[0].strip())
    for name, language, text in BLOCKS
    if language == ""
    for line in text.replace("\\\n", " ").splitlines()
]


def of_program(program: str) -> list[tuple[str, list[str]]]:
    """(page, arguments) of each command that calls a program."""
    calls = []
    for name, line in COMMANDS:
        words = shlex.split(line, comments=True) if line.count("'") % 2 == 0 else []
        words = [word for word in words if not re.match(r"^[A-Z_]+=", word)]  # variables before the program
        if words and words[0].removeprefix(".venv/bin/") == program:
            calls.append((name, words[1:]))
    return calls


def test_there_are_commands_to_look_at():
    assert all(len(of_program(program)) > 3 for program in ("copylens", "snakemake", "make"))


@pytest.mark.parametrize(("page", "arguments"), of_program("copylens"))
def test_a_command_of_the_docs_is_understood(page, arguments):
    assert _parser().parse_args(arguments).run


@pytest.mark.parametrize(("page", "arguments"), of_program("make"))
def test_a_target_of_the_docs_is_there(page, arguments):
    targets = re.findall(r"^([\w.]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert next(word for word in arguments if "=" not in word) in targets


@pytest.mark.parametrize(("page", "arguments"), of_program("snakemake"))
def test_a_configuration_or_profile_of_the_docs_is_there(page, arguments):
    for option, value in itertools.pairwise(arguments):
        if option == "--configfile" and value.startswith("configs/"):
            assert (ROOT / value).is_file()
        if option == "--profile":
            assert (ROOT / "profiles" / value).is_dir()


@pytest.mark.parametrize(("page", "text"), [(page, text) for page, kind, text in BLOCKS if kind == "yaml"])
def test_a_configuration_of_the_docs_is_yaml(page, text):
    assert yaml.safe_load(text)


@pytest.mark.parametrize(("page", "text"), [(page, text) for page, kind, text in BLOCKS if kind == "python"])
def test_python_of_the_docs_runs(page, text, capsys):
    exec(compile(text, page, "exec"), {})
    assert capsys.readouterr().out == "[True, True, True]\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_the_notebook_has_no_outputs_and_no_images_of_anybody():
    cells = json.loads((ROOT / "docs" / "notebook.ipynb").read_text())["cells"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")
