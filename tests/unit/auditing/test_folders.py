"""From folders to a configuration."""

import numpy as np
import PIL.Image
import pytest

from copylens.auditing.folders import Options, Whose, configuration


@pytest.fixture
def folders(tmp_path) -> dict:
    """Three folders whose files have the same names, of other images."""
    for seed, name in enumerate(("training", "held_out", "synthetic")):
        (tmp_path / name).mkdir()
        for number in range(3):
            values = np.random.default_rng([seed, number]).uniform(0, 255, (20, 12))
            np.save(tmp_path / name / f"{number}.npy", values.astype(np.float32))
    return {name: tmp_path / name for name in ("training", "held_out", "synthetic")}


def test_files_of_one_name_are_two_patients_and_that_is_said(folders):
    config, notes = configuration(folders, "release", Options(Whose(one_file_per_patient=True)))
    assert [note for note in notes if "3 files have one name in both real folders" in note]
    assert "training: 3 images of 3 patients, read by npy_folder" in notes
    assert config["datasets"]["training"]["pattern"] == "training/**/*.npy"
    assert config["datasets"]["synthetic"]["root"] == str(folders["synthetic"])


def test_labels_in_paths_need_no_option(folders):
    for part in folders:
        for number in range(3):
            (folders[part] / f"{number}.npy").unlink()
            values = np.random.default_rng(number).integers(0, 255, (20, 12), dtype=np.uint8)
            PIL.Image.fromarray(values).save(folders[part] / f"sub-{part[0]}{number}.png")
    config, notes = configuration(folders, "release", Options())
    assert "held-out: 3 images of 3 patients, read by image_folder" in notes
    assert config["datasets"]["training"]["grid"] == [20, 12]
    assert sum(note.count("would be enough") for note in notes if note.startswith("warning: can't PASS with")) == 3


def test_a_policy_and_a_grid_are_kept(folders):
    options = Options(Whose(one_file_per_patient=True), grid=[16, 10], policy={"copies": 0.1})
    config, notes = configuration(folders, "release", options)
    assert config["audits"]["release"]["policy"] == {"copies": 0.1}
    assert "grid: 16x10, as asked for" in notes
