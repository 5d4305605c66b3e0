"""The way back from an audit's pseudonyms to the hospital's ids."""

from dataclasses import replace

import numpy as np
import pytest
from audit_cases import N_TRAIN, evidence

from copylens.auditing import patients
from copylens.auditing.patients import list_patients
from copylens.config.schema import validate
from copylens.data.listing import list_scans
from copylens.jobs.files import read_table

N_HELD_OUT = 20  # of each role


@pytest.fixture
def audited(tmp_path, monkeypatch):
    """(folder, settings, scans.tsv) of an audit of one image of each patient; patients 5 and 7 of T are copied."""
    folder = tmp_path / "real"
    folder.mkdir()
    for number in range(N_TRAIN + 2 * N_HELD_OUT):
        name = f"={number}" if number % 2 else f"müller {number}"
        np.save(folder / f"{name}.npy", np.random.default_rng(number).random((4, 4), dtype=np.float32))
    settings = {"reader": "npy_folder", "root": str(folder), "patient": r"(.+)\.npy", "grid": [8, 8]}
    validate(settings, "a data set", ("properties", "datasets", "additionalProperties"))
    list_scans(settings, tmp_path / "scans.tsv")
    seen = evidence(np.array([5, -1, 7, 5]), N_HELD_OUT, N_HELD_OUT)
    table = read_table(tmp_path / "scans.tsv")
    seen = replace(seen, splits=seen.splits.assign(patient=table["patient"], scan=table["scan"]))
    monkeypatch.setattr(patients, "read_evidence", lambda files: seen)
    return folder, settings, tmp_path / "scans.tsv", seen


def test_patients_whose_images_are_copied_come_first_with_their_own_ids(audited, tmp_path):
    folder, settings, scans, seen = audited
    list_patients({}, {"training": settings}, {"training": scans}, tmp_path / "patients.tsv")
    table = read_table(tmp_path / "patients.tsv")
    assert table["patient"][0] == seen.patients[5] and table["repeated_by"][:2].tolist() == ["1 4", "3"]
    assert table["patient"][1] == seen.patients[7] and table["repeated_by"][2:].isna().all()
    assert sorted(table["patient"]) == sorted(seen.splits["patient"])
    roles = table["role"].value_counts()
    assert roles.to_dict() == {"train": N_TRAIN, "calibration": N_HELD_OUT, "control": N_HELD_OUT}
    files = [file.removeprefix("'") for file in table["files"]]
    assert [file.removesuffix(".npy") for file in files] == [name.removeprefix("'") for name in table["id"]]
    assert all((folder / file).is_file() for file in files)
    assert not table["id"].str.startswith("=").any()


def test_other_patients_than_those_that_were_listed_are_refused(audited, tmp_path):
    folder, settings, scans, _ = audited
    np.save(folder / "new.npy", np.eye(4, dtype=np.float32))
    with pytest.raises(ValueError, match="the data set has changed since it was listed"):
        list_patients({}, {"training": settings}, {"training": scans}, tmp_path / "patients.tsv")
    assert not (tmp_path / "patients.tsv").exists()
