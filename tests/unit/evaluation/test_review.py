"""People see pairs without knowing what detectors call them, and their answers become sensitivities."""

import numpy as np
import pandas as pd
import pytest

from copylens.config import columns
from copylens.evaluation.agreement import compare_detectors
from copylens.evaluation.correction import correct_rates
from copylens.evaluation.review import draw_pairs, judge_detectors
from copylens.jobs.files import read_arrays, read_table, write_array, write_arrays, write_table

N_SAMPLES, TAU = 100, 0.5
RUN = {"dataset": "d", "model": "m", "kind": "k", "variant": "base", "seed": 0}


def beside_new_patients(similarity: np.ndarray, index: np.ndarray, generator: np.random.Generator) -> dict:
    """nearest.npz of these samples, with 100 images each of V and H at similarities of 0.2 to 0.4 and no decoder."""
    arrays = {"synthetic_to_train_similarity": similarity, "synthetic_to_train_index": index}
    for name, n in (("calibration", 100), ("control", 100), ("calibration_decoded", 0), ("control_decoded", 0)):
        arrays[f"{name}_to_train_similarity"] = generator.uniform(0.2, 0.4, (n, 1)).astype(np.float32)
        arrays[f"{name}_to_train_index"] = generator.integers(40, size=(n, 1))
    return arrays


@pytest.fixture
def study(tmp_path) -> dict:
    """Two detectors' comparisons of one network: the first calls samples 0 to 29, the other 0 to 9 and 90 to 99."""
    generator = np.random.default_rng(0)
    write_array(generator.random((1, N_SAMPLES, 6, 5)), tmp_path / "samples.npy")
    write_array(generator.random((40, 6, 5)), tmp_path / "images.npy")
    calls = {"first": np.arange(N_SAMPLES) < 30, "other": (np.arange(N_SAMPLES) + 10) % N_SAMPLES < 20}
    runs, files, rows = [], [], []
    for name, called in calls.items():
        similarity = np.where(called, 0.9, 0.1).astype(np.float32)[None, :, None]
        index = (np.arange(N_SAMPLES) % 40)[None, :, None]
        paths = {
            "nearest": tmp_path / f"{name}.npz",
            "splits": tmp_path / "splits.tsv",
            **{each: tmp_path / f"{each}.npy" for each in ("samples", "images")},
        }
        write_arrays(beside_new_patients(similarity, index, generator), paths["nearest"])
        runs.append({**RUN, "detector": name})
        files.append(paths)
        rates = {"copies": called.mean(), "control_rate": 0.05, "control_rate_decoded": np.nan, "tau": TAU}
        counts = {"n_synthetic": N_SAMPLES, "n_control": 100, "n_calibration_patients": 100}
        rows.append({**runs[-1], "epoch": 1, "rule": "matched", **rates, **counts})
    write_table(pd.DataFrame(rows), tmp_path / "scores.csv")
    roles = np.repeat(["train", "calibration", "control"], [40, 100, 100])
    splits = pd.DataFrame({"patient": [f"p{number:03d}" for number in range(len(roles))], "role": roles})
    write_table(splits, tmp_path / "splits.tsv")
    return {"folder": tmp_path, "runs": runs, "files": files, "scores": tmp_path / "scores.csv", "calls": calls}


def drawn(study: dict, pairs: int) -> tuple[pd.DataFrame, pd.DataFrame, list]:
    key, answers = study["folder"] / "key.csv", study["folder"] / "answers.csv"
    sheets = draw_pairs(study["runs"], study["files"], study["scores"], {"pairs": pairs, "seed": 0}, key, answers)
    return read_table(key), read_table(answers), sheets


def test_a_review_has_pairs_of_both_calls_and_its_table_gives_nothing_away(study):
    key, answers, ((numbers, left, right),) = drawn(study, 40)
    assert key.groupby(["detector", "called"]).size().to_dict() == {
        ("first", False): 20,
        ("first", True): 20,
        ("other", False): 20,
        ("other", True): 20,
    }
    assert list(answers.columns) == ["pair", "answer"] and answers["answer"].isna().all()
    assert numbers == list(key["pair"]) == list(range(1, 81)) and left.shape == right.shape == (80, 6, 5)
    samples = np.load(study["files"][0]["samples"])[0][key["sample"]]
    on_the_left = (left == samples).all(axis=(1, 2))
    assert ((right == samples).all(axis=(1, 2)) != on_the_left).all() and 0.2 < on_the_left.mean() < 0.8


def test_answers_become_sensitivity_and_false_positives(study):
    key, answers, _ = drawn(study, 60)
    # The truth: samples 0 to 24, and every sample from 60 to 69.
    is_copy = (key["sample"] < 25) | key["sample"].between(60, 69)
    answers["answer"] = np.where(is_copy, "copy", "Other ")
    answers.loc[0, "answer"] = "unsure"
    write_table(answers, study["folder"] / "filled.csv")
    judged = judge_detectors(study["folder"] / "filled.csv", study["folder"] / "key.csv").set_index("detector")
    assert judged.loc["first", "sensitivity"] == pytest.approx(25 / 35, abs=0.15)
    assert judged.loc["first", "false_positive_rate"] == pytest.approx(5 / 65, abs=0.05)
    assert judged["n_unsure"].sum() == 1
    table = corrected(study, [study["folder"] / "filled.csv", study["folder"] / "key.csv"])
    reviewed = table[table["source"] == "review"].set_index("detector").loc["first"]
    assert reviewed["true_copies"] == pytest.approx(0.35, abs=0.1)
    assert reviewed["true_copies_low"] < 0.35 < reviewed["true_copies_high"]


@pytest.mark.parametrize(
    ("pair", "answer", "message"),
    [(3, "maybe", "pair 3 has answer 'maybe'; write copy, other, unsure"), (99, "copy", "pair 99 isn't on the sheet")],
)
def test_an_answer_that_means_nothing_is_refused(study, pair, answer, message):
    drawn(study, 10)
    (study["folder"] / "filled.csv").write_text(f"pair,answer\n1,copy\n{pair},{answer}\n")
    with pytest.raises(ValueError, match=message):
        judge_detectors(study["folder"] / "filled.csv", study["folder"] / "key.csv")


def corrected(study: dict, review: list) -> pd.DataFrame:
    """Planted copies of which the first detector finds 80 % and the other 40 %."""
    planted = {}
    for name, share in (("first", 0.8), ("other", 0.4)):
        similarity = np.where(np.arange(200) < 100 * share, 0.9, 0.1).astype(np.float32)
        path = study["folder"] / f"{name}_planted.npz"
        is_copy, patient = np.arange(200) < 100, np.arange(200)
        names = {"transform": np.array(["identity", "elastic"]), "group": np.array(["rigid", "hard"])}
        both = np.stack([similarity, np.zeros(200, np.float32)])
        write_arrays({"similarity": both, "is_copy": is_copy, "patient": patient, **names}, path)
        planted["d", name] = path
    correct_rates(study["scores"], planted, [], review, study["folder"] / "corrected.csv")
    return read_table(study["folder"] / "corrected.csv")


def test_copies_are_corrected_for_what_is_missed_and_for_false_positives(study):
    table = corrected(study, [])
    assert set(columns.RUN) <= set(table) and list(table["source"]) == ["planted"] * 2
    assert list(table["sensitivity"]) == [0.8, 0.4] and list(table["n_known"]) == [100, 100]
    expected = [(0.3 - 0.05) / (0.8 - 0.05), (0.2 - 0.05) / (0.4 - 0.05)]
    np.testing.assert_allclose(table["true_copies"], expected)
    assert (table["true_copies_low"] < expected).all() and (table["true_copies_high"] > expected).all()
    with pytest.raises(ValueError, match="turned not planted; there are identity, elastic"):
        correct_rates(
            study["scores"], {("d", "first"): study["folder"] / "first_planted.npz"}, ["turned"], [], "never.csv"
        )


def test_the_larger_control_rate_and_the_planted_copies_patients_are_what_counts(study):
    scores = read_table(study["scores"])
    for raw, decoded in ((0.05, 0.12), (0.12, 0.05), (0.12, np.nan)):
        write_table(scores.assign(control_rate=raw, control_rate_decoded=decoded), study["scores"])
        assert list(corrected(study, [])["false_positive_rate"]) == [0.12, 0.12]
    # Two images of each patient, and two transforms, are still 50 patients.
    for name in ("first", "other"):
        path = study["folder"] / f"{name}_planted.npz"
        arrays = read_arrays(path) | {"patient": np.arange(200) // 2, "group": np.array(["rigid", "rigid"])}
        write_arrays(arrays, path)
    planted = {("d", name): study["folder"] / f"{name}_planted.npz" for name in ("first", "other")}
    correct_rates(study["scores"], planted, [], [], study["folder"] / "again.csv")
    table = read_table(study["folder"] / "again.csv")
    assert list(table["n_known"]) == [50, 50] and list(table["sensitivity"]) == [0.4, 0.2]
    correct_rates(study["scores"], planted, ["identity"], [], study["folder"] / "again.csv")
    assert list(read_table(study["folder"] / "again.csv")["sensitivity"]) == [0.8, 0.4]


def compared(study: dict) -> list[pd.DataFrame]:
    """The tables of agreement and consensus."""
    paths = study["folder"] / "agreement.csv", study["folder"] / "consensus.csv"
    compare_detectors(study["runs"], study["files"], study["scores"], {"draws": 200, "seed": 0}, *paths)
    return [read_table(path) for path in paths]


def with_an_earlier_state(study: dict) -> None:
    """The same networks at epoch 0, where the first detector calls all samples and the other none, by other rows."""
    late = read_table(study["scores"])
    early = late.assign(epoch=0, tau=[0.05, 0.95])
    write_table(pd.concat([early, late]), study["scores"])
    for each in study["files"]:
        arrays = read_arrays(each["nearest"])
        similarity, index = arrays["synthetic_to_train_similarity"], arrays["synthetic_to_train_index"]
        shift = 1 if each["nearest"].stem == "first" else 0
        arrays |= {
            "synthetic_to_train_similarity": np.concatenate([np.full_like(similarity, 0.5), similarity]),
            "synthetic_to_train_index": np.concatenate([(index + shift) % 40, index]),
        }
        write_arrays(arrays, each["nearest"])
    samples = np.load(study["files"][0]["samples"])
    write_array(np.concatenate([np.zeros_like(samples), samples]), study["files"][0]["samples"])


def test_each_state_has_its_own_agreement(study):
    with_an_earlier_state(study)
    # In the early state all that the first one calls, and 10 of them by the other one too: with sources that differ.
    arrays = read_arrays(study["files"][1]["nearest"])
    arrays["synthetic_to_train_similarity"][0, :10] = 0.99
    write_arrays(arrays, study["files"][1]["nearest"])
    agreement, consensus = compared(study)
    table = agreement.set_index("epoch")
    columns = ["both", "only_first", "only_other", "same_source"]
    assert table.loc[0, columns].to_list() == [0.1, 0.9, 0.0, 0.0]
    assert table.loc[1, columns].to_list() == [0.1, 0.2, 0.1, 1.0]
    votes = consensus[consensus["rule"] == "votes"].set_index(["epoch", "at_least"])
    assert votes["copies"].to_list() == [1.0, 0.1, 0.4, 0.1]


def test_same_source_is_a_share_of_what_both_call_and_detectors_that_agree_on_all_have_no_kappa(study):
    path = study["files"][1]["nearest"]
    arrays = read_arrays(path)
    arrays["synthetic_to_train_index"][0, 5:] += 1
    write_arrays(arrays, path)
    assert compared(study)[0]["same_source"].item() == 0.5
    write_table(read_table(study["scores"]).assign(tau=0.99), study["scores"])
    table = compared(study)[0]
    assert table["kappa"].isna().all() and table["same_source"].isna().all() and table["both"].item() == 0


def test_a_review_is_of_the_last_state(study):
    with_an_earlier_state(study)
    key, _, ((_, left, right),) = drawn(study, 40)
    calls = [bool(study["calls"][row.detector][row.sample]) for row in key.itertuples()]
    assert list(key["called"]) == calls and list(key["row"]) == list(key["sample"] % 40)
    # The early samples are black.
    assert left.any(axis=(1, 2)).all() and right.any(axis=(1, 2)).all()


def test_an_answer_that_is_not_clear_counts_for_neither_call(study):
    key, answers, _ = drawn(study, 60)
    first = key["detector"] == "first"
    answers["answer"] = np.where(key["called"], "copy", "other")
    # Nine in ten answers about what isn't called are missing or unsure: the tenth one stands for all 70 samples.
    silent = first & ~key["called"] & (np.arange(len(key)) % 10 != 0)
    answers.loc[silent, "answer"] = np.where(np.arange(silent.sum()) % 2, "unsure", "")
    clear = key[first & ~key["called"] & ~silent]
    answers.loc[answers["pair"] == clear["pair"].iloc[0], "answer"] = "copy"
    write_table(answers, study["folder"] / "filled.csv")
    judged = judge_detectors(study["folder"] / "filled.csv", study["folder"] / "key.csv").set_index("detector")
    missed = 70 / len(clear)
    assert judged.loc["first", "sensitivity"] == pytest.approx(30 / (30 + missed))
    assert judged.loc["first", "n_known"] == 31 and judged.loc["first", "n_unsure"] == silent.sum() // 2


def test_detectors_agree_as_far_as_their_calls_do(study):
    agreement, consensus = compared(study)
    (row,) = agreement.to_dict("records")
    assert (row["both"], row["only_first"], row["only_other"], row["same_source"]) == (0.1, 0.2, 0.1, 1.0)
    # Observed agreement 0.7, by chance 0.3 * 0.2 + 0.7 * 0.8 = 0.62.
    assert row["kappa"] == pytest.approx((0.7 - 0.62) / (1 - 0.62))
    votes = consensus[consensus["rule"] == "votes"]
    assert votes["copies"].tolist() == [0.4, 0.1] and votes["control_rate"].tolist() == [0.0, 0.0]
    (combined,) = consensus[consensus["rule"] == "combined"].to_dict("records")
    # Each detector's copies are far beyond what new patients have, so that either one's are enough.
    assert combined["copies"] == 0.4 and combined["copies_low"] < 0.4 < combined["copies_high"]
    assert combined["control_rate"] < 0.12 and combined["control_rate_low"] <= 0.05 <= combined["control_rate_high"]
    assert np.isnan(combined["at_least"]) and np.isnan(combined["control_rate_decoded"])
