"""The drawn patients: do two images of one patient belong together, and nothing else?"""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from copylens.data.readers import phantom
from copylens.data.scan import Scan

SIZES = {"xray": 64, "ct": 16, "mr": 16}
SHAPES = {"xray": (64, 64), "ct": (16, 16, 16), "mr": (16, 16, 16)}
ROOT = Path("there is no such folder")


def settings_of(anatomy, **changes):
    defaults = {"n_patients": 40, "size": SIZES[anatomy], "repeat_share": 1.0, "noise": 0.02, "seed": 0}
    return {"anatomy": anatomy, **defaults, **changes}


def load_all(settings):
    """(scans, images [scan, *grid])."""
    scans = phantom.list_scans(ROOT, settings)
    return scans, np.stack([phantom.load(ROOT, scan, settings).pixels for scan in scans])


@pytest.fixture(scope="module", params=SIZES)
def collection(request):
    """(anatomy, scans, images) of 40 patients who all have repeats."""
    return request.param, *load_all(settings_of(request.param))


def test_images_are_whole_grey_levels_of_the_asked_size(collection):
    anatomy, _, images = collection
    assert images.dtype == np.float32
    assert images.shape[1:] == SHAPES[anatomy]
    assert np.isfinite(images).all()
    assert (images == np.rint(images)).all()
    assert (images.std(axis=tuple(range(1, images.ndim))) > 30).all()


def test_repeats_of_a_patient_are_closer_than_other_patients(collection):
    _, scans, images = collection
    deviations = (images - images.mean(0)).reshape(len(images), -1)
    correlation = np.corrcoef(deviations)  # [scan, scan]
    patients = np.array([scan.patient for scan in scans])
    same = patients[:, None] == patients
    pairs = np.triu(np.ones_like(same), 1)
    within, between = correlation[same & pairs], correlation[~same & pairs]
    assert np.median(within) > 0.8
    assert np.percentile(between, 99) < np.median(within) - 0.15
    assert between.max() < 0.9  # no two patients nearly alike
    np.fill_diagonal(correlation, -1)
    assert (patients[correlation.argmax(1)] == patients).mean() > 0.95


def test_repeats_are_not_the_same_image(collection):
    _, scans, images = collection
    pairs = [(i, j) for i, j in combinations(range(len(scans)), 2) if scans[i].patient == scans[j].patient]
    clean = settings_of(collection[0], noise=0.0)
    assert all((images[i] != images[j]).mean() > 0.5 for i, j in pairs)
    first, second = (phantom.load(ROOT, scans[i], clean).pixels for i in pairs[0])
    assert np.abs(first - second).max() > 30  # the pose differs, not only the noise


@pytest.mark.parametrize("anatomy", SIZES)
def test_a_patient_is_drawn_the_same_whatever_else_is_asked_for(anatomy):
    few, many = settings_of(anatomy, n_patients=6), settings_of(anatomy, n_patients=1000)
    scans = phantom.list_scans(ROOT, few)
    assert phantom.list_scans(ROOT, many)[: len(scans)] == scans
    once, again = phantom.load(ROOT, scans[-1], few).pixels, phantom.load(ROOT, scans[-1], many).pixels
    assert once.tobytes() == again.tobytes()
    assert phantom.checksum(ROOT, scans[-1], few) == phantom.checksum(ROOT, scans[-1], many)
    assert phantom.checksum(ROOT, scans[-1], few) != phantom.checksum(ROOT, scans[0], few)
    assert phantom.checksum(ROOT, scans[-1], few) != phantom.checksum(ROOT, scans[-1], {**few, "seed": 1})


@pytest.mark.parametrize("anatomy", SIZES)
def test_a_patient_looks_the_same_at_twice_the_size(anatomy):
    small = settings_of(anatomy, noise=0.0, n_patients=8)
    _, coarse = load_all(small)
    _, fine = load_all({**small, "size": 2 * SIZES[anatomy]})
    for axis in range(1, fine.ndim):
        fine = (fine.take(range(0, fine.shape[axis], 2), axis) + fine.take(range(1, fine.shape[axis], 2), axis)) / 2
    for image, halved in zip(coarse, fine, strict=True):
        assert np.corrcoef(image.ravel(), halved.ravel())[0, 1] > 0.93


@pytest.mark.parametrize("share", [0.0, 0.2, 0.35, 1.0])
def test_the_share_of_patients_with_repeats_is_the_one_asked_for(share):
    scans = phantom.list_scans(ROOT, settings_of("xray", n_patients=200, repeat_share=share))
    images_of = np.unique([scan.patient for scan in scans], return_counts=True)[1]
    assert len(images_of) == 200
    assert abs((images_of > 1).sum() - 200 * share) <= 1
    assert images_of.max() == (3 if share else 1)


def test_ct_holds_hounsfield_units():
    _, volumes = load_all(settings_of("ct", repeat_share=0.0, noise=0.0))
    assert volumes.min() >= -1024
    assert volumes.max() <= 1500
    assert np.mean([volume.max() > 400 for volume in volumes]) > 0.5  # calcium
    assert np.mean((volumes > -180) & (volumes < -30)) > 0.15  # fat
    assert np.mean((volumes > 60) & (volumes < 140)) > 0.1  # muscle


@pytest.mark.parametrize("name", ["ct_0001_1", "xray_1", "xray_0001_0", "xray_0001_1.png"])
def test_a_foreign_name_is_refused(name):
    with pytest.raises(ValueError, match=name):
        phantom.load(ROOT, Scan(name, "xray_0001"), settings_of("xray"))
