"""A DICOM series lies as the same volume in NIfTI does, in its modality's units; or one error says what is wrong."""

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLSLossless, RLELossless
from reader_examples import listing, save_slice

from copylens.data.listing import find_scans, list_scans, load_scan
from copylens.data.readers import dicom_series, nifti_folder

BODY = np.random.default_rng(0).integers(0, 4000, (5, 6, 7)).astype(np.int16)  # [right, front, head]


def load_all(settings):
    root, scans = find_scans(settings)
    return [load_scan(dicom_series, root, scan, settings) for scan in scans]


def error_of(raw, **settings):
    with pytest.raises(ValueError) as error:
        list_scans(listing("dicom_series", **settings), raw.parent / "scans.tsv")
    return str(error.value)


def save_series(folder, distance=2.0, heights=range(7), **fields):
    """Axial slices of BODY, of which rows go from front to back and columns from right to left, as scanners do."""
    for number, height in enumerate(heights):
        place = {"ImagePositionPatient": [0, 0, distance * height]}
        save_slice(folder / f"{(number * 3) % 7}.dcm", BODY[::-1, ::-1, height].T, **(place | fields))


def test_real_series_are_volumes_in_the_order_of_their_positions(real_images, monkeypatch):
    monkeypatch.setenv("COPYLENS_DATA", str(real_images))
    settings = listing("dicom_series", root="dicom_hippocampus")
    root, scans = find_scans(settings)
    assert [(scan.source, scan.patient) for scan in scans] == [
        ("study1", "PGBM-002"),
        ("study2", "PGBM-006"),
        ("study3", "PGBM-003"),
    ]
    volume = load_scan(dicom_series, root, scans[0], settings)
    assert volume.pixels.shape == (32, 51, 35) and volume.spacing == (1.0, 1.0, 1.0)
    for path in (root / "study1").iterdir():
        header = pydicom.dcmread(path)
        # A radiologist's view has the patient's right at the left; the volume goes from left to right.
        plane = volume.pixels[int(header.ImagePositionPatient[2]) - 1]
        np.testing.assert_array_equal(plane, header.pixel_array[:, ::-1])


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal", "oblique"])
@pytest.mark.parametrize("slices", [None, {"axis": 0, "positions": [0.3]}, {"axis": 1, "positions": [0.3]}])
def test_a_series_lies_as_the_same_volume_in_nifti_does(raw, plane, slices):
    """Recorded in any plane, in either order of the slices, and its spacing differs along each axis."""
    spacing = np.array([0.5, 0.75, 3.0])
    turn = nibabel.eulerangles.euler2mat(0.1, 0.05, -0.1) if plane == "oblique" else np.eye(3)
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing)
    (raw.parent / "nifti").mkdir()
    nibabel.save(nibabel.Nifti1Image(BODY.astype(np.float32), affine), raw.parent / "nifti" / "1.nii")
    across = {"axial": 2, "coronal": 1, "sagittal": 0, "oblique": 2}[plane]
    row_axis, column_axis = (axis for axis in range(3) if axis != across)
    to_patient = np.diag([-1.0, -1.0, 1.0]) @ turn  # NIfTI's right and front are DICOM's negative axes
    for index in range(BODY.shape[across]):
        voxel = np.zeros(3)
        voxel[across] = index
        save_slice(
            raw / f"{(index * 2) % 7}.dcm",
            np.ascontiguousarray(BODY.take(index, axis=across).T),
            ImageOrientationPatient=[*to_patient[:, row_axis], *to_patient[:, column_axis]],
            ImagePositionPatient=list(to_patient @ (voxel * spacing)),
            PixelSpacing=[spacing[column_axis], spacing[row_axis]],
        )
    (image,) = load_all(listing("dicom_series", slices=slices))
    nifti = listing("nifti_folder", root="nifti", slices=slices)
    root, (scan,) = find_scans(nifti)
    expected = load_scan(nifti_folder, root, scan, nifti)
    np.testing.assert_array_equal(image.pixels, expected.pixels)
    assert image.spacing == pytest.approx(expected.spacing)


def test_every_slice_has_its_own_units(raw):
    """PET and some CT have another slope in each slice."""
    pixels = np.arange(12, dtype=np.int16).reshape(3, 4)
    for height in range(3):
        place = {"ImagePositionPatient": [0, 0, height]}
        save_slice(raw / f"{height}.dcm", pixels, RescaleSlope=height + 1, RescaleIntercept=-1024, **place)
    (volume,) = load_all(listing("dicom_series"))
    assert [plane.max() for plane in volume.pixels] == [11 - 1024, 22 - 1024, 33 - 1024]


def test_single_images_are_2d_and_bones_are_bright(raw):
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    nowhere = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None, "BitsStored": 12}
    nowhere |= {"HighBit": 11, "ImagerPixelSpacing": [0.2, 0.1]}
    # Two views of one series.
    save_slice(raw / "front.dcm", pixels, **nowhere)
    save_slice(raw / "side.dcm", pixels, **nowhere, PhotometricInterpretation="MONOCHROME1")
    front, side = load_all(listing("dicom_series"))
    np.testing.assert_array_equal(front.pixels, pixels)
    np.testing.assert_array_equal(side.pixels, 4095 - pixels.astype(int))
    assert front.spacing == (0.2, 0.1)


def test_two_series_in_one_folder_are_two_images(raw):
    for number in (1, 2):
        for height in range(3):
            fields = {"SeriesInstanceUID": f"1.2.{number}", "ImagePositionPatient": [0, 0, height]}
            save_slice(raw / f"{number}{height}.dcm", BODY[:, :, height + number], **fields)
    settings = listing("dicom_series")
    assert [scan.source for scan in find_scans(settings)[1]] == ["10.dcm", "20.dcm"]
    first, second = load_all(settings)
    assert first.pixels.shape == second.pixels.shape and (first.pixels != second.pixels).any()


def test_another_field_may_name_the_patient(raw):
    save_series(raw, PatientName="Doe^Jane", PatientID=None)
    assert "PatientID is missing or empty" in error_of(raw)
    assert "patient_tag: 'Patient' is no DICOM keyword" in error_of(raw, patient_tag="Patient")
    assert find_scans(listing("dicom_series", patient_tag="PatientName"))[1][0].patient == "Doe^Jane"


def test_a_wrong_value_in_a_header_is_not_written_to_the_log(raw, recwarn):
    save_series(raw, StudyDate="19990101")
    for path in raw.iterdir():
        path.write_bytes(path.read_bytes().replace(b"19990101", b"Jane Doe"))
    assert len(load_all(listing("dicom_series"))) == 1
    assert not [str(warning.message) for warning in recwarn if "Jane" in str(warning.message)]


def test_compressed_pixels_are_decoded_where_that_is_possible(raw):
    save_series(raw)
    (plain,) = load_all(listing("dicom_series"))
    for path in raw.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless)
        dataset.save_as(path)
    np.testing.assert_array_equal(load_all(listing("dicom_series"))[0].pixels, plain.pixels)


def _missing_slice(raw):
    save_series(raw, heights=[0, 1, 2, 4, 5])
    return "slices are 2 mm apart, but 4 mm between"


def _same_place(raw):
    save_series(raw, heights=[0, 1, 1, 2])
    return "lie at the same place"


def _two_orientations(raw):
    save_series(raw)
    save_slice(raw / "8.dcm", BODY[:, :, 0].T, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    return "slices of different orientations"


def _two_shapes(raw):
    save_series(raw)
    save_slice(raw / "8.dcm", BODY[:4, :, 0].T, ImagePositionPatient=[0, 0, 20])
    return "slices of different shapes"


def _two_pixel_spacings(raw):
    save_series(raw)
    save_slice(raw / "8.dcm", BODY[:, :, 0].T, ImagePositionPatient=[0, 0, 20], PixelSpacing=[2, 2])
    return "slices of different pixel spacings"


def _no_orientation(raw):
    save_series(raw, ImageOrientationPatient=None)
    return "has no usable ImageOrientationPatient"


def _short_position(raw):
    save_series(raw)
    save_slice(raw / "8.dcm", BODY[:, :, 0].T, ImagePositionPatient=[0, 0])
    return "8.dcm: has no usable ImagePositionPatient"


def _no_spacing(raw):
    save_series(raw, PixelSpacing=[0, 0])
    return "has a PixelSpacing of 0 mm"


def _two_patients(raw):
    save_series(raw)
    save_slice(raw / "8.dcm", BODY[:, :, 0].T, PatientID="other")
    return "one series with 2 different PatientID"


def _no_pixels(raw):
    save_series(raw)
    save_slice(raw / "8.dcm", BODY[:, :, 0].T, PixelData=None, ImagePositionPatient=[0, 0, 14])
    return "8.dcm: has no pixels"


def _colour(raw):
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    save_slice(raw / "8.dcm", BODY[:, :, 0].T, **colour)
    return "8.dcm: is in colour (RGB)"


def _many_frames(raw):
    save_slice(raw / "8.dcm", BODY[:, :, 0].T, NumberOfFrames=4)
    return "8.dcm: holds 4 frames"


def _undecodable(raw):
    save_slice(raw / "8.dcm", BODY[:, :, 0].T)
    dataset = pydicom.dcmread(raw / "8.dcm")
    dataset.PixelData = pydicom.encaps.encapsulate([b"JPEG-LS"])
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    dataset.save_as(raw / "8.dcm")
    return "8.dcm: is compressed as JPEG-LS Lossless Image Compression, which can't be decoded here; decompress it"


@pytest.mark.parametrize(
    "damage",
    [
        _missing_slice,
        _same_place,
        _two_orientations,
        _two_shapes,
        _two_pixel_spacings,
        _no_orientation,
        _short_position,
        _no_spacing,
        _two_patients,
        _no_pixels,
        _colour,
        _many_frames,
        _undecodable,
    ],
)
def test_what_makes_no_volume_is_one_error(raw, damage):
    message = damage(raw)
    assert message in error_of(raw)
