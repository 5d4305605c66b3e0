"""Figures: PDFs repeat byte for byte, text is text, and nothing written overlaps or leaves the page."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from copylens.figures import copies_by_dataset, copy_pairs, nearest_correlations, save, training_curves

LONG = "a_data_set_with_a_long_name"


def pairs(n, shape, seed=0):
    generator = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "rank": np.linspace(1, 1024, n).astype(int),
            "correlation": np.linspace(0.99, 0.5, n),
            "called": ["copy" if number < n / 2 else "no copy" for number in range(n)],
            "patient": [f"patient_{number:04d}" for number in range(n)],
        }
    )
    training = generator.random((n, *shape), dtype=np.float32)
    synthetic = np.clip(training + 0.1 * generator.standard_normal(training.shape), 0, 1).astype(np.float32)
    return table, synthetic, training


def correlations(panels, apart=0.05, centre=0.6):
    generator = np.random.default_rng(0)
    groups = ("synthetic", "calibration", "control", "control, decoded")
    values = pd.concat(
        pd.DataFrame(
            {
                "panel": panel,
                "group": group,
                "correlation": np.tanh(generator.normal(centre, 0.2, 60)).clip(-1, 1),
            }
        )
        for panel in panels
        for group in groups
    )
    tau = np.tanh(centre + 0.3)
    rules = [
        {"panel": panel, "rule": rule, "tau": value, "copies": 1.0, "control_rate": 0.153, "control_rate_decoded": 0.2}
        for panel in panels
        for rule, value in (("paper", tau), ("matched", tau + apart))
    ]
    return values, pd.DataFrame(rules)


def scores(datasets, models, variants=("base",), seeds=1, value=0.4):
    rows = []
    for dataset, model, variant, seed, rule in itertools.product(
        datasets, models, variants, range(seeds), ("paper", "matched")
    ):
        row = {
            "dataset": dataset,
            "model": model,
            "kind": "latent_diffusion",
            "variant": variant,
            "seed": seed,
        }
        row |= {"epoch": 9, "detector": "ntxent", "rule": rule}
        for rate in ("copies", "memorized", "patients_memorized", "control_rate", "control_rate_decoded"):
            row |= {rate: value, f"{rate}_low": max(0, value - 0.1), f"{rate}_high": min(1, value + 0.1)}
        rows.append(row)
    return pd.DataFrame(rows)


def losses(panels, networks, names=("loss", "validation_loss"), low=0.01):
    step = np.arange(1, 101)
    return pd.concat(
        pd.DataFrame(
            {
                "panel": panel,
                "network": network,
                "step": step,
                "name": name,
                "value": low + np.exp(-step / 30),
            }
        )
        for panel in panels
        for network in networks
        for name in names
    )


FIGURES = {
    "one pair": lambda: copy_pairs.draw(*pairs(1, (16, 16)), "chest xray · ldm"),
    "24 pairs": lambda: copy_pairs.draw(*pairs(24, (32, 24)), f"{LONG} · ldm · {LONG} · {LONG} · {LONG}"),
    "one volume": lambda: copy_pairs.draw(*pairs(1, (8, 8, 8)), "knee mr · ldm"),
    "six volumes": lambda: copy_pairs.draw(*pairs(6, (8, 16, 12)), "knee mr · ldm"),
    "one panel": lambda: nearest_correlations.draw(*correlations(["chest xray · ldm"])),
    "thresholds coincide": lambda: nearest_correlations.draw(*correlations(["a", LONG], apart=0.0)),
    "thresholds nearly coincide": lambda: nearest_correlations.draw(*correlations(["a", "b", "c"], apart=1e-4)),
    "thresholds near 1": lambda: nearest_correlations.draw(*correlations(["a", "b"], apart=-0.002, centre=2.5)),
    "thresholds below the images": lambda: nearest_correlations.draw(*correlations(["a", "b"], apart=-1.2)),
    "twelve panels": lambda: nearest_correlations.draw(
        *correlations([f"{LONG} · ldm · number {number}" for number in range(12)])
    ),
    "one data set": lambda: copies_by_dataset.draw(scores(["chest_xray"], ["ldm"])),
    "no copies": lambda: copies_by_dataset.draw(scores(["chest_xray"], ["ldm"], value=0.0)),
    "all copies": lambda: copies_by_dataset.draw(scores(["chest_xray"], ["ldm", "vae"], value=1.0)),
    "eight data sets": lambda: copies_by_dataset.draw(
        scores([f"{LONG}_{number}" for number in range(8)], ["ldm"], seeds=3)
    ),
    "twelve networks": lambda: copies_by_dataset.draw(
        scores(["a", "b"], [f"{LONG}_{number}" for number in range(4)], ["base", "augmented", LONG])
    ),
    "one loss": lambda: training_curves.draw(losses(["chest xray"], ["ldm"], ["loss"])),
    "negative losses": lambda: training_curves.draw(losses(["chest xray"], ["gan"], low=-0.5)),
    "nearly constant losses": lambda: training_curves.draw(losses(["chest xray"], ["ldm"], low=50)),
    "tiny losses": lambda: training_curves.draw(
        losses(["chest xray"], ["ldm"]).assign(value=lambda table: 3e-9 * table["value"])
    ),
    "six networks": lambda: training_curves.draw(
        losses(["a", LONG], [f"{LONG} · {number}" for number in range(6)], [f"{LONG}_{n}" for n in range(9)])
    ),
}

ONE_OF_EACH = ("six volumes", "one panel", "one data set", "negative losses")


def shown_texts(figure):
    """Every text on the page; matplotlib keeps, but doesn't draw, the labels of ticks beyond an axis."""
    beyond = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            beyond |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    return [
        text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip() and text not in beyond
    ]


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
    script = "import sys; import test_figures as t; t.save([t.FIGURES[name]() for name in t.ONE_OF_EACH], sys.argv[1])"
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": hash_seed}
        target = str(tmp_path / f"{hash_seed}.pdf")
        subprocess.run([sys.executable, "-c", script, target], check=True, env=environment)
    assert (tmp_path / "1.pdf").read_bytes() == (tmp_path / "2.pdf").read_bytes()


def test_one_page_per_figure(tmp_path):
    path = tmp_path / "new" / "pairs.pdf"
    save([FIGURES["one pair"](), FIGURES["six volumes"](), FIGURES["one loss"]()], path)
    assert len(re.findall(rb"/Type /Page\b", path.read_bytes())) == 3
    assert [file.name for file in path.parent.iterdir()] == ["pairs.pdf"]


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


def test_empty_tables_are_refused():
    table, synthetic, training = pairs(1, (8, 8))
    values, rules = correlations(["a"])
    for draw in (
        lambda: copy_pairs.draw(table[:0], synthetic[:0], training[:0], "title"),
        lambda: nearest_correlations.draw(values[:0], rules),
        lambda: copies_by_dataset.draw(scores(["a"], ["ldm"])[:0]),
        lambda: training_curves.draw(losses(["a"], ["ldm"])[:0]),
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


def test_every_page_of_pairs_says_that_it_is_restricted():
    for name in ("one pair", "24 pairs", "one volume"):
        texts = [text.get_text() for text in FIGURES[name]().findobj(Text)]
        assert "Restricted: shows training images" in texts


def test_every_pair_is_shown_with_its_score():
    table, synthetic, training = pairs(24, (8, 8))
    figure = copy_pairs.draw(table, synthetic, training, "title")
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert all(f"{value:.3f}" in texts for value in table["correlation"])
    assert sum(len(axes.images) for axes in figure.axes) == 3 * 24


def test_seeds_are_lines_of_their_own():
    once = losses(["a"], ["ldm"], ["loss"])
    figure = training_curves.draw(pd.concat([once, once.assign(value=once["value"] + 1)]))
    curves = [line.get_xydata() for axes in figure.axes for line in axes.get_lines()]
    assert len(curves) == 4
    assert all((np.diff(curve[:, 0]) > 0).all() for curve in curves)
