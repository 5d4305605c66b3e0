"""Training, calibration and control images: split by patient, never overlapping."""

from pathlib import Path

import numpy as np
import pandas as pd

from copylens.files import read_table, write_table

ROLES = ("train", "calibration", "control")


def split_patients(settings: dict, table_path: Path, split_path: Path, duplicates_path: Path | None = None) -> None:
    """Write splits.tsv: columns scan, patient, role (train, calibration, control or unused), rows as in scans.tsv.

    Patients, not scans, are drawn, so that no patient has scans in two roles. Near-duplicates (see
    `copylens.duplicates`) are, by settings['duplicates'], left alone (list), their patients given one role (group), or
    the later one of two scans isn't used (drop). Raises ValueError when there are too few patients.
    """
    table = read_table(table_path)
    pairs = read_table(duplicates_path) if duplicates_path else pd.DataFrame(columns=["scan", "patient"])
    dropped = table["scan"].isin(pairs["other_scan"]) if len(pairs) and settings["duplicates"] == "drop" else None
    usable = table if dropped is None else table[~dropped]
    patients = np.sort(usable["patient"].unique())
    wanted = {role: settings[role] for role in ROLES}
    if sum(wanted.values()) > len(patients):
        asked = " + ".join(f"{count} {role}" for role, count in wanted.items())
        raise ValueError(
            f"split: asks for {asked} = {sum(wanted.values())} patients, but the data set has {len(patients)}"
        )
    shuffled = np.random.default_rng([settings["seed"], 1]).permutation(patients)
    linked = pairs if settings["duplicates"] == "group" else pairs[:0]
    role_of = _roles(shuffled, _groups(linked), wanted)
    roles = table["patient"].map(role_of).fillna("unused")
    if dropped is not None:
        roles[dropped] = "unused"
    if settings["scans_per_patient"] is not None:
        roles[table.groupby("patient").cumcount() >= settings["scans_per_patient"]] = "unused"
    write_table(table[["scan", "patient"]].assign(role=roles), split_path)
    if len(pairs):
        role = dict(zip(table["scan"], roles, strict=True))
        both = [" and ".join(sorted((role[one], role[two]))) for one, two in pairs[["scan", "other_scan"]].to_numpy()]
        print("near-duplicates: " + ", ".join(f"{n} {what}" for what, n in pd.Series(both).value_counts().items()))


def _groups(pairs: pd.DataFrame) -> dict[str, list[str]]:
    """Patients that near-duplicates link, directly or through others, by patient."""
    group_of = {}
    for one, other in pairs[["patient", "other_patient"]].to_numpy() if len(pairs) else []:
        joined = sorted({*group_of.get(one, [one]), *group_of.get(other, [other])})
        group_of.update(dict.fromkeys(joined, joined))
    return group_of


def _roles(shuffled: np.ndarray, group_of: dict[str, list[str]], wanted: dict[str, int]) -> dict[str, str]:
    """A role for so many patients: in their random order, linked ones together where there is room for all of them."""
    room, role_of = dict(wanted), {}
    # Linked patients first: single ones fill what they leave.
    for patient in sorted(shuffled, key=lambda each: each not in group_of):
        group = group_of.get(patient, [patient])
        if patient in role_of:
            continue
        role = next((role for role, left in room.items() if left >= len(group)), None)
        if role is None:
            continue
        role_of.update(dict.fromkeys(group, role))
        room[role] -= len(group)
    return role_of


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
