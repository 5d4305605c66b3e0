"""Strangers' files: each is read, or refused in one sentence with its name, within bounds of time and memory.

benchmarks/mutated_files.py tries many more, and the files that take seconds.
"""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hostile_files import HOSTILE, write_hostile
from mutation_runs import try_many
from PIL import Image
from reader_examples import listing, pictures, save_arrays, save_images
from reader_mutations import DAMAGES, write_mutant, write_valid

from copylens.config.kinds import kinds
from copylens.data import folders, images, limits
from copylens.data.listing import find_scans, list_scans, load_scan, reader_of
from copylens.data.scan import Image as ReadImage

LIMITS = {"pixels": 100, "padded": 1000, "bytes": 1000, "seconds": 1}


def test_every_reader_of_files_has_mutants():
    assert set(DAMAGES) == set(kinds("readers")) - {"phantom"}


@pytest.mark.parametrize("reader", DAMAGES)
def test_what_is_damaged_is_read_before(reader):
    outcomes = try_many(list(range(len(DAMAGES[reader]))), lambda raw, kind: write_valid(raw, reader, kind))
    assert {outcome.kind for outcome in outcomes} == {"read"}, outcomes


@pytest.mark.parametrize("reader", DAMAGES)
def test_200_mutated_files_are_read_or_refused(reader):
    outcomes = try_many(list(range(200)), lambda raw, number: write_mutant(raw, reader, number))
    wrong = [outcome for outcome in outcomes if outcome.kind not in ("read", "refused") or outcome.gib > 1]
    assert not wrong and {outcome.kind for outcome in outcomes} == {"read", "refused"}


@pytest.mark.parametrize("name", [name for name, hostile in HOSTILE.items() if not hostile.slow])
def test_a_hostile_file_is_refused(name):
    (outcome,) = try_many([0], lambda raw, number: write_hostile(raw, name))
    assert outcome.kind == "refused" and outcome.message.startswith(HOSTILE[name].says)
    assert outcome.gib < 0.1


@pytest.mark.parametrize("name", ["gzip_bomb", "hdf5_packed_block", "npz_bomb", "largest_png"])
def test_a_bomb_is_refused_and_the_largest_image_is_read(name):
    (outcome,) = try_many([0], lambda raw, number: write_hostile(raw, name))
    assert outcome.kind == ("refused" if HOSTILE[name].says else "read")
    assert outcome.message.startswith(HOSTILE[name].says) and outcome.gib < 1


def error_of(settings) -> str:
    root, scans = find_scans(settings)
    with pytest.raises(ValueError) as error:
        load_scan(reader_of(settings), root, scans[0], settings)
    return str(error.value)


def test_one_key_raises_the_limits(raw):
    save_images(raw, ["1"], pictures(2)[:1])
    small = listing("image_folder", limits={"pixels": 100})
    assert error_of(small).startswith("1.png: holds an image of 10x12 pixels, which is more than limits.pixels (100)")
    assert "limits.bytes is 900" in error_of(listing("image_folder", limits={"bytes": 900}))
    root, (scan,) = find_scans(small)
    assert load_scan(reader_of(small), root, scan, listing("image_folder")).pixels.shape == (10, 12)


def test_pillows_own_limit_is_the_data_sets(raw, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    save_images(raw, ["1"], pictures(2)[:1])
    settings = listing("image_folder")
    root, (scan,) = find_scans(settings)
    assert load_scan(reader_of(settings), root, scan, settings).pixels.shape == (10, 12)
    assert Image.MAX_IMAGE_PIXELS == 50


def test_an_image_that_takes_too_long_is_named(raw):
    noise = np.random.default_rng(0).integers(0, 255, (4000, 4000)).astype(np.uint8)
    Image.fromarray(noise).save(raw / "1.png", compress_level=1)
    message = error_of(listing("image_folder", patient=None, limits={"seconds": 0.02}))
    assert message == "1.png: takes more than 0.02 seconds to read; raise limits.seconds if it's worth them"


def test_no_alarm_is_left_and_other_threads_have_none():
    with pytest.raises(ValueError, match="a: takes more than"), limits.reading("a", LIMITS | {"seconds": 0.05}, ""):
        while True:
            pass
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    found = []

    def read():
        with limits.reading("a", LIMITS, ""):
            found.append(1)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert found == [1]


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "a: is damaged"),
        (lambda: sum(iter(int, 1)), "a: takes more than 1 seconds to read; raise limits.seconds if it's worth them"),
        (lambda: {}["b"], "a: is damaged"),
        (lambda: folders.inside(Path("/x"), {}, "../y"), "a: is damaged"),
    ],
    ids=["dies", "never_ends", "fails", "refuses"],
)
def test_what_a_library_does_apart_is_one_error(read, message):
    with pytest.raises(ValueError) as error:
        limits.reading_apart("a", LIMITS, "is damaged", read)
    assert str(error.value) == message
    assert limits.reading_apart("a", LIMITS, "is damaged", lambda: np.arange(3)).tolist() == [0, 1, 2]


def test_an_expression_that_hangs_is_stopped():
    start = time.monotonic()
    with pytest.raises(
        ValueError, match=r"^patient: the expression '\(a\+\)\+\$' takes more than 1 seconds on 2 files"
    ):
        folders.patients_of(["b", "a" * 60 + "!"], {"patient": "(a+)+$", "limits": LIMITS})
    assert time.monotonic() - start < 10


def test_an_expression_finds_what_it_found_in_one_process():
    paths = ["sub-1/ü.png", "sub-22/\udcff.png", "sub-3/\n.png"]
    assert folders.patients_of(paths, {"patient": r"sub-(\d+)/", "limits": LIMITS}) == ["1", "22", "3"]
    assert folders.patients_of(paths, {"patient": "(?s)/(.+)", "limits": LIMITS})[1] == "\udcff.png"


def test_names_that_are_no_utf8_have_pseudonyms(raw):
    save_arrays(raw, ["\udcff"], pictures(2)[:1])
    list_scans(listing("npy_folder"), raw.parent / "scans.tsv")
    assert "patient_00000" in (raw.parent / "scans.tsv").read_text()


@pytest.mark.parametrize("fit", ["pad", "stretch", "crop"])
@pytest.mark.parametrize(
    ("shape", "grid", "spacing"),
    [
        ((60, 41), (8, 12), (1.0, 1.0)),
        ((30, 90), (40, 40), (1.0, 3.0)),
        ((30, 25, 10), (8, 9, 8), (1.0, 1.0, 3.0)),
        ((20, 4, 9), (8, 8, 16), (0.5, 2.0, 1.0)),
    ],
)
def test_large_images_are_resampled_as_small_ones_are(monkeypatch, fit, shape, grid, spacing):
    image = ReadImage(np.random.default_rng(0).normal(100, 50, shape).astype(np.float32), spacing)
    resample = images._resampler(grid, fit)
    expected = resample(image)
    monkeypatch.setattr(images, "MOST_PRODUCTS", 0)
    monkeypatch.setattr(images, "BLOCK", 7)
    np.testing.assert_allclose(resample(image), expected, rtol=1e-5, atol=1e-3)
