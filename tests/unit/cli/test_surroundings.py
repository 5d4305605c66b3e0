"""A command in another locale, and without a home folder that can be written."""

import locale
import os
import sys
from pathlib import Path

import pytest

from copylens.cli import surroundings


@pytest.mark.parametrize(("encoding", "begun"), [("utf-8", False), ("ISO-8859-1", True), ("ANSI_X3.4-1968", True)])
def test_in_another_locale_the_program_begins_again_once(encoding, begun, monkeypatch):
    calls = []
    monkeypatch.setattr(locale, "getencoding", lambda: encoding)
    monkeypatch.setattr(sys, "orig_argv", ["python3", "-I", "copylens", "plan"])
    monkeypatch.setattr(os, "execve", lambda *call: calls.append(call))
    monkeypatch.delenv(surroundings.UTF8, raising=False)
    surroundings.speak_utf8()
    expected = (sys.executable, [sys.executable, "-I", "copylens", "plan"], {**os.environ, surroundings.UTF8: "1"})
    assert calls == ([expected] if begun else [])
    monkeypatch.setenv(surroundings.UTF8, "1")  # the second time; also where Python was told to leave it unread
    surroundings.speak_utf8()
    assert len(calls) == begun


@pytest.fixture
def unset(monkeypatch, tmp_path) -> Path:
    """The folder of temporary files, and no variable that names a folder for caches."""
    for variable in surroundings.CACHES:
        monkeypatch.setenv(variable, "")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("home", ["/proc", "/dev/null/home", "a file"])
def test_without_a_home_folder_caches_are_temporary_files(home, unset, monkeypatch):
    (unset / "a file").touch()
    monkeypatch.setenv("HOME", str(unset / home))
    surroundings.provide_caches()
    for variable in surroundings.CACHES:
        folder = Path(os.environ[variable])
        assert folder.is_relative_to(unset) and folder.parent.stat().st_mode & 0o777 == 0o700


def test_a_home_folder_and_named_folders_are_used(unset, monkeypatch):
    monkeypatch.setenv("HOME", str(unset / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(unset / "named"))
    surroundings.provide_caches()
    assert (os.environ["XDG_CACHE_HOME"], os.environ["MPLCONFIGDIR"]) == (str(unset / "named"), "")


def test_somebody_elses_folder_is_named(unset, monkeypatch):
    monkeypatch.setenv("HOME", "/proc")
    (unset / f"copylens-{os.getuid()}").mkdir(mode=0o777)
    (unset / f"copylens-{os.getuid()}").chmod(0o777)
    with pytest.raises(OSError, match=r"copylens-\d+: isn't this user's alone; set TMPDIR to another folder"):
        surroundings.provide_caches()


def test_a_home_folder_on_a_full_disk_is_no_place_for_caches(unset, monkeypatch):
    monkeypatch.setenv("HOME", str(unset / "home"))
    with open("/dev/full", "wb", buffering=0) as full, open("/dev/full", "wb", buffering=0) as other:
        opened = iter([full, other])
        monkeypatch.setattr("tempfile.TemporaryFile", lambda dir: next(opened))
        surroundings.provide_caches()
    assert all(os.environ[variable].startswith(f"{unset}/copylens-") for variable in surroundings.CACHES)
