"""Words that no tracked file uses, because they aren't this field's."""

import re
import shutil
import subprocess

import pytest
from conftest import ROOT

# In two halves each, so that this file holds none of them.
HALVES = [
    ("acc", "us"),
    ("inno", "cen"),
    ("gui", "lt"),
    ("unta", "ught"),
    ("el", "der"),
    ("out of ", "nothing"),
    ("told", ".?apart"),
    ("says as ", "much"),
]
UNWANTED = re.compile("|".join("".join(halves) for halves in HALVES), re.IGNORECASE)
# The changelog quotes what there was; the lock file has other people's package names.
SKIPPED = {"CHANGELOG.md", "requirements.lock"}


def unwanted_in(text: str, path: str) -> list[str]:
    """Each unwanted word of a text, as "path:line: word"."""
    lines = enumerate(text.splitlines(), start=1)
    return [f"{path}:{number}: {match.group()}" for number, line in lines for match in UNWANTED.finditer(line)]


def tracked_texts() -> dict[str, str]:
    """The text of every tracked file, by path; binary files are left out."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("git isn't installed, or this is no git checkout: the tracked files are unknown")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    texts = {}
    for path in sorted(set(filter(None, listed.split("\0"))) - SKIPPED):
        content = (ROOT / path).read_bytes() if (ROOT / path).is_file() else b"\0"  # `slurm` links to a folder
        if b"\0" not in content:
            texts[path] = content.decode(errors="replace")
    return texts


def test_no_file_uses_an_unwanted_word():
    wrong = [place for path, text in tracked_texts().items() for place in unwanted_in(text, path)]
    assert not wrong, "\n".join(wrong)


def test_an_unwanted_word_is_named_with_its_file_and_line():
    words = ["".join(halves).replace(".?", " ") for halves in HALVES]
    for word in words:
        assert unwanted_in(f"one\ntwo {word.upper()}\n", "docs/a.md") == [f"docs/a.md:2: {word.upper()}"]
    assert unwanted_in("told\napart, out of\nnothing", "a.md") == []
