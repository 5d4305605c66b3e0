"""What samples are worth: as much as T if they are T, little if they show something else, whoever is tested."""

import numpy as np
import pandas as pd
import pytest

from copylens.evaluation import classes, usefulness
from copylens.jobs.files import read_array, read_table, write_array, write_table, write_yaml

SETTINGS = {"steps": 150, "seed": 0, "classes": False}


def score(data, samples: dict[str, np.ndarray], path) -> pd.DataFrame:
    runs, paths = [], []
    write_table(pd.DataFrame({"row": range(16)}), data / "rows.tsv")
    write_yaml({"epochs": [3, 7]}, data / "spec.yaml")
    for name, images in samples.items():
        write_array(np.stack([np.zeros_like(images), images]), data / f"{name}.npy")
        runs.append({"dataset": "blobs", "model": name, "kind": "copycat", "variant": "base", "seed": 0})
        files = {"images": "images.npy", "samples": f"{name}.npy", "splits": "splits.tsv"}
        files |= {"training_rows": "rows.tsv", "spec": "spec.yaml"}
        paths.append({key: data / file for key, file in files.items()})
    usefulness.score_usefulness(runs, paths, SETTINGS, path)
    return read_table(path).set_index("model")


def test_copies_are_worth_as_much_as_the_patients_and_noise_is_not(data):
    images = np.array(read_array(data / "images.npy"))
    others = np.random.default_rng(0).random(images[:16].shape, dtype=np.float32)
    table = score(data, {"copies": images[:16], "noise": others}, data / "usefulness.csv")
    assert table.loc["copies", "usefulness"] == 1 and table.loc["noise", "usefulness_high"] < 0.7
    assert set(table["epoch"]) == {7} and set(table["n_samples"]) == {16}
    again = score(data, {"copies": images[:16], "noise": others}, data / "again.csv")
    pd.testing.assert_frame_equal(table, again)


def test_the_interval_is_over_patients_not_images():
    generator = np.random.default_rng(0)
    per_patient = generator.uniform(0.5, 2, 20)
    errors = np.repeat(per_patient, 10)
    low, high = usefulness.ratio_interval(np.ones(200), errors, np.repeat(range(20), 10))
    alone = usefulness.ratio_interval(np.ones(200), errors, np.arange(200))
    assert low < 1 / errors.mean() < high and high - low > 2 * (alone[1] - alone[0])


@pytest.mark.parametrize("n", [3, 40])
def test_any_number_of_samples_will_do(data, n):
    images = np.array(read_array(data / "images.npy"))
    errors = usefulness.errors_of(images[:n], images[20:24], SETTINGS | {"steps": 2})
    assert errors.shape == (4,) and np.isfinite(errors).all()


def bright(rng, n: int, dark: float) -> np.ndarray:
    return np.clip(rng.normal(dark, 0.1, (n, 16, 16)), 0, 1).astype(np.float32)


def test_a_classifier_that_learnt_from_good_samples_alone_knows_real_classes(tmp_path):
    """Two classes, bright and dark; one generator draws them, the other takes each for the other."""
    rng, runs, paths = np.random.default_rng(0), [], []
    splits = pd.DataFrame({"patient": range(30), "role": ["train"] * 10 + ["calibration"] * 10 + ["control"] * 10})
    write_table(splits, tmp_path / "splits.tsv")
    write_table(pd.DataFrame({"row": range(10)}), tmp_path / "rows.tsv")
    for name, dark in (("bright", 0.6), ("dark", 0.4)):
        write_array(bright(rng, 30, dark), tmp_path / f"{name}.npy")
        for model, drawn in (("good", dark), ("swapped", 1 - dark)):
            write_array(bright(rng, 24, drawn)[None], tmp_path / f"{name}_{model}.npy")
            runs.append({"dataset": name, "model": model, "variant": "base", "seed": 0})
            files = {"images": f"{name}.npy", "samples": f"{name}_{model}.npy", "splits": "splits.tsv"}
            paths.append({key: tmp_path / file for key, file in (files | {"training_rows": "rows.tsv"}).items()})
    table = classes.score_classes(runs, paths, {"steps": 40, "seed": 0})
    assert len(table) == 4 and set(table["area_of_training"]) == {table["area_of_training"][0]}
    good, swapped = table.iloc[0], table.iloc[1]
    assert good["area"] > 0.95 and good["area_of_training"] > 0.95 and swapped["area"] < 0.05
    assert table.iloc[2].equals(good) and table.iloc[3].equals(swapped)
    assert (table["area_low"] <= table["area"]).all() and (table["area"] <= table["area_high"]).all()


def test_the_area_of_several_classes_is_a_mean(tmp_path):
    labels = np.array([0, 0, 1, 1, 2, 2])
    assert classes.area(np.eye(3)[labels], labels) == 1
    swapped = np.eye(3)[np.array([0, 0, 2, 2, 1, 1])]
    assert classes.area(swapped, labels) == pytest.approx((1 + 0.25 + 0.25) / 3)
