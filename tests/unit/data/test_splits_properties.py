"""For any patients, scans, sizes and seed, the split is by patient, of the sizes that were asked for, and repeats."""

import tempfile
from pathlib import Path

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from copylens.data.splits import ROLES, split_patients, training_rows
from copylens.jobs.files import read_table, write_table

COLUMNS = ["scan", "patient", "other_scan", "other_patient"]


@st.composite
def requests(draw):
    """(scans.tsv, numbers of patients by role, seed): rows in any order, some patients with several scans."""
    n_scans = draw(st.lists(st.integers(1, 3), min_size=3, max_size=30))
    patients = [f"patient_{number:05d}" for number, n in enumerate(n_scans) for _ in range(n)]
    table = pd.DataFrame({"scan": [f"scan_{row:06d}" for row in range(len(patients))], "patient": patients})
    table = table.iloc[draw(st.permutations(range(len(table))))].reset_index(drop=True)
    first, second = sorted(
        draw(st.tuples(*[st.integers(1, len(n_scans) - 1)] * 2).filter(lambda cut: cut[0] != cut[1]))
    )
    control = draw(st.integers(1, len(n_scans) - second))
    return table, dict(zip(ROLES, (first, second - first, control), strict=True)), draw(st.integers(0, 2**32))


def split(table, wanted, seed, pairs=None, **changes) -> pd.DataFrame:
    settings = {**wanted, "scans_per_patient": None, "duplicates": "list", "seed": seed} | changes
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("scans.tsv", "splits.tsv", "pairs.csv")]
        write_table(table, paths[0])
        if pairs is not None:
            write_table(pairs, paths[2])
        split_patients(settings, *(paths if pairs is not None else paths[:2]))
        return read_table(paths[1])


def roles_of(splits) -> dict[str, str]:
    """The role of each patient, who has one."""
    assert (splits.groupby("patient")["role"].nunique() == 1).all()
    return dict(zip(splits["patient"], splits["role"], strict=True))


@given(requests())
def test_parts_share_no_patient_and_have_the_sizes_that_were_asked_for(request):
    table, wanted, seed = request
    splits = split(table, wanted, seed)
    assert splits[["scan", "patient"]].equals(table)
    counted = pd.Series(roles_of(splits)).value_counts()
    assert {role: counted[role] for role in ROLES} == wanted
    assert counted.get("unused", 0) == table["patient"].nunique() - sum(wanted.values())


@given(requests(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nobodys_role(request, random):
    table, wanted, seed = request
    shuffled = table.iloc[random.sample(range(len(table)), len(table))]
    assert roles_of(split(shuffled, wanted, seed)) == roles_of(split(table, wanted, seed))


@given(requests())
def test_a_seed_draws_the_same_split_again_and_another_seed_another(request):
    table, wanted, seed = request
    once = split(table, wanted, seed)
    assert once.equals(split(table, wanted, seed))
    assert any(not once.equals(split(table, wanted, seed + step)) for step in range(1, 30))


@given(requests(), st.integers(1, 3))
def test_so_many_scans_per_patient_are_each_patients_first(request, most):
    table, wanted, seed = request
    roles, splits = roles_of(split(table, wanted, seed)), split(table, wanted, seed, scans_per_patient=most)
    first = table.groupby("patient").cumcount() < most
    assert splits["role"].tolist() == table["patient"].map(roles).where(first, "unused").tolist()


@given(requests(), st.data())
def test_near_duplicates_share_a_role_and_no_part_grows(request, data):
    table, wanted, seed = request
    links = data.draw(st.lists(st.tuples(*[st.sampled_from(range(len(table)))] * 2), max_size=8), label="links")
    pairs = pd.DataFrame([[*table.iloc[one], *table.iloc[other]] for one, other in links], columns=COLUMNS)
    roles = roles_of(split(table, wanted, seed, pairs, duplicates="group"))
    assert all(roles[one] == roles[other] for one, other in pairs[["patient", "other_patient"]].to_numpy())
    counted = pd.Series(roles).value_counts()
    assert all(counted.get(role, 0) <= wanted[role] for role in ROLES)
    turned = pairs.iloc[::-1]
    assert roles_of(split(table, wanted, seed, turned, duplicates="group")) == roles


@given(requests(), st.data())
def test_a_smaller_training_set_lies_in_a_larger_one(request, data):
    splits = split(*request)
    rows = training_rows(splits, None)
    small, large = sorted(data.draw(st.tuples(*[st.integers(1, len(rows))] * 2), label="sizes"))
    chosen = [set(training_rows(splits, n)) for n in (small, large)]
    assert [len(each) for each in chosen] == [small, large] and chosen[0] <= chosen[1] <= set(rows)
    taken = splits.iloc[sorted(chosen[1])]["patient"].value_counts()
    whole = splits.iloc[rows]["patient"].value_counts()
    assert (taken < whole[taken.index]).sum() <= 1
