"""From embeddings in files to the score table and the pairs of a figure, with embeddings whose answer is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copylens.detection.nearest import compare_to_training
from copylens.detection.search import EXACT
from copylens.evaluation.scores import score_copies
from copylens.jobs.files import read_arrays, read_table, write_array, write_table, write_yaml
from copylens.reporting import tables

ROLES = ("train", "calibration", "control", "unused")
N_PATIENTS, WIDTH = 160, 32
RUN = {"dataset": "d", "model": "m", "kind": "k", "variant": "base", "seed": 0, "detector": "e"}


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    """40 patients in each role, in no order; every fourth has two images. Synthetic images copy every second row of T
    at the network's last state, epoch 8; at epoch 4 they are noise.

    After the decoder, control images are far from everything and every calibration image is near the training set.
    """
    generator = np.random.default_rng(0)
    patients = [patient for patient in range(N_PATIENTS) for _ in range(1 + (patient % 4 == 0))]
    patients = generator.permutation(patients)
    role_of = generator.permutation([role for role in ROLES for _ in range(N_PATIENTS // 4)])
    splits = pd.DataFrame({"scan": [f"scan_{row:03d}" for row in range(len(patients))]})
    splits["patient"] = [f"patient_{patient:03d}" for patient in patients]
    splits["role"] = role_of[patients]
    scans = generator.normal(size=(len(splits), WIDTH))
    rows = {role: np.flatnonzero(splits["role"] == role) for role in ROLES}
    synthetic = np.concatenate([scans[rows["train"][::2]], generator.normal(size=(60, WIDTH))])
    synthetic = np.stack([generator.normal(size=synthetic.shape), synthetic])
    near = scans[generator.choice(rows["train"], len(rows["calibration"]))]
    near = near + 0.5 * generator.normal(size=near.shape)
    far = -scans[rows["train"]].sum(axis=0) + 0.1 * generator.normal(size=(len(rows["control"]), WIDTH))
    paths = {name: tmp_path / f"{name}.npy" for name in ("scans", "synthetic", "reconstructed")}
    for name, array in zip(paths, (scans, synthetic, np.concatenate([near, far])), strict=True):
        write_array(array, paths[name])
    paths |= {name: tmp_path / f"{name}.tsv" for name in ("splits", "training_rows")}
    write_table(splits, paths["splits"])
    write_table(splits.iloc[rows["train"]][["scan", "patient"]].assign(row=rows["train"]), paths["training_rows"])
    paths |= {"spec": tmp_path / "spec.yaml", "nearest": tmp_path / "nearest.npz"}
    write_yaml({"epochs": [4, 8]}, paths["spec"])
    detector = tmp_path / "detector"
    write_yaml(
        {"settings": {"kind": "random_features"}, **dict.fromkeys(("lay", "compare", "verify", "search"), False)},
        detector / "spec.yaml",
    )
    # No kind without these stages looks at the images.
    for name, embedded in (("images", "scans"), ("samples", "synthetic"), ("decoded", "reconstructed")):
        paths[name] = paths[embedded]
    compare_to_training(paths, detector, 50, EXACT, paths["nearest"])
    return paths


def rows_of(files: dict[str, Path], role: str) -> np.ndarray:
    return np.flatnonzero(read_table(files["splits"])["role"] == role)


def scores_of(files: dict[str, Path], epoch: int = 8) -> pd.DataFrame:
    """The two rows of one state, by rule."""
    tables = [files["nearest"].with_name(f"{name}.csv") for name in ("scores", "exposure")]
    score_copies([RUN], [files], 100, 0, *tables)
    scores = read_table(files["nearest"].with_name("scores.csv"))
    assert list(scores["epoch"]) == [4, 4, 8, 8]
    return scores[scores["epoch"] == epoch].set_index("rule")


def test_neighbours_are_rows_of_the_image_array(files):
    arrays, train = read_arrays(files["nearest"]), rows_of(files, "train")
    copied = train[::2]
    np.testing.assert_array_equal(arrays["synthetic_to_train_index"][-1, : len(copied), 0], copied)
    assert set(arrays["control_to_train_index"].ravel()) <= set(train)


def test_correlations_are_those_of_the_role_that_they_are_named_after(files):
    arrays, scans = read_arrays(files["nearest"]), np.load(files["scans"])
    decoded = np.load(files["reconstructed"])
    train = scans[rows_of(files, "train")]
    n_calibration = len(rows_of(files, "calibration"))
    expected = {
        "calibration": scans[rows_of(files, "calibration")],
        "control": scans[rows_of(files, "control")],
        "calibration_decoded": decoded[:n_calibration],
        "control_decoded": decoded[n_calibration:],
    }
    for name, images in expected.items():
        full = np.corrcoef(images, train)[: len(images), len(images) :]
        np.testing.assert_allclose(arrays[f"{name}_to_train_similarity"][:, 0], full.max(axis=1), atol=1e-5)


def test_the_score_table_counts_images_and_patients(files):
    scores = scores_of(files)
    train = rows_of(files, "train")
    n_copies = len(train[::2])
    patients = read_table(files["splits"])["patient"].to_numpy()
    paper = scores.loc["paper"]
    assert paper["n_train"] == len(train) and paper["n_synthetic"] == n_copies + 60 and paper["epoch"] == 8
    # 40 patients of V have 50 images, and count once each.
    assert (paper["n_calibration"], paper["n_calibration_patients"], paper["n_released"]) == (50, 40, 40)
    # Whatever is nearer than the copies' own correlation of 1 is chance, which the paper's rule adds.
    chance = 0.3
    assert n_copies / (n_copies + 60) <= paper["copies"] <= n_copies / (n_copies + 60) + chance
    assert n_copies / len(train) <= paper["memorized"] <= n_copies / len(train) + chance
    copied_patients = len(set(patients[train[::2]])) / len(set(patients[train]))
    assert copied_patients <= paper["patients_memorized"] <= copied_patients + chance
    assert copied_patients > n_copies / len(train)


def test_each_state_of_a_network_is_scored_by_itself(files):
    early, late = (scores_of(files, epoch) for epoch in (4, 8))
    assert early.loc["matched", "copies"] < 0.2 < late.loc["matched", "copies"]
    # What depends on real images alone is the same.
    assert (early["tau"] == late["tau"]).all() and (early["control_rate"] == late["control_rate"]).all()


def test_releasing_more_samples_exposes_more_patients(files):
    scores = scores_of(files)
    curve = read_table(files["nearest"].with_name("exposure.csv")).query("epoch == 8")
    assert curve["n_released"].iloc[-1] == scores["n_synthetic"].iloc[0] and curve["n_patients"].unique() == [40]
    assert curve["exposed"].is_monotonic_increasing and curve["exposed"].iloc[0] < 0.05
    copied = len(set(read_table(files["splits"])["patient"][rows_of(files, "train")[::2]]))
    assert curve["exposed"].iloc[-1] >= copied / 40


def test_the_control_rate_after_the_decoder_has_its_own_column(files):
    scores = scores_of(files)
    assert scores.loc["matched", "control_rate_decoded"] == 0
    # Decoded calibration images lie near the training set, so they set the matched threshold.
    assert scores.loc["matched", "tau"] > scores.loc["paper", "tau"]
    assert scores.loc["matched", "control_rate"] < scores.loc["paper", "control_rate"] + 1e-9


def test_a_page_of_pairs_shows_each_copy_beside_its_source(files, tmp_path):
    scores = scores_of(files).reset_index()
    images = np.arange(len(np.load(files["scans"])))[:, None, None] * np.ones((1, 2, 2))
    samples = np.arange(np.load(files["synthetic"]).shape[1])[None, :, None, None] * np.ones((2, 1, 2, 2))
    for name, array in (("images", images), ("samples", samples)):
        write_array(array, tmp_path / f"{name}.npy")
    paths = files["nearest"], tmp_path / "samples.npy", tmp_path / "images.npy", files["splits"]
    pairs, synthetic, training = tables.copy_pairs(RUN, scores, *paths)
    train, patients = rows_of(files, "train"), read_table(files["splits"])["patient"]
    copied = pairs["correlation"] > 0.999
    assert copied.sum() >= 12 and (pairs["called"][copied] == "copy").all()
    assert (pairs["called"][pairs["correlation"] < scores["tau"].max()] == "no copy").any()
    sources = train[::2][synthetic[copied][:, 0, 0].astype(int)]
    np.testing.assert_array_equal(training[copied][:, 0, 0].astype(int), sources)
    assert list(pairs["patient"]) == list(patients[training[:, 0, 0].astype(int)])
