"""`copylens.audit` of arrays and folders, and its verdict."""

import doctest
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

import copylens
from copylens.auditing import interface

IMAGES = np.random.default_rng(0).normal(size=(9, 16, 16)).cumsum(1).cumsum(2).astype(np.float32)
IDS = {"training": ["a", "a", "b"], "held_out": ["c", "d", "e"]}


@pytest.fixture(scope="module")
def verdict():
    """The one of the docstring's example, which is right."""
    (example,) = (test for test in doctest.DocTestFinder().find(interface.audit, "audit") if test.examples)
    assert doctest.DocTestRunner().run(example, clear_globs=False).failed == 0
    return example.globs["verdict"]


def test_the_tables_are_about_every_image(verdict):
    assert verdict.verdict == "FAIL" and verdict.reasons[0].startswith("10 of 10 synthetic images are, pixel by pixel")
    assert len(verdict.samples) == 10 and verdict.samples["withheld"].all()
    people = verdict.patients.set_index("id")
    assert len(people) == 70 and people["role"].value_counts().to_dict() == {
        "train": 30,
        "calibration": 20,
        "control": 20,
    }
    assert [people.loc[f"training {number}", "repeated_by"] for number in range(10)] == list(range(1, 11))
    assert people["repeated_by"].notna().sum() == 10


def test_reports_are_written_where_asked(verdict, tmp_path):
    public = verdict.report(tmp_path / "new" / "report.html").read_text()
    restricted = verdict.report(tmp_path / "restricted.html", restricted=True).read_text()
    assert "RESTRICTED" in restricted and "RESTRICTED" not in public and "<img" not in public
    assert verdict.report(tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(ValueError, match=r"ends in \.html or \.pdf"):
        verdict.report(tmp_path / "report.docx")


def test_a_notebook_shows_the_verdict_and_no_patient(verdict):
    page = replace(verdict, reasons=["5 < 6 & <script>"])._repr_html_()
    assert "FAIL" in page and "5 &lt; 6 &amp; &lt;script&gt;" in page
    assert "this audit gives no ground to release" in page
    assert not re.search(r"training \d|patient_", page)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"patients": None}, 'patients: nothing says whose the arrays\' images are; give "each"'),
        ({"patients": {"training": ["a"]}}, "patients: nothing says whose"),
        ({"patients": IDS | {"training": ["a"]}}, "patients: has 1 ids for 3 training images"),
        ({"patients": IDS | {"held_out": ["a", "x", "y"]}}, "held_out: 1 of its 3 patients are in training, too"),
        ({"training": IMAGES[0]}, r"training: has shape \[16, 16\]"),
        ({"training": IMAGES[:3] * np.inf}, "training: holds values that are not finite"),
        ({"synthetic": IMAGES[:0]}, "synthetic: has shape"),
        ({"held_out": "folder"}, "give three folders, or three arrays"),
        ({"grid": [512, 512]}, "grid: would enlarge"),
        ({"policy": {"copys": 1}}, "copys"),
    ],
)
def test_a_mistake_is_named_in_terms_of_the_arguments(change, words, tmp_path):
    given = {
        "training": IMAGES[:3],
        "held_out": torch.from_numpy(IMAGES[3:6]),
        "synthetic": IMAGES[6:],
        "patients": IDS,
    }
    with pytest.raises(ValueError, match=words) as raised:
        copylens.audit(**given | change, output=tmp_path / "out")
    assert "--" not in str(raised.value) and not (tmp_path / "out").exists()


def test_folders_need_to_say_whose_their_images_are(tmp_path):
    folders = {name: tmp_path / name for name in ("training", "held_out", "synthetic")}
    for number, folder in enumerate(folders.values()):
        folder.mkdir()
        for image in range(3):
            np.save(folder / f"{image}.npy", IMAGES[3 * number + image])
    with pytest.raises(ValueError, match=r'nothing says whose its images are; add patients="each" if') as raised:
        copylens.audit(**folders)
    assert "--" not in str(raised.value)
    with pytest.raises(ValueError, match="ids by set are for arrays"):
        copylens.audit(**folders, patients=IDS)
    with pytest.raises(ValueError, match="holds other files; name a new folder"):
        copylens.audit(**folders, patients="each", output=folders["training"])
