"""Training (T), calibration and control images: split by patient, never overlapping."""

from pathlib import Path

import numpy as np
import pandas as pd

from copylens.data.scan import UNKNOWN
from copylens.jobs.files import read_table, write_table
from copylens.jobs.seeds import generator_of

ROLES = ("train", "calibration", "control")
LEAST = {"train": 1, "calibration": 20, "control": 1}  # patients


def split_patients(settings: dict, table_path: Path, split_path: Path, duplicates_path: Path | None = None) -> None:
    """Write splits.tsv: columns scan, patient, role (train, calibration, control or unused), rows as in scans.tsv.

    Patients, not scans, are drawn, so that no patient has scans in two roles. Where scans.tsv has a column split, its
    roles are taken instead. Near-duplicates (see `copylens.evaluation.duplicates`) are, by settings['duplicates'], left
    alone (list), their patients given one role (group), or the later one of two scans isn't used (drop). Raises
    ValueError for too few or unknown patients, and if neither a table nor the settings give a split.
    """
    table = read_table(table_path)
    unknown = int(table["patient"].str.startswith(UNKNOWN).sum())
    if unknown:
        raise ValueError(
            f"patient: {unknown} of the {len(table)} scans have no known patient, so they can't be split by patient; "
            "give the key patient an expression ('(.+)' if each file is a patient of its own), or a table"
        )
    pairs = read_table(duplicates_path) if duplicates_path else pd.DataFrame(columns=["scan", "patient"])
    dropped = table["scan"].isin(pairs["other_scan"]) if len(pairs) and settings["duplicates"] == "drop" else None
    if "split" in table:
        roles = _given_roles(table, settings, grouped=len(pairs) > 0 and settings["duplicates"] == "group")
    elif "train" in settings:
        usable = table if dropped is None else table[~dropped]
        roles = table["patient"].map(_draw_roles(usable, pairs, settings)).fillna("unused")
    else:
        raise ValueError("split: is missing; give the numbers of patients for train, calibration and control")
    if dropped is not None:
        roles[dropped] = "unused"
    if settings.get("scans_per_patient") is not None:
        roles[table.groupby("patient").cumcount() >= settings["scans_per_patient"]] = "unused"
    write_table(table[["scan", "patient"]].assign(role=roles), split_path)
    if len(pairs):
        role = dict(zip(table["scan"], roles, strict=True))
        both = [" and ".join(sorted((role[one], role[two]))) for one, two in pairs[["scan", "other_scan"]].to_numpy()]
        print("near-duplicates: " + ", ".join(f"{n} {sets}" for sets, n in pd.Series(both).value_counts().items()))


def _given_roles(table: pd.DataFrame, settings: dict, grouped: bool) -> pd.Series:
    """The roles that a table gave; ValueError if they can't be used, or if the configuration asks for others."""
    if "train" in settings:
        raise ValueError("split: the table has a column split; leave out the one or the other")
    if grouped:
        raise ValueError("duplicates.action: group can't move patients whose split the table gives; take drop or list")
    patients = table[table["split"].isin(ROLES)].groupby("patient")["split"].unique()
    twice = patients[patients.str.len() > 1]
    if len(twice):
        raise ValueError(f"table: {twice.index[0]} is in {' and '.join(twice.iloc[0])}; a patient has one split")
    counted = patients.str[0].value_counts()
    for role, least in LEAST.items():
        if counted.get(role, 0) < least:
            raise ValueError(
                f"table: has {counted.get(role, 0)} patients whose split is {role}; at least {least} are needed"
            )
    return table["split"].copy()


def _draw_roles(usable: pd.DataFrame, pairs: pd.DataFrame, settings: dict) -> dict[str, str]:
    """Roles of the patients that the configuration asks for."""
    patients = np.sort(usable["patient"].unique())
    wanted = {role: settings[role] for role in ROLES}
    if sum(wanted.values()) > len(patients):
        asked = " + ".join(f"{count} {role}" for role, count in wanted.items())
        raise ValueError(
            f"split: asks for {asked} = {sum(wanted.values())} patients, but the data set has {len(patients)}"
        )
    shuffled = generator_of("split", settings["seed"]).permutation(patients)
    linked = pairs if settings["duplicates"] == "group" else pairs[:0]
    return _roles(shuffled, _groups(linked), wanted)


def _groups(pairs: pd.DataFrame) -> dict[str, list[str]]:
    """Patients that near-duplicates link, directly or through others, by patient."""
    group_of: dict[str, list[str]] = {}
    for one, other in pairs[["patient", "other_patient"]].to_numpy() if len(pairs) else []:
        joined = sorted({*group_of.get(one, [one]), *group_of.get(other, [other])})
        group_of.update(dict.fromkeys(joined, joined))
    return group_of


def _roles(shuffled: np.ndarray, group_of: dict[str, list[str]], wanted: dict[str, int]) -> dict[str, str]:
    """Roles of `wanted` patients, in random order; linked ones together if there is room for all of them."""
    room, role_of = dict(wanted), {}
    # Linked patients first: single ones fill the remaining places.
    for patient in sorted(shuffled, key=lambda patient: patient not in group_of):
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
    order = generator_of("training rows").permutation(np.unique(patients[rows]))
    position = {patient: place for place, patient in enumerate(order)}
    by_patient = sorted(rows, key=lambda row: (position[patients[row]], row))
    return np.sort(by_patient[:n_train])
