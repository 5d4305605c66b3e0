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

from copylens.figures import (
    copies_by_dataset,
    copies_by_model,
    copy_pairs,
    denoising_gap,
    exposure_curve,
    last_epochs,
    memorization_and_quality,
    nearest_correlations,
    over_training,
    sample_sheet,
    save,
    training_curves,
    variant_effects,
)

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


# (model, kind, variant, copies, Frechet distance)
MODELS = [
    ("ldm", "latent_diffusion", "base", 0.42, 9.0),
    ("ldm", "latent_diffusion", "augmented", 0.14, 11.0),
    ("ldm_vq", "latent_diffusion", "base", 0.43, 9.2),
    ("vae", "vae", "base", 0.06, 38.0),
    ("gan", "gan", "base", 0.09, 22.0),
    ("copycat", "copycat", "base", 1.0, 0.9),
    ("unseen", "unseen", "base", 0.05, 4.2),
    ("empirical_denoiser", "empirical_denoiser", "base", 0.97, 1.6),
]
ALIKE = [(f"{LONG}_{number:02d}", "gan", LONG, 0.05, 20.0) for number in range(12)]


def study(datasets=("chest_xray",), models=MODELS, seeds=1, epochs=(400,), detectors=("ntxent",)):
    """(scores, quality) of models that copy more, and are better, the longer they are trained."""
    tables, quality = [], []
    for (model, kind, variant, copies, distance), seed, epoch in itertools.product(models, range(seeds), epochs):
        done = epoch / max(epochs)
        copies = min(1, copies * done * (1 + 0.1 * seed))
        table = scores(datasets, [model], [variant], value=0.06)
        for rate in ("copies", "memorized", "patients_memorized"):
            table = table.assign(**{rate: copies, f"{rate}_low": 0.8 * copies, f"{rate}_high": min(1, 1.2 * copies)})
        tables += [
            table.assign(kind=kind, seed=seed, epoch=epoch, detector=detector, control_rate_decoded=np.nan)
            for detector in detectors
        ]
        for dataset, (metric, value, real) in itertools.product(
            datasets, (("frechet_distance", (distance + 0.1 * seed) / done, 4.0), ("recall", 0.6 * done, 0.7))
        ):
            row = {"dataset": dataset, "model": model, "kind": kind, "variant": variant, "seed": seed, "epoch": epoch}
            row |= {"features": "random_features", "metric": metric, "value": value, "real": real}
            quality.append({**row, "n_samples": 96, "n_reference": 48})
    return pd.concat(tables, ignore_index=True), pd.DataFrame(quality)


def sheets(labels, n=10, shape=(16, 16)):
    generator = np.random.default_rng(0)
    return [(label, generator.random((n, *shape), dtype=np.float32)) for label in labels]


VARIANTS = {"base": 0, "augmented": -0.3, "scans_0512": -0.15, "scans_0064": 0.1, "scans_0256": 0.02}


def effects(datasets=("chest_xray",), models=("ldm",), variants=VARIANTS, seeds=1, detectors=("ntxent",)):
    """Scores of variants that change `variants`' share of copies, the more the higher the seed."""
    tables = []
    for (variant, effect), seed, detector in itertools.product(variants.items(), range(seeds), detectors):
        value = min(1, 0.6 + effect * (1 + 0.1 * seed) + 0.01 * seed)
        n_train = int(variant.partition("_")[2]) if variant.startswith("scans_") else 128
        table = scores(datasets, models, [variant], value=value)
        tables.append(table.assign(seed=seed, detector=detector, n_train=n_train, control_rate=0.06))
    return pd.concat(tables, ignore_index=True)


def exposures(datasets=("chest_xray",), models=MODELS, seeds=1, released=(1, 3, 10, 30, 96), n_patients=128):
    rows = []
    for dataset, (model, kind, variant, copies, _), seed, n in itertools.product(
        datasets, models, range(seeds), released
    ):
        exposed = 1 - np.exp(-copies * n / 40 * (1 + 0.1 * seed))
        row = {"dataset": dataset, "model": model, "kind": kind, "variant": variant, "seed": seed, "epoch": 400}
        row |= {"detector": "ntxent", "n_released": n, "n_patients": n_patients}
        rows.append(row | {"exposed": exposed, "exposed_low": 0.8 * exposed, "exposed_high": min(1, 1.2 * exposed)})
    return pd.DataFrame(rows)


def denoisings(datasets=("chest_xray",), models=MODELS[:1], seeds=1, epochs=(100, 200, 300, 400), scale=1.0):
    """(denoising, scores) of networks whose gap grows with the epochs, as do the copies."""
    rows = []
    for dataset, (model, _, variant, copies, _), seed, epoch, timestep in itertools.product(
        datasets, models, range(seeds), epochs, range(50, 1000, 100)
    ):
        row = {"dataset": dataset, "model": model, "variant": variant, "seed": seed, "epoch": epoch}
        loss = scale * (0.02 + np.exp(-timestep / 200))
        gap = copies * epoch / max(epochs) * (0.5 + 0.1 * seed)
        for role, value in (("train", loss * (1 - gap)), ("calibration", loss)):
            rows.append(row | {"role": role, "timestep": timestep, "loss": value, "error": 0.02 * value})
    return pd.DataFrame(rows), study(datasets, models, seeds, epochs)[0]


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

FIGURES |= {
    "one sheet": lambda: sample_sheet.draw(sheets(["chest xray · ldm"], 3))[0],
    "sheets with real images": lambda: sample_sheet.draw(
        [*sheets(["chest xray · ldm", LONG * 8], 24, (20, 16)), *sheets(["real images of unseen patients"])]
    )[0],
    "sheets of volumes": lambda: sample_sheet.draw(sheets(["knee mr · ldm", "real knee mr"], 12, (4, 8, 16)))[0],
    "second page of sheets": lambda: sample_sheet.draw(sheets(["ldm"] * 14))[1],
    "one model": lambda: copies_by_model.draw(study(models=MODELS[:1])[0]),
    "models and controls": lambda: copies_by_model.draw(study(("chest_xray", "knee_mr"), seeds=3)[0]),
    "only controls": lambda: copies_by_model.draw(study(models=MODELS[-3:])[0]),
    "models alike": lambda: copies_by_model.draw(study([f"{LONG}_{LONG}_{LONG}_{LONG}"], ALIKE, seeds=2)[0]),
    "models by two detectors": lambda: copies_by_model.draw(study(detectors=("ntxent", LONG))[0]),
    "one trade-off": lambda: memorization_and_quality.draw(*study(models=MODELS[:1])),
    "trade-offs of two": lambda: memorization_and_quality.draw(*study(("chest_xray", LONG), seeds=3)),
    "trade-offs alike": lambda: memorization_and_quality.draw(*study(("a", "b", "c"), ALIKE)),
    "trade-offs by two detectors": lambda: memorization_and_quality.draw(*study(detectors=("ntxent", LONG))),
    "trade-offs of controls": lambda: memorization_and_quality.draw(*study(models=MODELS[-3:])),
    "one training": lambda: over_training.draw(*study(models=MODELS[:1], epochs=(100, 200, 300, 400)))[0],
    "two trainings": lambda: over_training.draw(*study(models=ALIKE[:2], seeds=3, epochs=(1, 10, 100, 1000)))[0],
    "never above": lambda: over_training.draw(*study(models=MODELS[3:4], epochs=(1, 2)))[0],
    "second page of trainings": lambda: over_training.draw(*study(["a", LONG], epochs=(50, 100)))[1],
    "trainings without recall": lambda: over_training.draw(
        study(epochs=(20000, 40000), detectors=("a", LONG))[0], study(epochs=(20000,))[1].query("metric != 'recall'")
    )[0],
}

FIGURES |= {
    "one variant": lambda: variant_effects.draw(effects(variants={"base": 0, "small": -0.1})),
    "variants of two models": lambda: variant_effects.draw(effects(("chest_xray", "knee_mr"), ("ldm", "vae"), seeds=3)),
    "variants with long names": lambda: variant_effects.draw(
        effects([LONG * 4], [LONG], {"base": 0, LONG: 0.4, "scans_10000": -0.6}, 2, ("a", LONG))
    ),
    "one exposure": lambda: exposure_curve.draw(exposures(models=MODELS[:1], released=(96,))),
    "exposures of two": lambda: exposure_curve.draw(exposures(("chest_xray", LONG), seeds=3)),
    "exposures alike": lambda: exposure_curve.draw(
        exposures(("a", "b", "c"), ALIKE, released=(1, 100, 20000), n_patients=12000)
    ),
    "exposures of unlike sets": lambda: exposure_curve.draw(
        pd.concat([exposures(models=MODELS[:1]), exposures(models=MODELS[1:], n_patients=64)])
    ),
    "one gap": lambda: denoising_gap.draw(*denoisings(epochs=(400,)))[0],
    "gaps of seeds": lambda: denoising_gap.draw(*denoisings(("chest_xray", "knee_mr"), MODELS[:2], seeds=3))[0],
    "second page of gaps": lambda: denoising_gap.draw(
        *denoisings(["a"], ALIKE[:5], epochs=range(1000, 30001, 1000), scale=1e-7)
    )[1],
    "gaps without copies": lambda: denoising_gap.draw(denoisings()[0], denoisings(["elsewhere"])[1])[0],
}

ONE_OF_EACH = (
    "six volumes",
    "one panel",
    "one data set",
    "negative losses",
    "sheets of volumes",
    "models and controls",
    "trade-offs of two",
    "one training",
    "variants of two models",
    "exposures of two",
    "gaps of seeds",
)


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


def test_seeds_are_lines_of_their_own():
    once = losses(["a"], ["ldm"], ["loss"])
    figure = training_curves.draw(pd.concat([once, once.assign(value=once["value"] + 1)]))
    curves = [line.get_xydata() for axes in figure.axes for line in axes.get_lines()]
    assert len(curves) == 4
    assert all((np.diff(curve[:, 0]) > 0).all() for curve in curves)


def test_every_sample_is_shown():
    pages = sample_sheet.draw([*sheets(["ldm"] * 14, 11), *sheets(["real images"], 2)])
    assert sum(len(axes.images) for page in pages for axes in page.axes) == 14 * 11 + 2


def test_only_the_last_epoch_counts_and_once():
    table, _ = study(models=MODELS[:1], seeds=2, epochs=(1, 2))
    table = table[(table["seed"] == 0) | (table["epoch"] == 1)]
    last = last_epochs(pd.concat([table, table.assign(copies=0.5)]))
    assert last.groupby("seed")["epoch"].unique().map(list).to_dict() == {0: [2], 1: [1]}
    assert len(last) == 4
    assert (last["copies"] == 0.5).all()


def test_models_stand_by_copies_and_controls_below():
    figure = copies_by_model.draw(study()[0])
    tops = {text.get_text(): -text.get_position()[1] for text in figure.texts}
    names = ["ldm_vq", "ldm", "ldm · augmented", "gan", "vae", "copycat", "empirical_denoiser", "unseen"]
    assert sorted(names, key=tops.get) == names
    assert {"guilty control", "innocent control", "fully memorized limit"} <= set(tops)


def test_pareto_front_has_no_beaten_point():
    points = pd.DataFrame({"value": [3.0, 1.0, 2.0, 1.0, 4.0, 3.0], "copies": [0.1, 0.5, 0.3, 0.4, 0.1, 0.2]})
    front = memorization_and_quality.pareto_front(points)
    assert front[["value", "copies"]].to_numpy().tolist() == [[1.0, 0.4], [2.0, 0.3], [3.0, 0.1]]


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
