"""Local descriptors: their loss, their votes, and a detector that learns them in seconds."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from copylens.config.schema import validate
from copylens.data.images import scale
from copylens.data.readers import phantom
from copylens.detection.descriptors import STRIDES, DescriptorNetwork, correspondence_loss, has_structure
from copylens.detection.detectors import learnt_descriptors
from copylens.detection.train import fit_detector
from copylens.detection.votes import keys_of, vote
from copylens.imaging.poses import laid_anew
from copylens.imaging.views import Views
from copylens.imaging.warps import places_of
from copylens.jobs.workdir import Unfinished
from copylens.training.tensors import as_batch

CELLS = [(6, 8), (4, 3, 5)]


def descriptors(n: int, cells: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    """Random unit vectors, [n, d, *cells]."""
    return functional.normalize(torch.randn(n, 16, *cells, generator=torch.Generator().manual_seed(seed)), dim=1)


def unmoved(n: int, cells: tuple[int, ...]) -> Views:
    """Views of images of 4 pixels a cell, nothing moved, all of it their own."""
    grid = torch.Size(4 * size for size in cells)
    places = places_of(grid, torch.eye(len(grid)).repeat(n, 1, 1))
    return Views(torch.zeros(n, 1, *grid), places, torch.ones(n, *grid))


@pytest.mark.parametrize("cells", CELLS)
def test_the_loss_is_small_where_places_correspond_and_large_where_they_do_not(cells):
    images, views = descriptors(6, cells), unmoved(6, cells)
    right = correspondence_loss(images, images, views, 0.07)
    of_others = correspondence_loss(images.roll(1, 0), images, views, 0.07)
    elsewhere = correspondence_loss(images.roll(3, -1), images, views, 0.07)
    assert right < 0.1 < 5 < min(of_others, elsewhere)


@pytest.mark.parametrize("cells", CELLS)
def test_cells_that_show_other_images_do_not_count(cells):
    images, views = descriptors(6, cells), unmoved(6, cells)
    half = views.own.shape[-1] // 2
    views.own[..., :half] = 0
    spoilt = images.clone()
    spoilt[..., : cells[-1] // 2] = descriptors(6, cells, seed=1)[..., : cells[-1] // 2]
    assert correspondence_loss(spoilt, images, views, 0.07) < 0.1
    nothing = views._replace(own=torch.zeros_like(views.own))
    assert correspondence_loss(spoilt, images, nothing, 0.07) == 0


@pytest.mark.parametrize("cells", CELLS)
def test_an_image_that_is_shifted_and_covered_in_part_votes_for_its_source(cells):
    training = descriptors(20, cells)
    query = training[7:8].roll(1, 2)
    query[..., : cells[-1] // 3] = descriptors(1, cells, seed=1)[..., : cells[-1] // 3]
    keys = keys_of(training)
    strangers = vote(descriptors(1, cells, seed=2), keys)
    for votes, stranger in zip(vote(query, keys), strangers, strict=True):
        assert votes.argmax() == 7
        assert votes[7] > 2 * max(votes.topk(2).values[1], stranger.max())


def test_votes_do_not_depend_on_how_many_images_are_compared_at_a_time(monkeypatch):
    keys, query = keys_of(descriptors(20, (6, 8))), descriptors(1, (6, 8), seed=1)
    whole = vote(query, keys)
    monkeypatch.setattr("copylens.detection.votes.BLOCK", 7)
    torch.testing.assert_close(vote(query, keys), whole)


@pytest.mark.parametrize("grid", [(32, 24), (16, 24, 8)])
def test_descriptors_are_unit_vectors_of_cells(grid):
    network = DescriptorNetwork(len(grid), [4, 8], 8).eval()
    found = network(torch.rand(3, 1, *grid))
    assert found.shape == (3, 8, *(size // STRIDES[len(grid) - 2] for size in grid))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3, *found.shape[2:]))


@pytest.mark.parametrize("grid", [(32, 24), (16, 24, 8)])
def test_a_covered_part_and_a_repeated_border_have_no_structure(grid):
    stride = STRIDES[len(grid) - 2]
    image = torch.rand(1, 1, *grid, generator=torch.Generator().manual_seed(0))
    assert has_structure(image).all()
    covered = image.clone()
    covered[:, :, : grid[0] // 2] = 0.3
    covered[..., -2 * stride :] = covered[..., -2 * stride - 1, None]
    found, cells = has_structure(covered)[0, 0], [size // stride for size in grid]
    assert not found[: cells[0] // 2 - 1].any() and not found[..., -1].any()
    assert found[cells[0] // 2 :, ..., : cells[-1] - 2].all()


def test_a_copied_corner_stands_out_in_the_best_cells():
    """A seventh of the image is copied, and the rest is unlike the source."""
    training = descriptors(20, (8, 8))
    query = -training[7:8]
    query[..., :3, :3] = training[7:8, :, :3, :3]
    few = vote(query, keys_of(training))[0]
    assert few.argmax() == 7
    assert few[7] > 2 * few.topk(2).values[1]


def settings_of(steps: int) -> dict:
    training = {"steps": steps, "batch_size": 16, "learning_rate": 3e-3, "checkpoint_every": steps}
    settings = {"kind": "learnt_descriptors", "channels_2d": [8, 16], "descriptor_2d": 16, "training": training}
    validate(settings, "a detector", ("properties", "detectors", "additionalProperties"))
    return settings


@pytest.fixture(scope="module")
def patients(tmp_path_factory) -> np.ndarray:
    """Chest X-rays of 90 drawn patients, [patient, 32, 32]."""
    folder = tmp_path_factory.mktemp("xray")
    anatomy = {"anatomy": "xray", "size": 32, "noise": 0.02, "seed": 0, "n_patients": 90, "repeat_share": 0.0}
    scans = phantom.list_scans(folder, anatomy)
    return np.stack([scale(phantom.load(folder, scan, anatomy).pixels, {"kind": "minmax"}) for scan in scans])


def test_a_short_training_finds_noisy_and_partial_copies(patients, tmp_path):
    module, losses = fit_detector(settings_of(400), patients[:30], patients[30:60], Unfinished(tmp_path / "work"), {})
    module.eval()
    training, unseen = as_batch(patients[:30]), as_batch(patients[60:])
    embeddings = learnt_descriptors.embed(module, training).numpy()
    noise = 0.03 * torch.randn(training.shape, generator=torch.Generator().manual_seed(0))
    halves = torch.cat([training[..., :16], unseen[..., 16:]], dim=-1)
    strangers = learnt_descriptors.compare(module, unseen, embeddings).max(axis=1)
    for copies, least in ((training, 1.0), (training + noise, 0.8), (halves, 0.6)):
        votes = learnt_descriptors.compare(module, copies, embeddings)
        assert (votes.argmax(axis=1) == np.arange(30)).mean() >= least
        if copies is not halves:
            assert (votes.max(axis=1) > np.percentile(strangers, 90)).mean() > 0.8
    assert losses.query("name == 'loss'")["value"].notna().all()


def test_images_as_they_lie_and_in_more_poses_have_similarities_of_one_scale(patients, tmp_path):
    """What new patients' images get is like what the training images got from each other, shifted or not."""
    module, _ = fit_detector(settings_of(20), patients[:30], patients[30:60], Unfinished(tmp_path / "work"), {})
    assert (module.null[:, 1] > 0).all() and (module.null[1] != module.null[0]).any()
    module.eval()
    embeddings = learnt_descriptors.embed(module, as_batch(patients[:30])).numpy()
    unseen = as_batch(patients[60:])
    for images in (unseen, laid_anew(unseen, torch.Generator().manual_seed(0))):
        largest = learnt_descriptors.compare(module, images, embeddings).max(axis=1)
        assert -0.5 < np.median(largest) < 1.5  # the largest over shares
        assert (largest > 4).mean() < 0.1


def test_images_that_are_all_the_same_are_refused(patients, tmp_path):
    same = patients[:1].repeat(20, axis=0)
    with pytest.raises(ValueError, match=r"descriptors of all images are alike: .*lower training.learning_rate"):
        fit_detector(settings_of(2), same, same, Unfinished(tmp_path / "work"), {})
