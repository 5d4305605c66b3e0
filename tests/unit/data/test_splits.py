"""Patients, not images, are split; no patient is in two roles."""

from pathlib import Path

import pandas as pd
import pytest

from copylens.data.splits import ROLES, _groups, rows_of, split_patients, training_rows, unseen_rows
from copylens.jobs.files import read_table


@pytest.fixture
def table(tmp_path) -> Path:
    """scans.tsv of 60 patients, every third with two scans."""
    patients = [f"patient_{number:05d}" for number in range(60) for _ in range(1 + (number % 3 == 0))]
    frame = pd.DataFrame({"scan": [f"scan_{row:06d}" for row in range(len(patients))], "patient": patients})
    frame.to_csv(tmp_path / "scans.tsv", sep="\t", index=False)
    return tmp_path / "scans.tsv"


def split(table, **changes):
    settings = {"train": 20, "calibration": 20, "control": 15, "scans_per_patient": None, "duplicates": "list"}
    settings |= {"seed": 0} | changes
    split_patients(settings, table, table.with_name("splits.tsv"))
    return read_table(table.with_name("splits.tsv"))


def test_no_patient_has_two_roles_and_each_role_has_its_number(table):
    splits = split(table)
    assert (splits.groupby("patient")["role"].nunique() == 1).all()
    counted = splits.groupby("role")["patient"].nunique()
    assert counted.to_dict() == {"train": 20, "calibration": 20, "control": 15, "unused": 5}


def test_the_seed_draws_the_patients(table):
    assert split(table).equals(split(table))
    assert not split(table).equals(split(table, seed=1))


def test_one_scan_per_patient_leaves_one(table):
    splits = split(table, scans_per_patient=1)
    used = splits[splits["role"] != "unused"]
    assert len(used) == used["patient"].nunique() == 55


def test_too_few_patients_is_said_with_both_numbers(table):
    with pytest.raises(ValueError, match=r"split: asks for 20 train \+ 20 calibration \+ 30 control = 70 .* has 60"):
        split(table, control=30)
    assert not table.with_name("splits.tsv").exists()


def test_smaller_training_sets_lie_in_larger_ones(table):
    splits = split(table)
    small, large = training_rows(splits, 8), training_rows(splits, 16)
    assert len(small) == 8 and set(small) < set(large) < set(rows_of(splits, "train"))
    with pytest.raises(ValueError, match="n_train: asks for 99"):
        training_rows(splits, 99)


def test_a_smaller_training_set_has_whole_patients(table):
    splits, before = split(table), []
    for n_train in range(1, len(rows_of(splits, "train")) + 1):
        rows = training_rows(splits, n_train)
        of_patient = splits.loc[rows_of(splits, "train"), "patient"].value_counts()
        taken = splits.loc[rows, "patient"].value_counts()
        # Only the last patient may be there in part.
        assert (taken < of_patient[taken.index]).sum() <= 1 and len(rows) == n_train
        assert set(before) < set(rows)
        before = rows
    # In a random order of patients, not the table's.
    assert list(training_rows(splits, 8)) != list(rows_of(splits, "train")[:8])


def test_unseen_are_the_scans_of_patients_without_any_role(table):
    splits = split(table, scans_per_patient=1)
    unseen = splits.loc[unseen_rows(splits)]
    has_role = set(splits["patient"][splits["role"].isin(ROLES)])
    # A patient's second scan is unused, but the patient isn't unseen.
    assert (splits["role"] == "unused").sum() > len(unseen) > 0
    assert set(unseen["patient"]) == set(splits["patient"]) - has_role


@pytest.mark.parametrize(
    "chain",
    ["ab bc", "bc ab", "ab cd bc", "ab cd ad", "cd ab da", "ab cd ef cb fa", "ab ab bc ca"],
)
def test_patients_in_a_chain_of_near_duplicates_are_one_group(chain):
    pairs = pd.DataFrame([list(pair) for pair in chain.split()], columns=["patient", "other_patient"])
    linked = sorted(set(chain) - {" "})
    assert _groups(pairs) == dict.fromkeys(linked, linked)
    apart = pd.DataFrame([["y", "z"]], columns=pairs.columns)
    assert _groups(pd.concat([pairs, apart]))["y"] == ["y", "z"] and "y" not in _groups(pairs)


def split_chain(table, n: int, sizes: tuple[int, int, int], seed: int) -> tuple[pd.Series, pd.DataFrame]:
    """The patients of `n` scans each of which is a near-duplicate of the next, and the splits of so many patients."""
    first = read_table(table).groupby("patient").head(1).reset_index(drop=True).iloc[:n]
    pairs = pd.DataFrame({"scan": first["scan"][:-1], "patient": first["patient"][:-1]})
    pairs["other_scan"], pairs["other_patient"] = (first[name][1:].to_numpy() for name in ("scan", "patient"))
    paths = table.with_name("splits.tsv"), table.with_name("duplicates.csv")
    pairs.to_csv(paths[1], index=False)
    settings = dict(zip(ROLES, sizes, strict=True)) | {"scans_per_patient": None, "duplicates": "group", "seed": seed}
    split_patients(settings, table, *paths)
    return first["patient"], read_table(paths[0])


def test_a_group_without_room_is_unused_and_takes_nobody_elses_place(table):
    """Linked are 21 patients, more than any role has: no role can have them all."""
    linked, splits = split_chain(table, 21, (15, 20, 4), 3)
    assert (splits["role"][splits["patient"].isin(linked)] == "unused").all()
    counted = splits.groupby("role")["patient"].nunique()
    assert counted[list(ROLES)].to_list() == [15, 20, 4]


@pytest.mark.parametrize("seed", range(4))
def test_linked_patients_come_before_single_ones_so_that_there_is_room(table, seed):
    linked, splits = split_chain(table, 20, (20, 20, 20), seed)
    assert (splits["role"][splits["patient"].isin(linked)] == "train").all()
    assert splits.groupby("role")["patient"].nunique()[list(ROLES)].to_list() == [20, 20, 20]


def test_near_duplicates_share_a_role_or_are_left_out(table):
    before = split(table).set_index("scan")
    first = before.groupby("patient").head(1)
    by_role = {role: first[first["role"] == role] for role in ("train", "calibration", "control")}
    # A chain over two roles, and two scans of one patient.
    names = [by_role["train"].index[0], by_role["calibration"].index[0], by_role["calibration"].index[1]]
    twice = before.groupby("patient").filter(lambda scans: len(scans) == 2).index[:2].tolist()
    pairs = pd.DataFrame([names[:2], names[1:], twice], columns=["scan", "other_scan"])
    pairs["patient"], pairs["other_patient"] = (before["patient"][pairs[name]].to_numpy() for name in pairs)
    pairs.to_csv(table.with_name("duplicates.csv"), index=False)

    def again(action):
        settings = {"train": 20, "calibration": 20, "control": 15, "scans_per_patient": None, "seed": 0}
        paths = table, table.with_name("splits.tsv"), table.with_name("duplicates.csv")
        split_patients(settings | {"duplicates": action}, *paths)
        return read_table(paths[1]).set_index("scan")

    assert again("list").equals(before)
    grouped = again("group")
    assert grouped["role"][names].nunique() == 1
    assert grouped.groupby("role")["patient"].nunique().to_dict() == {
        "train": 20,
        "calibration": 20,
        "control": 15,
        "unused": 5,
    }
    dropped = again("drop")
    assert (dropped["role"][[names[1], names[2], twice[1]]] == "unused").all()
    assert dropped[dropped["role"] != "unused"].groupby("role")["patient"].nunique().to_dict() == {
        "train": 20,
        "calibration": 20,
        "control": 15,
    }


def roles_given(table, change=lambda frame: frame):
    """scans.tsv with a column split: of 60 patients 20 train, 25 calibrate, 10 are controls."""
    frame = read_table(table)
    number = frame["patient"].str[-2:].astype(int)
    names = ["train"] * 20 + ["calibration"] * 25 + ["control"] * 10 + ["unused"] * 5
    change(frame.assign(split=[names[n] for n in number])).to_csv(table, sep="\t", index=False)


def split_as_given(table, **settings):
    split_patients({"duplicates": "list"} | settings, table, table.with_name("splits.tsv"))
    return read_table(table.with_name("splits.tsv"))


def test_roles_that_a_table_gives_are_taken(table):
    roles_given(table)
    assert list(split_as_given(table)["role"]) == list(read_table(table)["split"])


def test_some_scans_of_a_patient_may_be_unused(table):
    def leave_out(frame):
        frame.loc[0, "split"] = "unused"
        return frame

    roles_given(table, leave_out)
    assert list(split_as_given(table)["role"][:2]) == ["unused", "train"]


def test_a_near_duplicate_is_left_out_of_given_roles_but_not_moved(table):
    roles_given(table)
    pairs = pd.DataFrame([["scan_000000", "patient_00000", "scan_000079", "patient_00059"]])
    pairs.columns = ["scan", "patient", "other_scan", "other_patient"]
    pairs.to_csv(table.with_name("duplicates.csv"), index=False)
    paths = table, table.with_name("splits.tsv"), table.with_name("duplicates.csv")
    split_patients({"duplicates": "drop"}, *paths)
    assert read_table(paths[1])["role"].iloc[79] == "unused"
    with pytest.raises(ValueError, match=r"duplicates\.action: group can't move patients"):
        split_patients({"duplicates": "group"}, *paths)


def test_roles_that_cannot_be_used_are_one_error(table):
    with pytest.raises(ValueError, match="split: is missing"):
        split_as_given(table)
    roles_given(table)
    with pytest.raises(ValueError, match="split: the table has a column split; leave out"):
        split(table)
    roles_given(table, lambda frame: frame.assign(split=["control", *frame["split"][1:]]))
    with pytest.raises(ValueError, match="table: patient_00000 is in control and train"):
        split_as_given(table)
    roles_given(table, lambda frame: frame.replace({"split": {"calibration": "unused"}}))
    with pytest.raises(ValueError, match="0 patients whose split is calibration; at least 20"):
        split_as_given(table)


@pytest.mark.parametrize(("role", "n", "least"), [("train", 0, 1), ("calibration", 19, 20), ("control", 0, 1)])
def test_too_few_given_patients_of_a_role_are_refused(table, role, n, least):
    def keep(frame):
        wrong = frame[frame["split"] == role]["patient"].unique()[n:]
        return frame.assign(split=frame["split"].mask(frame["patient"].isin(wrong), "unused"))

    roles_given(table, keep)
    with pytest.raises(ValueError, match=f"table: has {n} patients whose split is {role}; at least {least} are needed"):
        split_as_given(table)
    assert not table.with_name("splits.tsv").exists()


def test_twenty_calibration_patients_are_enough(table):
    def keep(frame):
        wrong = frame[frame["split"] == "calibration"]["patient"].unique()[20:]
        return frame.assign(split=frame["split"].mask(frame["patient"].isin(wrong), "unused"))

    roles_given(table, keep)
    assert split_as_given(table).groupby("role")["patient"].nunique()["calibration"] == 20


def test_scans_of_unknown_patients_are_not_split(table):
    frame = read_table(table)
    frame["patient"] = frame["patient"].where(frame.index < 78, "unknown_000078")
    frame.to_csv(table, sep="\t", index=False)
    with pytest.raises(ValueError, match="patient: 2 of the 80 scans have no known patient"):
        split(table)
