"""Families of changes: any image of any shape, a severity that means something, and a seed that repeats."""

import pytest
import torch

from copylens.config.schema import _schema
from copylens.evaluation import contents, families, planted
from copylens.imaging import acquisition
from copylens.imaging.filters import smooth

NAMES = list(families.FAMILIES)


def images_of(seed: int, n: int, grid: tuple) -> torch.Tensor:
    """Smooth images in [0, 1], unlike each other."""
    noise = torch.randn(n, 1, *grid, generator=torch.Generator().manual_seed(seed))
    smoothed = smooth(noise, [1.5] * len(grid))
    return (0.5 + 0.2 * smoothed / smoothed.std()).clamp(0, 1)


def changed(name: str, severity: float, images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    partners = images_of(9, len(images), images.shape[2:])
    return families.apply(name, severity, images, partners, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("grid", [(40, 32), (16, 20, 12)])
@pytest.mark.parametrize("name", NAMES)
def test_a_family_gives_images_of_the_same_shape_and_repeats(grid, name):
    images = images_of(0, 3, grid)
    before = images.clone()
    first, again, other = (changed(name, 0.5, images, seed) for seed in (5, 5, 6))
    assert first.shape == images.shape and first.dtype == torch.float32
    assert torch.isfinite(first).all() and first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, again) and torch.equal(images, before)
    assert not torch.equal(first, images)
    # These have no random parameters, or none that shows in so few pixels.
    assert name in ("posterised", "coarser", "mixture", "equalised") or not torch.equal(first, other)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("inverted", "equalised", "bias_field")])
def test_a_larger_severity_changes_an_image_more(name):
    images = images_of(1, 24, (48, 48))

    def distance(severity: float) -> float:
        return float((changed(name, severity, images) - images).square().mean())

    assert distance(0.1) < distance(1.0)


def test_the_middle_severity_keeps_what_is_named():
    source, other = torch.ones(6, 1, 32, 32), torch.zeros(6, 1, 32, 32)
    generator = torch.Generator().manual_seed(0)
    assert families.apply("mixture", 0.5, source, other, generator).unique().tolist() == [0.5]
    for severity, pieces in ((1e-6, 2), (1.0, 16)):
        collage = contents.collage(source, other, severity, generator)
        assert collage.mean(dim=(1, 2, 3)).tolist() == [1 / pieces] * 6
    organ = contents.organ(source, other, 0.5, generator).mean()
    assert organ == pytest.approx(torch.pi * 0.3**2, abs=0.02)
    hidden = contents.occlusion(source, other, 0.5, generator) != 1
    assert (hidden.float().mean(dim=(1, 2, 3)) >= 0.3).all()


def test_grey_values_keep_their_order_under_a_curve_and_lose_it_inverted():
    ramp = torch.linspace(0, 1, 32 * 32).reshape(1, 1, 32, 32)
    for name, sign in (("curve", 1), ("inverted", -1)):
        steps = sign * changed(name, 1.0, ramp).flatten().diff()
        assert steps.min() >= -1e-5 and steps.max() > 1e-3


def test_frequencies_are_taken_away():
    images = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    kept = torch.full((4,), 0.5)
    spectrum = torch.fft.fft2(acquisition.truncated(images, kept))
    frequency = torch.fft.fftfreq(32).abs()
    outside = (frequency[:, None] > 0.26) | (frequency[None] > 0.26)
    assert spectrum[..., outside].abs().max() < 1e-3 < spectrum[..., ~outside].abs().min()


def test_only_lines_that_moved_make_ghosts():
    images = images_of(0, 2, (32, 32))
    shift, generator = torch.tensor([0.1, 0.1]), torch.Generator()
    torch.testing.assert_close(acquisition.ghosts(images, shift, 0.0, generator), images, atol=1e-5, rtol=0)
    assert (acquisition.ghosts(images, shift, 0.5, generator) - images).abs().max() > 0.02


@pytest.mark.parametrize(
    ("name", "severity", "reason"),
    [("zoomed", 0.5, "no such family"), ("zoom", 0.0, "above 0"), ("zoom", 1.5, "most 1")],
)
def test_unknown_families_and_severities_are_refused(name, severity, reason):
    with pytest.raises(ValueError, match=reason):
        changed(name, severity, images_of(0, 2, (16, 16)))


def test_planted_families_come_after_the_named_transforms():
    settings = {"transforms": [], "families": {"names": ["shear", "turn"], "severities": [1.0, 0.25]}}
    names = [(change.name, change.group) for change in planted._changes(settings, 2)]
    assert names == [(f"{name}_{severity}", "geometry") for name in ("turn", "shear") for severity in ("025", "100")]
    named = planted._changes({**settings, "transforms": ["identity"]}, 2)
    assert [change.name for change in named][:2] == ["identity", "turn_025"]
    everything = planted._changes({"transforms": [], "families": {"names": [], "severities": [0.5]}}, 3)
    assert [change.name.removesuffix("_050") for change in everything] == NAMES


def test_the_configuration_knows_every_family():
    assert _schema()["$defs"]["family"]["enum"] == NAMES
