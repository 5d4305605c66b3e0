"""What samples are worth: as much as T if they are T, little if they show something else, whoever is tested."""

import numpy as np
import pandas as pd
import pytest

from copylens.evaluation import usefulness
from copylens.jobs.files import read_array, read_table, write_array, write_table, write_yaml

SETTINGS = {"steps": 150, "seed": 0}


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
