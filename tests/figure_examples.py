"""Figures of made-up tables, of every kind and size, for the tests of figures."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.text import Text

from copylens.reporting.figures import (
    copied_regions,
    copies_by_dataset,
    copies_by_model,
    copy_pairs,
    denoising_gap,
    detector_benchmark,
    exposure_curve,
    memorization_and_quality,
    nearest_correlations,
    over_training,
    privacy_and_quality,
    review_sheet,
    sample_sheet,
    severity_curves,
    training_curves,
    variant_effects,
)

RATES = ("copies", "memorized", "patients_memorized", "memorized_at_n_train", "patients_memorized_at_n_train")
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


def regions(n, shape):
    table, synthetic, training = pairs(n, shape)
    maps = np.linspace(-0.2, 1, training.size).reshape(training.shape)
    return table.assign(similarity=table["correlation"]), synthetic, training, maps


def planted(datasets, detectors):
    """Benchmarks of detectors, of three groups of transforms."""
    groups = {"rigid": ["identity", "flip_rotation_noise"], "hard": ["elastic", LONG], "round trip": ["denoised_40"]}
    rows = [
        {
            "dataset": dataset,
            "detector": detector,
            "transform": name,
            "group": group,
            "n_copies": 200,
            "n_controls": 140,
        }
        for dataset, detector in itertools.product(datasets, detectors)
        for group, names in groups.items()
        for name in names
    ]
    table = pd.DataFrame(rows)
    auroc, sensitivity = np.linspace(0.4, 1, len(rows)), np.linspace(0, 1, len(rows))
    return table.assign(auroc=auroc, sensitivity=sensitivity, false_positives=0.06)


def families(datasets, detectors, names, severities=(0.25, 0.5, 0.75, 1.0)):
    """Benchmarks of detectors by families at severities."""
    rows = [
        {
            "dataset": dataset,
            "detector": detector,
            "transform": f"{name}_{round(100 * severity):03d}",
            "group": "geometry",
        }
        for dataset, detector in itertools.product(datasets, detectors)
        for name in names
        for severity in severities
    ]
    worse = np.linspace(0, 1, len(rows))
    table = pd.DataFrame(rows).assign(n_copies=100, n_controls=90, auroc=1 - worse / 2)
    return table.assign(sensitivity=1 - worse, false_positives=0.2 * worse)


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
        for rate in (*RATES, "control_rate", "control_rate_decoded"):
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
        for rate in RATES:
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


RECIPES = {
    "base": ("latent_diffusion", "FAIL", 0.5, 4.0),
    "told": ("latent_diffusion", "PASS", 0.01, 4.3),
    "ambient": ("latent_diffusion", "NOT ABLE TO SAY", 0.04, 3.7),
    "stopped": ("latent_diffusion", "PASS", 0.0, 5.2),
    "guided": ("latent_diffusion", "FAIL", 0.2, 6.0),
}


def recipes(datasets=("nih",), variants=RECIPES, seeds=3, copycat=True):
    """The table of mitigations: a row for each recipe and seed."""
    rows = []
    entries = [("ldm", variant, *facts) for variant, facts in variants.items()]
    entries += [("copycat", "base", "copycat", "FAIL", 1.0, 3.2)] if copycat else []
    for dataset, (model, variant, kind, verdict, copies, distance), seed in itertools.product(
        datasets, entries, range(seeds)
    ):
        share = min(1.0, copies * (1 + 0.1 * seed))
        row = {"dataset": dataset, "model": model, "kind": kind, "variant": variant, "seed": seed, "epoch": 100}
        row |= {"verdict": "FAIL" if copies > 0 else verdict, "samples_alone": verdict, "copies": share}
        row |= {"copies_low": 0.7 * share, "copies_high": min(1, share + 0.06)}
        if copycat:  # else no attack was tried
            area = min(1.0, 0.5 + 2 * share + 0.02 * seed)
            row |= {"membership_samples": area, "membership_weights": area, "usefulness": 1 - 0.01 * distance}
            row |= {"membership_samples_low": area - 0.05, "membership_samples_high": min(1.0, area + 0.05)}
            row |= {
                f"{privacy_and_quality.DISTANCE}_{end}": distance + by for end, by in (("low", -0.2), ("high", 0.3))
            }
        row |= {privacy_and_quality.DISTANCE: distance + 0.1 * seed, f"{privacy_and_quality.DISTANCE}_real": 3.0}
        rows.append(row)
    return pd.DataFrame(rows)


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
    "repeated parts": lambda: copied_regions.draw(*regions(7, (24, 20)), "chest xray · ldm"),
    "repeated parts of a volume": lambda: copied_regions.draw(*regions(1, (6, 16, 12)), f"{LONG} · {LONG} · {LONG}"),
    "pairs to judge": lambda: review_sheet.draw(list(range(3, 40)), *pairs(37, (24, 32))[1:])[-1],
    "volumes to judge": lambda: review_sheet.draw([1, 2, 3], *pairs(3, (8, 16, 12))[1:])[0],
    "one detector": lambda: detector_benchmark.draw(planted(["chest_xray"], ["copylens"]))[0],
    "nine detectors on two data sets": lambda: detector_benchmark.draw(
        planted(["chest_xray", LONG], [*"abcdefgh", "aligned_correlation"])
    )[1],
    "one family": lambda: severity_curves.draw(families(["chest_xray"], ["copylens"], ["zoom"], [0.5]))[0],
    "many families": lambda: severity_curves.draw(
        families(
            ["chest_xray", LONG], [*"abcdefgh", "aligned_correlation"], [*(f"family_{n}" for n in range(24)), LONG]
        )
    )[3],
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
    "one recipe": lambda: privacy_and_quality.draw(recipes(variants={"base": RECIPES["base"]}, seeds=1, copycat=False)),
    "recipes": lambda: privacy_and_quality.draw(recipes()),
    "recipes of two data sets": lambda: privacy_and_quality.draw(recipes(("nih", LONG))),
    "recipes alike": lambda: privacy_and_quality.draw(
        recipes(variants={f"{LONG}_{number}": ("gan", "PASS", 0.05, 9.0) for number in range(8)})
    ),
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
    "variants by as many samples": lambda: variant_effects.draw(effects(), variant_effects.PAGES[1]),
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
    "many families",
    "six volumes",
    "one panel",
    "one data set",
    "negative losses",
    "sheets of volumes",
    "models and controls",
    "recipes",
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
