"""When memorization begins: read off the rise of a training's gap, and foretold from trainings on fewer images."""

import numpy as np
import pandas as pd
import pytest

from copylens.evaluation import forecast
from copylens.jobs.files import read_table, write_table, write_yaml


def test_it_begins_where_the_line_between_measurements_passes_the_limit():
    rises = pd.DataFrame({"step": [100, 200, 300], "value": [0.0, 0.05, 0.25]})
    assert forecast.begins(rises, 0.1) == pytest.approx(225)
    assert forecast.begins(rises, 0.02) == pytest.approx(140)
    assert np.isnan(forecast.begins(rises, 0.3))


def test_steps_are_foretold_in_proportion_to_images():
    smaller = pd.DataFrame({"n_train": [10, 40, 20], "begins": [100, 400, np.nan]})
    assert forecast.forecast(smaller, 80) == pytest.approx(800)
    assert np.isnan(forecast.forecast(smaller[:0], 80))


def test_only_smaller_sets_of_the_same_kind_foretell(tmp_path):
    runs, paths = [], []
    facts = [("few", 10, 0.1, 1e-3), ("base", 40, 0.1, 1e-3), ("other", 40, 0.2, 1e-3), ("whole", 10, None, 1e-3)]
    facts += [("faster", 40, 0.1, 2e-3)]
    for number, (variant, n, limit, rate) in enumerate(facts):
        folder = tmp_path / str(number)
        folder.mkdir()
        runs.append({"dataset": "nih", "model": "ldm", "variant": variant, "seed": 0, "kind": "latent_diffusion"})
        rises = {"step": [10 * n, 20 * n], "epoch": [1, 2], "name": "denoising_gap_rise", "value": [0.0, 0.4]}
        other = {"step": [10 * n], "epoch": [1], "name": "loss", "value": [9.0]}
        write_table(pd.concat([pd.DataFrame(rises), pd.DataFrame(other)]), folder / "losses.csv")
        write_table(pd.DataFrame({"row": range(n)}), folder / "rows.tsv")
        stop = {"stop": None if limit is None else {"rise": limit, "images": 8}}
        training = stop | {"learning_rate": rate, "steps": 100 * n}
        write_yaml({"settings": {"training": training, "n_train": n}}, folder / "spec.yaml")
        paths.append(
            {"losses": folder / "losses.csv", "training_rows": folder / "rows.tsv", "spec": folder / "spec.yaml"}
        )
    forecast.forecast_memorization(runs, paths, tmp_path / "forecast.csv")
    table = read_table(tmp_path / "forecast.csv").set_index("variant")
    assert list(table.index) == ["few", "base", "other", "faster"]
    np.testing.assert_allclose(table["begins"], [125, 500, 600, 500])
    np.testing.assert_allclose(table["forecast"], [np.nan, 500, np.nan, np.nan])
