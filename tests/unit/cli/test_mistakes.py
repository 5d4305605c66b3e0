"""What users get wrong on the command line, each with one line that says what to do, and exit code 3."""

import os
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import PIL.Image
import pytest

from copylens.cli import main

LONGEST = 200  # characters of a line, up to its hint in the last clause


def png(path: Path, number: int = 0, shape: tuple[int, int] = (20, 20)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 255, shape, dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)


def nifti(path: Path, number: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(number).normal(size=(10, 10, 10)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)


@pytest.fixture
def folders(tmp_path, monkeypatch) -> Path:
    """real/, others/ and made/ with some images each, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for first, name in ((0, "real"), (100, "others"), (200, "made")):
        for number in range(6):
            png(tmp_path / name / f"p{first + number}_0.png", first + number)
    return tmp_path


WHOLE = ["--training", "real", "--held-out", "others", "--synthetic", "made", "-o", "out", "--one-file-per-patient"]


def but(**changes) -> list[str]:
    """The whole command with other values, or without an option where it is None."""
    arguments = list(WHOLE)
    for name, value in changes.items():
        option = "-o" if name == "o" else f"--{name.replace('_', '-')}"
        if option in arguments:
            at = arguments.index(option)
            del arguments[at : at + (1 if option == "--one-file-per-patient" else 2)]
        if value is not None:
            arguments += [option, *value] if isinstance(value, list) else [option, value]
    return arguments


def nothing(folder: Path) -> None:
    pass


def emptied(folder: Path) -> None:
    for path in (folder / "made").iterdir():
        path.unlink()


def one_patient(folder: Path) -> None:
    for path in sorted((folder / "real").iterdir())[1:]:
        path.unlink()


def only_text(folder: Path) -> None:
    emptied(folder)
    (folder / "made" / "notes.txt").write_text("nothing to see")


def two_formats(folder: Path) -> None:
    nifti(folder / "real" / "volume.nii.gz")


def two_suffixes(folder: Path) -> None:
    PIL.Image.open(folder / "real" / "p0_0.png").save(folder / "real" / "again.jpg")


def bids_of_two_kinds(folder: Path) -> None:
    for number in range(3):
        for suffix in ("T1w", "bold"):
            nifti(folder / "brains" / f"sub-{number}" / f"sub-{number}_{suffix}.nii.gz", number)


def bids_with_derivatives(folder: Path) -> None:
    for number in range(3):
        nifti(folder / "brains" / f"sub-{number}" / f"sub-{number}_T1w.nii.gz", number)
        nifti(folder / "brains" / "derivatives" / f"sub-{number}" / f"sub-{number}_T1w.nii.gz", number)


def volumes_and_images(folder: Path) -> None:
    for number in range(3):
        nifti(folder / "volumes" / f"{number}.nii.gz", number)


def damaged(folder: Path) -> None:
    (folder / "made" / "p200_0.png").write_bytes(b"\x89PNG and then nothing")


def tiny_images(folder: Path) -> None:
    for number in range(6):
        png(folder / "made" / f"p{200 + number}_0.png", number, (3, 3))


def inside(folder: Path) -> None:
    for number in range(6):
        png(folder / "real" / "made" / f"{number}.png", 300 + number)


def same_ids(folder: Path) -> None:
    for number in range(6):
        png(folder / "others" / f"p{number}_1.png", 400 + number)


def occupied(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "thesis.txt").write_text("mine")


def another_audit(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "audit.yaml").write_text("datasets: {}\n")


def a_file(folder: Path) -> None:
    (folder / "out").write_text("a file")


def broken_policy(folder: Path) -> None:
    (folder / "policy.yaml").write_text("copies: [0.05\n")


def unknown_policy(folder: Path) -> None:
    (folder / "policy.yaml").write_text("copys: 0.05\n")


def empty_policy(folder: Path) -> None:
    (folder / "policy.yaml").write_text("")


def wild_policy(folder: Path) -> None:
    (folder / "policy.yaml").write_text("copies: 5\n")


def bids_table(folder: Path) -> None:
    for name in ("real", "others"):
        (folder / name / "participants.tsv").write_text("participant_id\tage\nsub-1\t50\n")


def table_of_missing(folder: Path) -> None:
    for name in ("real", "others"):
        (folder / name / "table.csv").write_text("path,patient\ngone.png,7\n")


Mistake = tuple[Callable[[Path], None], list[str], str]
AUDITS: dict[str, Mistake] = {
    "no training folder": (nothing, but(training="rael"), "rael: no such folder"),
    "no held-out folder": (nothing, but(held_out="elsewhere"), "elsewhere: no such folder"),
    "no synthetic folder": (nothing, but(synthetic="mad"), "mad: no such folder"),
    "a file for a folder": (nothing, but(training="real/p0_0.png"), "is a file; name its folder"),
    "no training option": (nothing, but(training=None), "required: --training"),
    "no held-out option": (nothing, but(held_out=None), "--held-out: name a folder of real images"),
    "no output option": (nothing, but(o=None), "required: -o"),
    "unknown option": (nothing, [*WHOLE, "--detectors", "all"], "unrecognized arguments: --detectors"),
    "nobody says whose": (nothing, but(one_file_per_patient=None), "--one-file-per-patient if each file"),
    "two ways to say whose": (nothing, [*WHOLE, "--patient", r"(p\d+)"], "not allowed with"),
    "expression without group": (nothing, but(one_file_per_patient=None, patient=r"p\d+"), "needs a group"),
    "expression that is none": (nothing, but(one_file_per_patient=None, patient="(p"), "is no regular expression"),
    "expression without match": (nothing, but(one_file_per_patient=None, patient=r"(q\d+)"), "doesn't match the file"),
    "no table": (nothing, but(one_file_per_patient=None, table="who.csv"), "--table: no file who.csv"),
    "BIDS table": (bids_table, but(one_file_per_patient=None, table="participants.tsv"), "needs the columns path and"),
    "table of missing files": (table_of_missing, but(one_file_per_patient=None, table="table.csv"), "no such file"),
    "empty folder": (emptied, WHOLE, "made: holds no images"),
    "no image among files": (only_text, WHOLE, "made: holds no images"),
    "one training patient": (one_patient, WHOLE, "--training: has 1 patient"),
    "PNG and NIfTI": (two_formats, WHOLE, "holds files of several kinds (1 .nii.gz, 6 .png)"),
    "PNG and JPEG": (two_suffixes, WHOLE, "holds files of several kinds (1 .jpg, 6 .png)"),
    "pattern without match": (nothing, [*WHOLE, "--pattern", "**/*.tif"], "holds no images"),
    "two BIDS suffixes": (
        bids_of_two_kinds,
        but(training="brains"),
        "several images of each patient (3 _T1w, 3 _bold)",
    ),
    "BIDS derivatives": (bids_with_derivatives, but(training="brains"), "3 of them in derivatives/"),
    "volumes and images": (volumes_and_images, but(synthetic="volumes"), "2D and 3D images"),
    "damaged image": (damaged, WHOLE, "p200_0.png: can't be read as an image"),
    "tiny images": (tiny_images, but(grid=["64", "64"]), "would enlarge synthetic images of 3x3 pixels"),
    "grid of too many axes": (nothing, but(grid=["16", "16", "16"]), "--grid: has 3 sizes"),
    "grid of words": (nothing, but(grid="small"), "invalid int value: 'small'"),
    "grid of nothing": (nothing, but(grid=["0", "16"]), "--grid: 0 is too small; at least 4 pixels"),
    "the same folder twice": (nothing, but(held_out="real"), "--held-out is the same folder as --training"),
    "synthetic is training": (nothing, but(synthetic="./real/"), "--synthetic is the same folder as --training"),
    "synthetic inside of training": (inside, but(synthetic="real/made"), "--synthetic lies inside of --training"),
    "patients in both": (same_ids, but(one_file_per_patient=None, patient=r"(p\d+)_"), "6 of its 12 patients are in"),
    "output holds other files": (occupied, WHOLE, "out holds other files; name a new folder"),
    "output holds another audit": (another_audit, WHOLE, "out holds another audit"),
    "output is a file": (a_file, WHOLE, "out is a file"),
    "no policy file": (nothing, [*WHOLE, "--policy", "rules.yaml"], "--policy: no file rules.yaml"),
    "policy that is no YAML": (broken_policy, [*WHOLE, "--policy", "policy.yaml"], "can't be read as YAML"),
    "policy of unknown keys": (unknown_policy, [*WHOLE, "--policy", "policy.yaml"], "did you mean 'copies'"),
    "empty policy": (empty_policy, [*WHOLE, "--policy", "policy.yaml"], "holds no keys"),
    "policy beyond 1": (wild_policy, [*WHOLE, "--policy", "policy.yaml"], "audits.release.policy.copies"),
}
COMMANDS: dict[str, Mistake] = {
    "no command": (nothing, [], "required: command"),
    "unknown command": (nothing, ["audits"], "invalid choice: 'audits'"),
    "no configuration": (nothing, ["study", "confg.yaml"], "confg.yaml: no such file"),
    "no verdict": (nothing, ["gate", "real"], "no verdict there"),
    "verify no folder": (nothing, ["verify", "gone", "real/p0_0.png"], "gone: no such folder"),
    "verify an image": (nothing, ["verify", "real", "real/p0_0.png"], "name report.html or verdict.json"),
    "verify nothing": (nothing, ["verify", "real", "report.html"], "report.html: No such file"),
}


@pytest.mark.parametrize("name", [*AUDITS, *COMMANDS])
def test_a_mistake_is_one_line_and_nothing_is_left(name, folders, capsys):
    prepare, arguments, words = (AUDITS | COMMANDS)[name]
    prepare(folders)
    before = sorted(folders.rglob("*"))
    assert main(["audit", *arguments] if name in AUDITS else arguments) == 3
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert words in line and "Traceback" not in line
    assert len(line.rsplit(";", 1)[0]) <= LONGEST
    assert printed.out == ""
    assert sorted(folders.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_folders_without_permission_are_named(folders, capsys):
    (folders / "made").chmod(0)
    try:
        assert main(["audit", *WHOLE]) == 3
    finally:
        (folders / "made").chmod(0o755)
    assert "made: may not be read by this account" in capsys.readouterr().err
