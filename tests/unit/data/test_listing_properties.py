"""Pseudonyms are one per patient, the same whatever else is listed in whatever order, and show nothing of the id."""

import os
import re
import string
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from copylens.data.listing import list_scans, pseudonyms_of
from copylens.data.scan import Scan
from copylens.jobs.files import read_table

# As the names of files give them, which needn't be UTF-8.
ids = st.binary(min_size=1, max_size=12).map(os.fsdecode) | st.sampled_from(["patient_00000", "0", " ", "\n"])


def scans_of(patients) -> list[Scan]:
    return [Scan(f"file_{number}", patient) for number, patient in enumerate(patients)]


@given(st.lists(ids | st.none(), max_size=40))
def test_patients_and_pseudonyms_are_one_to_one(patients):
    pseudonyms = pseudonyms_of(scans_of(patients))
    known = {patient: name for patient, name in zip(patients, pseudonyms, strict=True) if patient is not None}
    assert [known[patient] for patient in patients if patient is not None] == [
        name for patient, name in zip(patients, pseudonyms, strict=True) if patient is not None
    ]
    assert sorted(known.values()) == [f"patient_{number:05d}" for number in range(len(known))]
    unknown = [name for patient, name in zip(patients, pseudonyms, strict=True) if patient is None]
    assert len(set(unknown)) == len(unknown) and all(re.fullmatch(r"unknown_\d{6}", name) for name in unknown)


@given(st.lists(ids, max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_scans_and_their_number_change_no_pseudonym(patients, random):
    expected = dict(zip(patients, pseudonyms_of(scans_of(patients)), strict=True))
    shuffled = random.sample(patients * 2, 2 * len(patients))
    assert dict(zip(shuffled, pseudonyms_of(scans_of(shuffled)), strict=True)) == expected


@given(st.lists(ids, min_size=2, max_size=40, unique=True), st.data())
def test_without_some_patients_the_others_keep_their_order(patients, data):
    kept = data.draw(st.lists(st.sampled_from(patients), unique=True), label="kept")
    every, some = (dict(zip(of, pseudonyms_of(scans_of(of)), strict=True)) for of in (patients, kept))
    assert sorted(kept, key=every.get) == sorted(kept, key=some.get)


@given(st.lists(st.text(string.ascii_uppercase, min_size=3, max_size=9), min_size=1, max_size=6, unique=True))
def test_no_id_is_in_the_table_of_scans(patients):
    settings = {"reader": "npy_folder", "root": "raw", "pattern": "**/*.npy", "patient": "^([A-Z]+)"}
    settings |= {
        "limits": {"pixels": 100, "padded": 1000, "bytes": 10**6, "seconds": 8},
        "spacing": None,
        "stacked": False,
    }
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, COPYLENS_DATA=folder):
        Path(folder, "raw").mkdir()
        for number, patient in enumerate(patients):
            np.save(
                Path(folder, "raw", f"{patient}_{number}.npy"), np.arange(16, dtype=np.float32).reshape(4, 4) + number
            )
        table = Path(folder, "out", "scans.tsv")
        list_scans(settings, table)
        assert read_table(table)["patient"].nunique() == len(patients)
        assert not any(patient in table.read_text(encoding="utf-8") for patient in patients)
