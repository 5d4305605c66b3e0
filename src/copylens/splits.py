"""Training, calibration and control images: split by patient, never overlapping."""

from pathlib import Path

import numpy as np
import pandas as pd

from copylens.files import read_table, write_table

ROLES = ("train", "calibration", "control")


def split_patients(settings: dict, table_path: Path, split_path: Path) -> None:
    """Write splits.tsv: columns scan, patient, role (train, calibration, control or unused), rows as in scans.tsv.

    Patients, not scans, are drawn, so that no patient has scans in two roles. Raises ValueError when there are too few.
    """
    table = read_table(table_path)
    patients = np.sort(table["patient"].unique())
    wanted = {role: settings[role] for role in ROLES}
    if sum(wanted.values()) > len(patients):
        asked = " + ".join(f"{count} {role}" for role, count in wanted.items())
        raise ValueError(
            f"split: asks for {asked} = {sum(wanted.values())} patients, but the data set has {len(patients)}"
        )
    shuffled = np.random.default_rng([settings["seed"], 1]).permutation(patients)
    role_of, start = {}, 0
    for role, count in wanted.items():
        role_of.update(dict.fromkeys(shuffled[start : start + count], role))
        start += count
    roles = table["patient"].map(role_of).fillna("unused")
    if settings["scans_per_patient"] is not None:
        roles[table.groupby("patient").cumcount() >= settings["scans_per_patient"]] = "unused"
    write_table(table[["scan", "patient"]].assign(role=roles), split_path)


def rows_of(splits: pd.DataFrame, role: str) -> np.ndarray:
    """Row numbers in images.npy of the scans with `role`, in ascending order."""
    return np.flatnonzero(splits["role"] == role)


def unseen_rows(splits: pd.DataFrame) -> np.ndarray:
    """Row numbers of the scans of patients without a role: neither trained on, nor calibrated with, nor tested on."""
    has_role = splits["role"].isin(ROLES).groupby(splits["patient"]).transform("any")
    return np.flatnonzero(~has_role)


def training_rows(splits: pd.DataFrame, n_train: int | None) -> np.ndarray:
    """Row numbers of T: all training scans, or the first `n_train` of them in a fixed random order of patients.

    A smaller T is contained in a larger one, so that a study of the size compares like with like.
    """
    rows = rows_of(splits, "train")
    if n_train is None:
        return rows
    if n_train > len(rows):
        raise ValueError(f"n_train: asks for {n_train} training images, but the split has {len(rows)}")
    patients = splits["patient"].to_numpy()
    order = np.random.default_rng(2).permutation(np.unique(patients[rows]))
    position = {patient: place for place, patient in enumerate(order)}
    by_patient = sorted(rows, key=lambda row: (position[patients[row]], row))
    return np.sort(by_patient[:n_train])
