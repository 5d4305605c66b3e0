"""Images of several data sets in an audit's own arrays, what makes them worthless, and the folder of the rest."""

import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reader_examples import listing as listing_of
from reader_examples import save_dicom

from copylens.auditing.pool import pool_images
from copylens.auditing.publish import restrict
from copylens.auditing.release import gather_rest
from copylens.data import source_files
from copylens.data.images import gather_images
from copylens.data.listing import find_scans, list_scans
from copylens.jobs import checksums
from copylens.jobs.files import read_array, read_table, write_array, write_table

LIMITS = {"pixels": 10**6, "padded": 10**6, "bytes": 10**7, "seconds": 10}
ARRAYS = {"reader": "npy_folder", "pattern": "*.npy", "patient": None, "stacked": False, "spacing": None}
ARRAYS |= {"limits": LIMITS}
IMAGING = {"grid": [8, 8], "fit": "pad", "scaling": {"kind": "minmax"}}


def folder_of(root: Path, names: list[str], seed: int) -> dict:
    """A folder of arrays with these names, each a patient of its own by the name up to the first underscore."""
    generator = np.random.default_rng(seed)
    root.mkdir()
    for name in names:
        np.save(root / f"{name}.npy", generator.random((8, 8)).astype(np.float32), allow_pickle=False)
    return ARRAYS | {"root": str(root), "patient": "^([^_]+)_"}


def listed(settings: dict, folder: Path) -> dict[str, Path]:
    """The data set's scans.tsv and images.npy."""
    files = {"scans": folder / "scans.tsv", "images": folder / "images.npy"}
    list_scans(settings, files["scans"])
    gather_images(settings, IMAGING, files["scans"], files["images"])
    return files


class Case:
    """Twelve training patients, thirty held-out ones, five samples."""

    def __init__(self, folder: Path, shared: bool = False):
        names = {
            "training": [f"a{number:02d}_{image}" for number in range(12) for image in range(2)],
            "held_out": [f"b{number:02d}_0" for number in range(30)],
        }
        names["held_out"] += ["a03_9"] if shared else []
        self.listing = {part: folder_of(folder / part, names[part], seed) for seed, part in enumerate(names)}
        self.files = {}
        for part, settings in self.listing.items():
            for kind, path in listed(settings, folder / "data" / part).items():
                self.files[f"{part}_{kind}"] = path
        self.files["synthetic"] = folder / "synthetic.npy"
        trained = read_array(self.files["training_images"])
        samples = np.random.default_rng(9).random((5, 8, 8)).astype(np.float32)
        samples[2] = trained[4]
        write_array(samples, self.files["synthetic"])
        self.out = folder / "audit"

    def pool(self):
        pool_images({"listing": self.listing, "seed": 0}, self.files, self.out)
        return read_table(self.out / "splits.tsv")


def test_training_calibration_and_control_are_different_patients(tmp_path):
    splits = Case(tmp_path).pool()
    by_role = splits.groupby("role")["patient"].agg(set)
    assert {role: len(patients) for role, patients in by_role.items()} == {
        "train": 12,
        "calibration": 15,
        "control": 15,
    }
    assert not by_role["calibration"] & by_role["control"]
    assert not by_role["train"] & (by_role["calibration"] | by_role["control"])


def test_rows_are_the_images_of_the_table(tmp_path):
    case = Case(tmp_path)
    splits = case.pool()
    images = read_array(case.out / "images.npy")
    trained = read_array(case.files["training_images"])
    assert np.array_equal(images[(splits["role"] == "train").to_numpy()], trained)
    assert len(images) == len(splits) == 24 + 30


def test_a_sample_that_is_a_training_image_is_caught_before_any_detector(tmp_path):
    case = Case(tmp_path)
    case.pool()
    identical = read_table(case.out / "samples.tsv")["identical_to"].tolist()
    assert identical == ["nobody", "nobody", read_table(case.files["training_scans"])["patient"][4], "nobody", "nobody"]


def test_a_patient_in_both_sets_is_refused_by_pseudonym(tmp_path):
    with pytest.raises(
        ValueError, match=r"1 of its patients were trained on, such as patient_\d{5} \((calib|contr)"
    ) as error:
        Case(tmp_path, shared=True).pool()
    assert "a03" not in str(error.value)


def roles_of(case: Case, part: str, roles: list[str]) -> None:
    """Give a data set the column split, as a table of the user's would."""
    path = case.files[f"{part}_scans"]
    write_table(read_table(path).assign(split=roles), path)


@pytest.mark.parametrize("part", ["training", "held_out"])
def test_a_patient_with_two_roles_is_refused_by_pseudonym(part, tmp_path):
    case = Case(tmp_path)
    if part == "training":
        # Two images of each of twelve patients: the seventh has one in T and one in V.
        roles_of(case, part, ["train"] * 13 + ["calibration"] * 7 + ["control"] * 4)
        case.files = {name: path for name, path in case.files.items() if not name.startswith("held_out")}
    else:
        names = [scan.source for scan in find_scans(case.listing["held_out"])[1]]
        os.rename(tmp_path / "held_out" / names[29], tmp_path / "held_out" / f"{names[28][:3]}_1.npy")
        case.files |= {
            f"held_out_{kind}": path for kind, path in listed(case.listing["held_out"], tmp_path / "y").items()
        }
        roles_of(case, part, ["calibration", *["control"] * 28, "calibration"])
    with pytest.raises(ValueError, match=r"patients with two roles: 1, such as (held_out_)?patient_\d{5} \("):
        case.pool()


def test_one_training_patient_is_refused(tmp_path):
    case = Case(tmp_path)
    roles_of(case, "training", ["train"] * 2 + ["unused"] * 22)
    with pytest.raises(ValueError, match="it needs two at least"):
        case.pool()


def test_an_image_in_both_sets_is_refused_by_pseudonym(tmp_path):
    case = Case(tmp_path)
    images = np.array(read_array(case.files["held_out_images"]))
    images[7] = read_array(case.files["training_images"])[0]
    write_array(images, case.files["held_out_images"])
    with pytest.raises(ValueError, match=r"held_out_patient_\d{5} .* pixel by pixel one of patient_\d{5}"):
        case.pool()


def test_only_the_images_that_the_network_saw_are_training_images(tmp_path):
    case = Case(tmp_path)
    case.files["training_rows"] = tmp_path / "rows.tsv"
    case.files["training_rows"].write_text("row\n0\n1\n5\n")
    assert (case.pool()["role"] == "train").sum() == 3


def test_samples_of_another_shape_are_refused(tmp_path):
    case = Case(tmp_path)
    write_array(np.zeros((3, 8, 6)), case.files["synthetic"])
    with pytest.raises(ValueError, match="give both one grid"):
        case.pool()


def test_held_out_images_of_nobody_known_are_refused(tmp_path):
    case = Case(tmp_path)
    case.listing["held_out"]["patient"] = None
    case.files |= {f"held_out_{kind}": path for kind, path in listed(case.listing["held_out"], tmp_path / "x").items()}
    with pytest.raises(ValueError, match=r"held_out: .* images have no known patient"):
        case.pool()


def test_the_restricted_folder_is_only_its_owners(tmp_path):
    restrict(tmp_path / "restricted")
    assert stat.S_IMODE(os.stat(tmp_path / "restricted").st_mode) == 0o700
    assert "patients" in (tmp_path / "restricted" / "README.txt").read_text()


def verdict(folder: Path, word: str = "PASS", rest: str | None = None) -> Path:
    """An audit's verdict, and that on the rest, with its checksum."""
    path = folder / "verdict.json"
    with checksums.whole(path) as temporary:
        temporary.write_text(json.dumps({"verdict": word, "quarantine": rest and {"verdict": rest}}))
    return path


HOSTILE = ["=cmd()_0", "a\nb_0", "<img src=x onerror=alert(1)>_0", "plain_0"]


def audited(files: dict[str, Path], folder: Path) -> Path:
    """The record of the files that an audit saw."""
    source_files.freeze({"synthetic": source_files.record_of(files["scans"])}, folder / "files.json")
    return folder / "files.json"


def test_the_rest_keeps_its_files_and_names(tmp_path):
    listing = folder_of(tmp_path / "samples", HOSTILE, 3)
    names = [scan.source for scan in find_scans(listing)[1]]
    withheld = [name.startswith("plain") for name in names]
    samples = tmp_path / "samples.tsv"
    write_table(table_of(withheld), samples)
    files = listed(listing, tmp_path / "data")
    seen = audited(files, tmp_path / "restricted")
    gather_rest(verdict(tmp_path), samples, tmp_path / "none.npy", listing, files["scans"], seen, tmp_path / "rest")
    kept = sorted(path.name for path in (tmp_path / "rest" / "files").iterdir())
    assert kept == sorted(["SHA256SUMS", *(name for name in names if not name.startswith("plain"))])
    assert not any(path.is_symlink() for path in (tmp_path / "rest" / "files").iterdir())
    table = read_table(tmp_path / "rest" / "list.tsv")
    assert not table["file"].str.startswith("=").any()
    assert table["withheld"].tolist() == withheld


def test_a_series_that_is_left_is_left_with_all_its_slices(tmp_path):
    save_dicom(tmp_path / "made", ["a", "b", "c"], np.random.default_rng(0).random((3, 4, 8, 8)))
    listing = listing_of("dicom_series", root=str(tmp_path / "made"))
    list_scans(listing, tmp_path / "data" / "scans.tsv")
    seen = audited({"scans": tmp_path / "data" / "scans.tsv"}, tmp_path / "restricted")
    write_table(table_of([False, True, False]), tmp_path / "samples.tsv")
    judged = verdict(tmp_path), tmp_path / "samples.tsv"
    scans = tmp_path / "data" / "scans.tsv"
    gather_rest(*judged, tmp_path / "none.npy", listing, scans, seen, tmp_path / "rest")
    names = [scan.source for scan in find_scans(listing)[1]]
    left = {path.relative_to(tmp_path / "rest" / "files") for path in (tmp_path / "rest" / "files").rglob("*.dcm")}
    kept = [path for path in (tmp_path / "made").rglob("*.dcm") if names[1] not in str(path)]
    assert left == {path.relative_to(tmp_path / "made") for path in kept} and len(left) == 8
    for path in left:
        assert (tmp_path / "rest" / "files" / path).read_bytes() == (tmp_path / "made" / path).read_bytes()


@pytest.mark.parametrize("rest", ["FAIL", "NOT ABLE TO SAY", "PASS"])
def test_nothing_lies_ready_for_release_where_nothing_may_be_released(rest, tmp_path):
    listing = folder_of(tmp_path / "samples", ["a_0", "b_0", "c_0"], 3)
    files = listed(listing, tmp_path / "data")
    seen = audited(files, tmp_path / "restricted")
    write_table(table_of([False, False, True]), tmp_path / "samples.tsv")
    judged = verdict(tmp_path, "FAIL", rest), tmp_path / "samples.tsv"
    gather_rest(*judged, tmp_path / "none.npy", listing, files["scans"], seen, tmp_path / "rest")
    left = {path.name for path in (tmp_path / "rest" / "files").iterdir()} - {"SHA256SUMS"}
    assert left == ({"a_0.npy", "b_0.npy"} if rest == "PASS" else set())
    assert read_table(tmp_path / "rest" / "list.tsv")["withheld"].tolist() == [False, False, True]


def test_the_rest_of_a_network_is_an_array(tmp_path):
    synthetic = np.random.default_rng(0).random((4, 8, 8)).astype(np.float32)
    write_array(synthetic, tmp_path / "synthetic.npy")
    write_table(table_of([True, False, True, False]), tmp_path / "samples.tsv")
    paths = verdict(tmp_path), tmp_path / "samples.tsv", tmp_path / "synthetic.npy"
    gather_rest(*paths, None, None, tmp_path / "none.json", tmp_path / "rest")
    assert np.array_equal(read_array(tmp_path / "rest" / "files" / "images.npy"), synthetic[[1, 3]])


def test_samples_that_share_a_file_come_as_an_array(tmp_path):
    root = tmp_path / "stacked"
    root.mkdir()
    synthetic = np.random.default_rng(0).random((4, 8, 8)).astype(np.float32)
    np.save(root / "all.npy", synthetic, allow_pickle=False)
    write_array(synthetic, tmp_path / "synthetic.npy")
    write_table(table_of([True, False, False, False]), tmp_path / "samples.tsv")
    listing = ARRAYS | {"root": str(root), "stacked": True}
    table = listed(listing, tmp_path / "data")["scans"]
    paths = verdict(tmp_path), tmp_path / "samples.tsv", tmp_path / "synthetic.npy"
    gather_rest(*paths, listing, table, tmp_path / "none.json", tmp_path / "rest")
    assert len(read_array(tmp_path / "rest" / "files" / "images.npy")) == 3


def test_nothing_is_released_of_files_that_were_changed_since(tmp_path):
    listing = folder_of(tmp_path / "samples", ["a_0", "b_0", "c_0"], 3)
    files = listed(listing, tmp_path / "data")
    table, seen = files["scans"], audited(files, tmp_path / "restricted")
    write_table(table_of([False, False, True]), tmp_path / "samples.tsv")
    judged = verdict(tmp_path), tmp_path / "samples.tsv"
    # What was withheld takes the name of what wasn't.
    (tmp_path / "samples" / "c_0.npy").replace(tmp_path / "samples" / "a_0.npy")
    shutil.copyfile(tmp_path / "samples" / "b_0.npy", tmp_path / "samples" / "c_0.npy")
    with pytest.raises(ValueError, match=r"scans.tsv: the data set has changed since it was listed"):
        gather_rest(*judged, tmp_path / "none.npy", listing, table, seen, tmp_path / "rest")
    assert not (tmp_path / "rest").exists()


def test_a_file_that_changes_while_it_is_copied_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    listing = folder_of(tmp_path / "samples", ["a_0", "b_0", "c_0"], 3)
    files = listed(listing, tmp_path / "data")
    seen = audited(files, tmp_path / "restricted")
    write_table(table_of([False, False, True]), tmp_path / "samples.tsv")
    judged = verdict(tmp_path), tmp_path / "samples.tsv"
    copy = shutil.copyfile
    other = tmp_path / "samples" / "c_0.npy"
    monkeypatch.setattr(
        shutil, "copyfile", lambda source, target: copy(other if source.name == "b_0.npy" else source, target)
    )
    before = {path for path in tmp_path.rglob("*")}
    with pytest.raises(ValueError, match=r"b_0\.npy: isn't the file that was audited"):
        gather_rest(*judged, tmp_path / "none.npy", listing, files["scans"], seen, tmp_path / "rest")
    assert {path for path in tmp_path.rglob("*")} == before


def table_of(withheld: list[bool]) -> pd.DataFrame:
    return pd.DataFrame({"sample": range(1, len(withheld) + 1), "withheld": withheld})


def test_synthetic_images_in_colour_beside_grey_training_images_are_refused(tmp_path):
    case = Case(tmp_path)
    case.files["synthetic_scans"] = tmp_path / "synthetic.tsv"
    for colourful, refused in ([True] * 5, True), ([True, False, False, False, False], False):
        write_table(pd.DataFrame({"scan": range(5), "colourful": colourful}), case.files["synthetic_scans"])
        if refused:
            with pytest.raises(
                ValueError, match="100% of the synthetic images and 0% of the training images are in colour"
            ):
                case.pool()
        else:
            case.pool()


def test_a_held_out_patients_image_among_the_samples_is_named(tmp_path):
    case = Case(tmp_path)
    samples = np.array(read_array(case.files["synthetic"]))
    samples[3] = read_array(case.files["held_out_images"])[7]
    samples[4] = samples[3]
    write_array(samples, case.files["synthetic"])
    case.pool()
    table = read_table(case.out / "samples.tsv")
    assert table["identical_to"][3].startswith("held_out_patient")
    assert table["group"].tolist() == [1, 2, 3, 4, 4]
