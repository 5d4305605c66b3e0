"""What is peculiar to one format: its tables, its units, its labels."""

import h5py
import numpy as np
import pytest
from PIL import Image
from reader_examples import EXAMPLES, STEMS, listing, pictures, save_arrays, save_nifti

from copylens.data.listing import find_scans, list_scans, load_scan, reader_of
from copylens.jobs.files import read_table

HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace><matrixSize><x>640</x><y>368</y><z>1</z></matrixSize>
<fieldOfView_mm><x>280</x><y>162</y><z>4.5</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>320</x><y>280</y><z>1</z></matrixSize>
<fieldOfView_mm><x>160</x><y>210</y><z>4.5</z></fieldOfView_mm></reconSpace>
</encoding></ismrmrdHeader>"""


def save(raw, reader, images=None):
    EXAMPLES[reader].save(raw, STEMS, pictures(EXAMPLES[reader].axes) if images is None else images)


def load_all(settings):
    root, scans = find_scans(settings)
    return [load_scan(reader_of(settings), root, scan, settings) for scan in scans]


def patients_of(settings):
    return [scan.patient for scan in find_scans(settings)[1]]


def error_of(settings) -> str:
    with pytest.raises(ValueError) as error:
        load_all(settings)
    return str(error.value)


def test_nih_images_are_of_the_patients_in_its_table(real_images, monkeypatch, capsys):
    monkeypatch.setenv("COPYLENS_DATA", str(real_images))
    settings = listing("nih_chestxray14", root="nih_chestxray", about=["Finding Labels"])
    root, scans = find_scans(settings)
    assert len(scans) == 722 and len({scan.patient for scan in scans}) == 480
    assert all(int(scan.source.split("/")[1].split("_")[0]) == int(scan.patient) for scan in scans)
    first = next(scan for scan in scans if scan.source.endswith("00000061_012.png"))
    assert first.about == ("Pneumonia",)
    assert load_scan(reader_of(settings), root, first, settings).pixels.shape == (256, 256)
    assert capsys.readouterr().out == ""


def test_part_of_nih_is_counted_and_what_does_not_fit_is_named(raw, capsys):
    save(raw, "nih_chestxray14")
    entries, folder = raw / "Data_Entry_2017.csv", raw / "images_001" / "images"
    (folder / "0002.png").unlink()
    assert len(find_scans(listing("nih_chestxray14"))[1]) == 3
    assert capsys.readouterr().out == "Data_Entry_2017.csv: 1 of 4 rows have no image here\n"
    whole = entries.read_text()
    entries.write_text(whole + "0001.png,Mass,person,3\n")
    assert error_of(listing("nih_chestxray14")) == "Data_Entry_2017.csv: has two rows for 0001.png"
    entries.write_text(whole.replace("0001.png", "0009.png"))
    assert "images_001/images/0001.png: Data_Entry_2017.csv has no row" in error_of(listing("nih_chestxray14"))
    entries.write_text(whole.replace("Patient ID", "Person"))
    assert "Data_Entry_2017.csv: has no column 'Patient ID'" in error_of(listing("nih_chestxray14"))
    entries.unlink()
    assert "entries: no file Data_Entry_2017.csv" in error_of(listing("nih_chestxray14"))
    entries.write_text(whole)
    Image.fromarray(pictures(2)[0]).save(raw / "0001.png")
    assert "are called 0001.png" in error_of(listing("nih_chestxray14"))


def test_columns_of_nih_that_name_a_patient_are_not_shown(raw):
    save(raw, "nih_chestxray14")
    assert "about: no column 'Patient ID'" in error_of(listing("nih_chestxray14", about=["Patient ID"]))
    list_scans(listing("nih_chestxray14", about=["Patient Age", "Finding Labels"]), raw / "scans.tsv")
    table = read_table(raw / "scans.tsv")
    assert set(table["about_Patient Age"]) == {51} and set(table["about_Finding Labels"]) == {"Mass|Nodule"}


def test_mrnet_exams_have_labels_and_slices(raw):
    save(raw, "mrnet")
    settings = listing("mrnet", about=["acl"], slices={"positions": [0.0, 1.0]}, sets=["valid"])
    _, scans = find_scans(settings)
    assert [(scan.source, scan.part, scan.about) for scan in scans] == [
        ("valid/sagittal/0004.npy", 0, ("1",)),
        ("valid/sagittal/0004.npy", 1, ("1",)),
    ]
    first, last = load_all(settings)
    np.testing.assert_array_equal(first.pixels, pictures(3)[3][0])
    np.testing.assert_array_equal(last.pixels, pictures(3)[3][-1])
    assert "no label 'tumour'; there are abnormal, acl, meniscus" in error_of(listing("mrnet", about=["tumour"]))
    assert "about: no file train-abnormal.csv" in error_of(listing("mrnet", about=["abnormal"]))
    (raw / "train-acl.csv").write_text("0001,1\n0003,0\n")
    assert "train/sagittal/0002.npy: train-*.csv have no label" in error_of(listing("mrnet", about=["acl"]))
    (raw / "train-acl.csv").write_text("0001,1\n0001,0\n")
    assert error_of(listing("mrnet", about=["acl"])) == "train-acl.csv: has two rows for one exam"
    (raw / "train" / "sagittal" / "0001.npy").rename(raw / "train" / "sagittal" / "0004.npy")
    assert "another exam has the number 0004 too" in error_of(listing("mrnet"))


def test_fastmri_has_its_patient_and_spacing_in_the_file(raw):
    save(raw, "fastmri")
    with h5py.File(raw / "0001.h5", "a") as file:
        file["ismrmrd_header"] = HEADER
        file["reconstruction_esc"] = np.ones((2, 3, 4)) * np.arange(4)
    with h5py.File(raw / "0002.h5", "a") as file:
        del file.attrs["patient_id"]
    assert patients_of(listing("fastmri")) == ["person 0001", "0002", "person 0003", "person 0004"]
    first, second, *_ = load_all(listing("fastmri"))
    assert first.spacing == (4.5, 0.5, 0.75) and second.spacing == (1.0, 1.0, 1.0)
    np.testing.assert_array_equal(second.pixels, pictures(3)[1])
    (middle, *_) = load_all(listing("fastmri", slices={"positions": [0.4]}))
    np.testing.assert_array_equal(middle.pixels, pictures(3)[0][2])
    assert middle.spacing == (0.5, 0.75)
    message = error_of(listing("fastmri", images="reconstruction_esc"))
    assert "0002.h5: has no data set reconstruction_esc; it has reconstruction_rss" in message


@pytest.mark.parametrize(
    "header", ["<broken", "<a/>", HEADER.replace("<y>280</y>", "<y>0</y>"), HEADER.replace("320", "")]
)
def test_a_wrong_header_of_fastmri_is_named(raw, header):
    save(raw, "fastmri")
    with h5py.File(raw / "0003.h5", "a") as file:
        file["ismrmrd_header"] = header
    assert error_of(listing("fastmri")).startswith("0003.h5: its ismrmrd_header has ")


def test_a_fastmri_file_cannot_open_others(raw):
    save(raw, "fastmri")
    with h5py.File(raw.parent / "secret.h5", "w") as file:
        file["images"] = pictures(3)[0]
    with h5py.File(raw / "0001.h5", "a") as file:
        del file["reconstruction_rss"]
        file["reconstruction_rss"] = h5py.ExternalLink(str(raw.parent / "secret.h5"), "images")
    assert error_of(listing("fastmri")) == ("0001.h5: keeps reconstruction_rss in another file; copy it into this one")


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3), (28, 28, 28)])
def test_medmnist_has_2d_colour_and_3d(raw, shape):
    images = np.random.default_rng(0).integers(0, 255, (4, *shape)).astype(np.uint8)
    save(raw, "medmnist", images)
    settings = listing("medmnist", sets=["val", "test"], about=["label"])
    assert [scan.about for scan in find_scans(settings)[1]] == [("1",), ("1",)]
    image, _ = load_all(settings)
    expected = images[2] @ np.array([0.299, 0.587, 0.114]) if shape[-1] == 3 else images[2]
    np.testing.assert_allclose(image.pixels, expected, rtol=1e-5)


def test_what_a_medmnist_file_lacks_is_said(raw):
    np.savez(raw / "0001.npz", train_images=pictures(2), train_labels=np.ones((3, 1), int))
    assert "has no array val_images; it has train_images, train_labels" in error_of(listing("medmnist"))
    message = error_of(listing("medmnist", sets=["train"], about=["label"]))
    assert message == "0001.npz: has 3 train_labels for 4 train_images"


def test_arrays_may_be_stacks_of_images(raw):
    np.save(raw / "a.npy", pictures(3)[0])
    np.save(raw / "b.npy", pictures(3)[1].astype(float))
    settings = listing("npy_folder", stacked=True, patient=None, spacing=[0.5, 2.0])
    images = load_all(settings)
    assert len(images) == 12 and images[0].spacing == (0.5, 2.0)
    np.testing.assert_array_equal(images[7].pixels, pictures(3)[1][1])
    assert "spacing: has 2 sizes, but a.npy has images of 3 axes" in error_of(settings | {"stacked": False})
    list_scans(settings, raw / "scans.tsv")
    assert read_table(raw / "scans.tsv")["checksum"].nunique() == 12


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4), complex), "holds complex128; whole or decimal numbers are needed"),
        (np.array([["a", "b"]]), "whole or decimal numbers are needed"),
        (np.zeros((2, 3, 4, 5)), "has 4 axes (2, 3, 4, 5); 2 or 3 are needed"),
        (np.zeros((0, 4)), "is empty, of shape (0, 4)"),
    ],
)
def test_arrays_that_are_no_images_are_named(raw, array, message):
    np.save(raw / "a.npy", array)
    assert error_of(listing("npy_folder")).startswith("a.npy: ") and message in error_of(listing("npy_folder"))


def test_bids_says_whose_image_it_is_if_every_path_does(raw):
    for label in ("01", "02"):
        (raw / f"sub-{label}" / "anat").mkdir(parents=True)
        save_nifti(raw / f"sub-{label}" / "anat", [f"sub-{label}_ses-1_T1w", f"sub-{label}_ses-2_T1w"], pictures(3)[:2])
    settings = listing("nifti_folder", patient=None)
    assert patients_of(settings) == ["01", "01", "02", "02"]
    save_nifti(raw, ["template"], pictures(3)[:1])
    assert "patient: the expression 'sub-([A-Za-z0-9]+)' doesn't match the file template.nii" in error_of(settings)


@pytest.mark.parametrize("reader", ["image_folder", "nifti_folder", "npy_folder"])
def test_without_an_expression_each_file_is_of_an_unknown_patient(raw, reader):
    save(raw, reader)
    list_scans(listing(reader, patient=None), raw / "scans.tsv")
    assert list(read_table(raw / "scans.tsv")["patient"]) == [f"unknown_00000{number}" for number in range(4)]


def test_patients_keep_the_zeros_of_their_ids_in_a_table_from_a_spreadsheet(raw):
    save_arrays(raw, STEMS, pictures(2))
    (raw / "t.csv").write_text("path,patient\r\n0001.npy,01\r\n0002.npy,1\r\n0003.npy,NA\r\n", encoding="utf-8-sig")
    assert patients_of(listing("npy_folder", patient=None, table="t.csv")) == ["01", "1", "NA"]


def test_an_image_in_colour_is_told_from_grey_values_stored_as_colours(raw, tmp_path):
    grey = np.random.default_rng(0).integers(0, 255, (12, 12), dtype=np.uint8)
    tinted = np.stack([grey, grey // 2, 255 - grey], axis=-1)
    for name, pixels in (("a", grey), ("b", np.stack([grey] * 3, axis=-1)), ("c", tinted)):
        Image.fromarray(pixels).save(raw / f"{name}.png")
    list_scans(listing("image_folder"), tmp_path / "scans.tsv")
    assert read_table(tmp_path / "scans.tsv")["colourful"].fillna(False).tolist() == [False, False, True]
