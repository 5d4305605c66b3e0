"""Whether samples lie as the patients' images do, and show what these show."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from audit_cases import POLICY, evidence, of_share

from copylens.auditing.comparability import kind as line_of_kind
from copylens.auditing.criteria import Line
from copylens.auditing.kind import cross_validated, measure_kind
from copylens.auditing.measure import measure
from copylens.data.images import scale
from copylens.data.readers import phantom
from copylens.evaluation.areas import auc_interval
from copylens.imaging.warps import warp
from copylens.jobs.files import read_arrays, write_array, write_table

N = {"train": 40, "calibration": 30, "control": 30, "synthetic": 40}


@pytest.fixture(scope="module")
def images() -> dict[str, np.ndarray]:
    """Drawn chest X-rays of different patients by what they are for."""
    settings = {
        "anatomy": "xray",
        "size": 32,
        "noise": 0.01,
        "seed": 0,
        "n_patients": sum(N.values()),
        "repeat_share": 0.0,
    }
    drawn = [phantom.load(None, scan, settings).pixels for scan in phantom.list_scans(None, settings)]
    drawn = np.stack([scale(image, {"kind": "minmax"}) for image in drawn])
    return dict(zip(N, np.split(drawn, np.cumsum(list(N.values()))[:-1]), strict=True))


def line_of(images: dict, samples: np.ndarray, folder: Path, extra: dict | None = None) -> tuple[Line, dict]:
    """The verdict's line of these samples, and what was measured."""
    real = {role: np.concatenate([images[role], (extra or {}).get(role, images[role][:0])]) for role in list(N)[:3]}
    roles = np.repeat(list(real), [len(of) for of in real.values()])
    write_array(np.concatenate(list(real.values())), folder / "images.npy")
    splits = pd.DataFrame({"scan": np.arange(len(roles)), "patient": [f"p{row}" for row in range(len(roles))]})
    write_table(splits.assign(role=roles), folder / "splits.tsv")
    write_array(samples, folder / "synthetic.npy")
    measure_kind(*(folder / name for name in ("images.npy", "splits.tsv", "synthetic.npy", "kind.npz")))
    kind = read_arrays(folder / "kind.npz")
    found = evidence(of_share(0.0, n=len(samples)))
    found.kind.clear()
    found.kind.update(kind)
    return line_of_kind(measure(found, POLICY, None)), kind


def zoomed(images: np.ndarray, share: float) -> np.ndarray:
    return warp(torch.from_numpy(images)[:, None], share * torch.eye(2).repeat(len(images), 1, 1))[:, 0].numpy()


SAME = {
    "as they are": lambda images: images,
    "darker": lambda images: 0.6 * images,
    "mid-tones": lambda images: images**1.3,
    "noisy": lambda images: images + 0.1 * np.random.default_rng(0).normal(size=images.shape).astype(np.float32),
    "blurred": lambda images: zoomed(images, 1.0) * 0.5 + 0.25 * (np.roll(images, 1, 1) + np.roll(images, -1, 2)),
}
OTHER = {
    "inverted": (lambda images: 1 - images, "inverted grey values"),
    "transposed": (lambda images: images.swapaxes(1, 2).copy(), "transposed"),
    "turned": (lambda images: np.rot90(images, 2, (1, 2)).copy(), "turned by a half"),
    "zoomed": (lambda images: zoomed(images, 0.5), "zoomed by"),
    "shifted": (lambda images: np.roll(images, 8, axis=2), "shifted along axis 2 by 25%"),
}


@pytest.mark.parametrize("name", SAME)
def test_other_patients_in_another_quality_are_of_the_same_kind(name, images, tmp_path):
    assert line_of(images, SAME[name](images["synthetic"]), tmp_path)[0].outcome == "pass"


@pytest.mark.parametrize("name", OTHER)
@pytest.mark.parametrize("part", ["train", "synthetic"])
def test_what_lies_otherwise_is_told_with_how_it_would_fit(name, part, images, tmp_path):
    change, words = OTHER[name]
    line, kind = line_of(images, change(images[part]), tmp_path)
    assert line.outcome == "unable"
    assert words in line.explanation.lower()
    if part == "train" and name in ("inverted", "transposed", "turned"):
        # The pair that the restricted edition shows: a sample, and the training image that it is.
        assert kind["nearest"] == kind["example"]
        np.testing.assert_allclose(kind["fitted"], images["train"][kind["example"]], atol=1e-3)


def test_two_views_in_both_are_of_one_kind_and_one_view_too_many_is_not(images, tmp_path):
    views = {role: np.roll(of, 10, axis=1).swapaxes(1, 2).copy() for role, of in images.items()}
    both = np.concatenate([images["synthetic"], views["synthetic"]])
    assert line_of(images, both, tmp_path, views)[0].outcome == "pass"
    assert line_of(images, views["synthetic"], tmp_path)[0].outcome == "unable"


def test_few_samples_get_a_sentence_and_no_number(images, tmp_path):
    line, kind = line_of(images, images["synthetic"][:6], tmp_path)
    assert not len(kind["synthetic_score"])
    assert line.outcome == "unable" and "6 samples are too few" in line.explanation


def test_the_classifier_judges_only_what_it_did_not_see():
    """With more pixels than images, whoever judged its own training images would tell any two sets apart."""
    generator = np.random.default_rng(0)
    scores = cross_validated([generator.normal(size=(30, 200)), generator.normal(size=(30, 200))])
    area, low, high = auc_interval(*scores, 30, 30, 1.96)
    assert low < 0.5 < high
    assert 0.3 < area < 0.7


def test_the_interval_of_the_area_holds_it():
    generator, held = np.random.default_rng(1), 0
    for _ in range(300):
        _, low, high = auc_interval(generator.normal(1, size=60), generator.normal(size=80), 60, 80, 1.96)
        held += low <= 0.7602 <= high
    assert 0.92 <= held / 300 <= 0.98
