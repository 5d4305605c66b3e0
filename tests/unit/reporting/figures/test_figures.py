"""Figures: PDFs repeat byte for byte, text is text, and nothing written overlaps or leaves the page."""

import itertools
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from figure_examples import (
    FIGURES,
    ONE_OF_EACH,
    correlations,
    denoisings,
    effects,
    exposures,
    losses,
    pairs,
    scores,
    sheets,
    shown_texts,
    study,
)
from matplotlib.text import Text

from copylens.reporting.figures import (
    copies_by_dataset,
    copies_by_model,
    copy_pairs,
    denoising_gap,
    exposure_curve,
    memorization_and_quality,
    nearest_correlations,
    over_training,
    review_sheet,
    sample_sheet,
    training_curves,
    variant_effects,
)
from copylens.reporting.page import save


@pytest.mark.parametrize("name", FIGURES)
def test_text_stays_on_the_page_and_apart(name):
    figure = FIGURES[name]()
    figure.set_dpi(600)  # on a coarse grid letters are wider than in a PDF
    figure.draw_without_rendering()
    page = figure.bbox
    boxes = []
    for text in shown_texts(figure):
        box = text.get_window_extent()
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= page.width and box.y1 <= page.height
        assert inside, f"{text.get_text()!r} leaves the page"
        boxes.append((box.padded(-3), text.get_text()))
    overlapping = [(a[1], b[1]) for a, b in itertools.combinations(boxes, 2) if a[0].overlaps(b[0])]
    assert not overlapping
    assert boxes


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_pdf_repeats_and_embeds_truetype(name, tmp_path):
    for copy in ("first", "second"):
        save(FIGURES[name](), tmp_path / f"{copy}.pdf")
    first = (tmp_path / "first.pdf").read_bytes()
    assert first == (tmp_path / "second.pdf").read_bytes()
    assert b"/FontFile2" in first
    assert b"/Type3" not in first
    assert b"CreationDate" not in first


def test_pdf_repeats_in_another_process(tmp_path):
    script = (
        "import sys; from copylens.reporting.page import save; from figure_examples import FIGURES, ONE_OF_EACH; "
        "save([FIGURES[name]() for name in ONE_OF_EACH], sys.argv[1])"
    )
    paths = os.pathsep.join(filter(None, sys.path))
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": hash_seed}
        target = str(tmp_path / f"{hash_seed}.pdf")
        subprocess.run([sys.executable, "-c", script, target], check=True, env=environment)
    assert (tmp_path / "1.pdf").read_bytes() == (tmp_path / "2.pdf").read_bytes()


def test_one_page_per_figure(tmp_path):
    path = tmp_path / "new" / "pairs.pdf"
    save([FIGURES["one pair"](), FIGURES["six volumes"](), FIGURES["one loss"]()], path)
    assert len(re.findall(rb"/Type /Page\b", path.read_bytes())) == 3
    assert {file.name for file in path.parent.iterdir()} == {"pairs.pdf", ".pairs.pdf.sha256"}


def test_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "figure.pdf"
    path.write_text("old")
    with pytest.raises(ValueError, match="no figure"):
        save([], path)
    with pytest.raises(ValueError, match="figure"):
        save([FIGURES["one loss"](), "not a figure"], path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["figure.pdf"]


@pytest.mark.parametrize("missing", ["correlation", "patient"])
def test_missing_column_is_named(missing):
    table, synthetic, training = pairs(2, (8, 8))
    with pytest.raises(ValueError, match=f"pairs: missing columns {missing};"):
        copy_pairs.draw(table.drop(columns=missing), synthetic, training, "title")


def test_missing_columns_of_the_other_figures_are_named():
    values, rules = correlations(["a"])
    with pytest.raises(ValueError, match="correlations: missing columns group;"):
        nearest_correlations.draw(values.drop(columns="group"), rules)
    with pytest.raises(ValueError, match="thresholds: missing columns tau, copies;"):
        nearest_correlations.draw(values, rules.drop(columns=["tau", "copies"]))
    with pytest.raises(ValueError, match="scores: missing columns memorized_low;"):
        copies_by_dataset.draw(scores(["a"], ["ldm"]).drop(columns="memorized_low"))
    with pytest.raises(ValueError, match="losses: missing columns step;"):
        training_curves.draw(losses(["a"], ["ldm"]).drop(columns="step"))
    table, quality = study(epochs=(1, 2))
    with pytest.raises(ValueError, match="scores: missing columns kind, copies;"):
        copies_by_model.draw(table.drop(columns=["copies", "kind"]))
    for draw in (memorization_and_quality.draw, over_training.draw):
        with pytest.raises(ValueError, match="scores: missing columns copies;"):
            draw(table.drop(columns="copies"), quality)
        with pytest.raises(ValueError, match="quality: missing columns real;"):
            draw(table, quality.drop(columns="real"))
    with pytest.raises(ValueError, match="scores: missing columns control_rate_decoded_high;"):
        over_training.draw(table.drop(columns="control_rate_decoded_high"), quality)
    with pytest.raises(ValueError, match="scores: missing columns n_train;"):
        variant_effects.draw(effects().drop(columns="n_train"))
    with pytest.raises(ValueError, match="exposure: missing columns exposed_low;"):
        exposure_curve.draw(exposures().drop(columns="exposed_low"))
    denoising, table = denoisings()
    with pytest.raises(ValueError, match="denoising: missing columns error;"):
        denoising_gap.draw(denoising.drop(columns="error"), table)
    with pytest.raises(ValueError, match="scores: missing columns copies;"):
        denoising_gap.draw(denoising, table.drop(columns="copies"))


def test_empty_tables_are_refused():
    table, synthetic, training = pairs(1, (8, 8))
    values, rules = correlations(["a"])
    for draw in (
        lambda: copy_pairs.draw(table[:0], synthetic[:0], training[:0], "title"),
        lambda: nearest_correlations.draw(values[:0], rules),
        lambda: copies_by_dataset.draw(scores(["a"], ["ldm"])[:0]),
        lambda: training_curves.draw(losses(["a"], ["ldm"])[:0]),
        lambda: copies_by_model.draw(study()[0][:0]),
        lambda: copies_by_model.draw(study()[0].query("rule == 'paper'")),
        lambda: memorization_and_quality.draw(study()[0][:0], study()[1]),
        lambda: memorization_and_quality.draw(study()[0], study()[1].query("metric == 'recall'")),
        lambda: memorization_and_quality.draw(study()[0], study(["elsewhere"])[1]),
        lambda: over_training.draw(study()[0], study()[1][:0]),
        lambda: variant_effects.draw(effects()[:0]),
        lambda: variant_effects.draw(effects().query("rule == 'paper'")),
        lambda: exposure_curve.draw(exposures()[:0]),
        lambda: exposure_curve.draw(exposures().assign(exposed=np.nan)),
        lambda: denoising_gap.draw(denoisings()[0][:0], denoisings()[1]),
        lambda: denoising_gap.draw(denoisings()[0], denoisings()[1][:0]),
        lambda: denoising_gap.draw(denoisings()[0].query("role == 'train'"), denoisings()[1]),
    ):
        with pytest.raises(ValueError, match="no rows"):
            draw()


def test_mismatched_inputs_are_refused():
    table, synthetic, training = pairs(3, (8, 8))
    with pytest.raises(ValueError, match="3 rows need"):
        copy_pairs.draw(table, synthetic[:2], training[:2], "title")
    values, rules = correlations(["a"])
    with pytest.raises(ValueError, match="one row for each rule"):
        nearest_correlations.draw(values, rules[:1])
    with pytest.raises(ValueError, match="unknown groups other"):
        nearest_correlations.draw(values.assign(group="other"), rules)
    with pytest.raises(ValueError, match="rule must be one of"):
        copies_by_dataset.draw(scores(["a"], ["ldm"]).assign(rule="other"))
    with pytest.raises(ValueError, match="2 pairs need images"):
        review_sheet.draw([1, 2], synthetic, training)
    with pytest.raises(ValueError, match="there are none"):
        sample_sheet.draw([])
    with pytest.raises(ValueError, match="'ldm' needs images"):
        sample_sheet.draw(sheets(["ldm"], 0))
    for variants in ({"base": 0}, {"augmented": 0, "small": 0}):
        with pytest.raises(ValueError, match="no model has both a variant base and another one"):
            variant_effects.draw(effects(variants=variants))
    with pytest.raises(ValueError, match="n_released must be 1 or more, not 0"):
        exposure_curve.draw(exposures(released=(0, 1)))
    with pytest.raises(ValueError, match="no model was scored at several epochs"):
        over_training.draw(*study())
    table, quality = study(epochs=(1, 2))
    for draw in (memorization_and_quality.draw, over_training.draw):
        with pytest.raises(ValueError, match="features must be the same"):
            draw(table, pd.concat([quality, quality.assign(features="others")]))


def test_every_page_of_pairs_says_that_it_is_restricted():
    for name in ("one pair", "24 pairs", "one volume", "one sheet", "second page of sheets"):
        texts = [text.get_text() for text in FIGURES[name]().findobj(Text)]
        assert "Restricted: shows training images" in texts


def test_every_pair_is_shown_with_its_score():
    table, synthetic, training = pairs(24, (8, 8))
    figure = copy_pairs.draw(table, synthetic, training, "title")
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert all(f"{value:.3f}" in texts for value in table["correlation"])
    assert sum(len(axes.images) for axes in figure.axes) == 3 * 24
