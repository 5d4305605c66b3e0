"""What single figures show of their tables: order, words, marks."""

import numpy as np
import pandas as pd
import pytest
from figure_examples import MODELS, denoisings, effects, exposures, losses, recipes, sheets, study

from copylens.reporting.figures import (
    copies_by_model,
    denoising_gap,
    exposure_curve,
    memorization_and_quality,
    over_training,
    privacy_and_quality,
    sample_sheet,
    training_curves,
    variant_effects,
)
from copylens.reporting.page import last_epochs


def test_seeds_are_lines_of_their_own():
    once = losses(["a"], ["ldm"], ["loss"])
    figure = training_curves.draw(pd.concat([once, once.assign(value=once["value"] + 1)]))
    curves = [line.get_xydata() for axes in figure.axes for line in axes.get_lines()]
    assert len(curves) == 4
    assert all((np.diff(curve[:, 0]) > 0).all() for curve in curves)


def test_every_sample_is_shown():
    pages = sample_sheet.draw([*sheets(["ldm"] * 14, 11), *sheets(["real images"], 2)])
    assert sum(len(axes.images) for page in pages for axes in page.axes) == 14 * 11 + 2


def test_only_the_last_epoch_counts():
    table, _ = study(models=MODELS[:1], seeds=2, epochs=(1, 2))
    table = table[(table["seed"] == 0) | (table["epoch"] == 1)]
    last = last_epochs(table)
    assert last.groupby("seed")["epoch"].unique().map(list).to_dict() == {0: [2], 1: [1]}
    assert len(last) == 4


def test_models_stand_by_copies_and_controls_below():
    figure = copies_by_model.draw(study()[0])
    tops = {text.get_text(): -text.get_position()[1] for text in figure.texts}
    names = ["ldm_vq", "ldm", "ldm · augmented", "gan", "vae", "copycat", "empirical_denoiser", "unseen"]
    assert sorted(names, key=tops.get) == names
    assert {"positive control", "negative control", "fully memorized limit"} <= set(tops)


def test_pareto_front_has_no_beaten_point():
    points = pd.DataFrame({"value": [3.0, 1.0, 2.0, 1.0, 4.0, 3.0], "copies": [0.1, 0.5, 0.3, 0.4, 0.1, 0.2]})
    front = memorization_and_quality.pareto_front(points)
    assert front[["value", "copies"]].to_numpy().tolist() == [[1.0, 0.4], [2.0, 0.3], [3.0, 0.1]]


def test_what_the_copycat_gets_and_what_weights_change_is_counted():
    table = recipes()
    words = said_by(privacy_and_quality.draw(table))
    assert "none of 5 trained recipes come nearer to held-out patients and none is more useful" in words
    assert "the verdict on it is FAIL. Released with their weights, 4 of 5 trained recipes FAIL" in words
    told = table["variant"] == "told"
    better = table.assign(usefulness=table["usefulness"].mask(told, 1.1))
    better[privacy_and_quality.DISTANCE] = table[privacy_and_quality.DISTANCE].mask(told, 2.0)
    words = said_by(privacy_and_quality.draw(better))
    assert "1 of 5 trained recipes comes nearer to held-out patients and 1 is more useful" in words


def test_only_what_was_measured_has_a_panel():
    assert len(privacy_and_quality.draw(recipes()).axes) == 2
    alone = privacy_and_quality.draw(recipes(copycat=False))
    assert len(alone.axes) == 1 and "copycat" not in said_by(alone)


def said_by(figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (MODELS, "the copycat, which only replays training images, has the best Fréchet distance of all: quality"),
        (MODELS[:2], "ldm has the best Fréchet distance of all, with 42 % copies."),
    ],
)
def test_who_has_the_best_quality_is_said(models, words):
    figure = memorization_and_quality.draw(*study(models=models))
    assert f"On chest xray, {words}" in " ".join(text.get_text() for text in figure.texts)


def test_models_without_a_distance_are_named():
    table, quality = study()
    figure = memorization_and_quality.draw(table, quality[~quality["model"].isin(["vae", "ldm_vq"])])
    assert "Without a Fréchet distance: chest xray ldm_vq, chest xray vae." in [t.get_text() for t in figure.texts]


@pytest.mark.parametrize(
    ("low", "stop", "words"),
    [
        ([0.0, 0.1, 0.3], 20, "At epoch 20,"),
        ([0.0, 0.3, 0.3], 10, "At epoch 10,"),
        ([0.3, 0.3, 0.3], 0, "At 0: copies exceed"),
        ([0.0, 0.0, 0.16], None, "Never:"),
        ([0.0, 0.3, 0.1], 10, "At epoch 10,"),
        ([0.3, 0.1, 0.1], 0, "At 0: copies exceed"),
    ],
)
def test_when_to_stop(low, stop, words):
    table, quality = study(models=MODELS[:1], epochs=(10, 20, 30))
    table["copies_low"] = table["epoch"].map(dict(zip((10, 20, 30), low, strict=True)))
    assert over_training.stop_epoch(table.query("rule == 'matched'")) == stop
    figure = over_training.draw(table, quality)[0]
    assert f"When to stop? {words}" in " ".join(text.get_text() for text in figure.texts)
    marked = [line for axes in figure.axes for line in axes.get_lines() if line.get_color() == "#1F1F1F"]
    assert len(marked) == (0 if stop is None else 3)


def test_the_larger_control_rate_says_when_to_stop():
    table = study(models=MODELS[:1], epochs=(10, 20, 30))[0].query("rule == 'matched'")
    table = table.assign(copies_low=table["epoch"] / 100, control_rate_high=0.12, control_rate_decoded_high=0.25)
    assert over_training.stop_epoch(table) == 20
    assert over_training.stop_epoch(table.assign(control_rate_decoded_high=np.nan)) == 10
    assert over_training.stop_epoch(table.assign(control_rate_high=0.35)) is None


def test_differences_are_paired_by_seed():
    base = pd.Series([0.1, 0.4, 0.9], index=[0, 1, 2])
    variant = pd.Series([0.5, 0.2, 0.1], index=[1, 0, 3])
    mean, low, high = variant_effects.paired_difference(base, variant)
    assert mean == pytest.approx(0.1)
    assert (low, high) == pytest.approx((0.1, 0.1))
    # t(0.975; 2) = 4.303, and 0.1, 0.2, 0.3 have a standard deviation of 0.1.
    _, low, high = variant_effects.paired_difference(base, base + pd.Series([0.1, 0.2, 0.3]))
    assert (low, high) == pytest.approx((0.2 - 4.3027 * 0.1 / 3**0.5, 0.2 + 4.3027 * 0.1 / 3**0.5), abs=1e-5)
    assert np.isnan(variant_effects.paired_difference(base, variant[[1]])[1])
    assert np.isnan(variant_effects.paired_difference(base, variant[[3]])[0])


def test_sizes_stand_below_by_size_and_what_changes_is_bold():
    table = effects(seeds=3)
    table["copies"] += 0.02 * (table["variant"] == "scans_0256") * (table["seed"] - 1)
    texts = variant_effects.draw(table).texts
    names = ["ldm · augmented", "ldm · scans_0064", "ldm · scans_0256", "ldm · scans_0512"]
    tops = {text.get_text(): -text.get_position()[1] for text in texts}
    assert sorted(names, key=tops.get) == names
    assert "64 scans, base 128" in tops
    alone = [text.get_text() for text in variant_effects.draw(effects()).texts]
    assert alone.count("one seed") == 8
    assert "−30.0" in alone


@pytest.mark.parametrize(("spread", "weight"), [(0.001, "bold"), (0.5, "normal")])
def test_a_row_is_bold_where_its_interval_excludes_zero(spread, weight):
    table = effects(variants={"base": 0, "small": -0.2}, seeds=3)
    for rate in ("copies", "patients_memorized"):
        table[rate] += spread * (table["variant"] == "small") * (table["seed"] - 1)
    (name,) = [text for text in variant_effects.draw(table).texts if text.get_text() == "ldm · small"]
    assert name.get_weight() == weight


def test_labels_are_spread_apart_and_stay_near():
    wanted, heights = np.array([1.0, 0.0, 1.0, 2.5]), np.array([0.2, 0.1, 0.2, 0.3])
    middles = exposure_curve.spread(wanted, heights, 0, 2.6)
    assert middles == pytest.approx([0.9, 0.05, 1.1, 2.45])
    crowded = exposure_curve.spread(np.zeros(5), np.full(5, 0.2), 0, 2)
    assert crowded == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])


def test_exposed_patients_are_counted_in_words():
    texts = " ".join(text.get_text() for text in exposure_curve.draw(exposures()).texts)
    share = 1 - np.exp(-0.43 * 96 / 40)
    assert f"96 samples of ldm_vq expose {100 * share:.0f} % of its patients, {128 * share:.0f} of 128" in texts


def test_relative_gap_is_above_zero_where_training_images_are_denoised_better():
    denoising, _ = denoisings(epochs=(1, 2))
    gaps = denoising_gap.relative_gaps(denoising)
    assert list(gaps["gap"]) == pytest.approx([0.105] * 10 + [0.21] * 10)


@pytest.mark.parametrize(
    ("gaps", "copies", "words"),
    [
        ([1, 2, 3, 4], [1, 4, 9, 16], "The gap foretells the copies: Spearman correlation 1.00 over 4 points."),
        ([1, 2, 3, 4], [4, 3, 2, 1], "The gap foretells them poorly: Spearman correlation −1.00 over 4 points."),
        ([1, 2, 3, 4], [2, 1, 4, 3], "The gap foretells them poorly: Spearman correlation 0.60 over 4 points."),
        ([1, 2, 3], [1, 2, 3], "Does the gap foretell the copies? 3 points can't tell."),
        ([1, 2, 3, 4], [0, 0, 0, 0], "All 4 points have the same"),
        ([], [], "Copies weren't scored"),
    ],
)
def test_whether_the_gap_foretells_the_copies(gaps, copies, words):
    assert words in denoising_gap.foretells(pd.Series(gaps, dtype=float), pd.Series(copies, dtype=float))
