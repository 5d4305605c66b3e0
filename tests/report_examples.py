"""Made-up results of audits, of every verdict and of odd kinds, for the tests of reports."""

import numpy as np
import pandas as pd

DETECTORS = ["copylens", "aligned_correlation", "pixel_l2_ratio"]
GROUPS = ("synthetic", "calibration", "control", "planted")
HOSTILE = [
    "<script>alert(1)</script>.png",
    "</script><img src=x onerror=alert(2)>",
    '=HYPERLINK("http://example.org")',
    "line\nbreak\t\u202etxt.png",
    "{{ 7*7 }}&amp;'\"`--><!--",
    "undecodable \udc80.dcm",
]


def line(name, question, limit, value, low, high, unit, outcome, explanation):
    return {
        "name": name,
        "question": question,
        "limit": limit,
        "value": value,
        "low": low,
        "high": high,
        "unit": unit,
        "outcome": outcome,
        "explanation": explanation,
    }


def verdict(word="FAIL", n=300, n_copies=279) -> dict:
    """An audit that came to PASS, FAIL or NOT ABLE TO SAY, with `n_copies` of `n` samples called copies."""
    copies, few = n_copies / n, word == "NOT ABLE TO SAY"
    bad = "fail" if word == "FAIL" else "pass"
    low, high = max(0, copies - 0.05), min(1, copies + 0.04)
    rates = {"called": copies, "control_rate": 0.043, "true_copies": copies}
    return {
        "schema": "https://example.org/verdict-1",
        "audit": "nih_release",
        "verdict": word,
        "reasons": {
            "PASS": ["1.3 % of the samples are copies, and the interval ends below the 5 % that the policy allows."],
            "FAIL": [
                "93 % of the samples are copies; the policy allows 5 %.",
                "60 % of the training patients are exposed; the policy allows 5 %.",
            ],
            "NOT ABLE TO SAY": ["Only 12 calibration patients are at hand, so no threshold can be trusted."],
        }[word],
        "needed": ["Images of at least 60 patients who are in no training set."] if few else [],
        "policy": {
            "copies": 0.05,
            "patients": 0.05,
            "sensitivity": 0.75,
            "false_positives": 0.15,
            "transforms": ["identity", "flip", "rotate", "shift", "noise", "blur", "contrast"],
            "level": 0.95,
        },
        "counts": {
            "training_images": 200,
            "training_patients": 200,
            "calibration_images": 140,
            "calibration_patients": 12 if few else 140,
            "control_images": 140,
            "control_patients": 140,
            "synthetic_images": n,
        },
        "rule": {
            "detectors": DETECTORS,
            "percentile": 95,
            "text": "A sample is a copy where the first detector calls it one and another names the same patient.",
        },
        "lines": [
            line(
                "identical_files",
                "Are files of the training set in the synthetic set?",
                0,
                0,
                None,
                None,
                "count",
                "pass",
                "No synthetic file has the bytes or the pixels of a training image.",
            ),
            line(
                "patient_overlap",
                "Are the sets' patients disjoint?",
                0,
                0,
                None,
                None,
                "count",
                "pass",
                "No calibration or control patient is in the training set.",
            ),
            line(
                "calibration_size",
                "Are there enough calibration patients?",
                60,
                12 if few else 140,
                None,
                None,
                "count",
                "unable" if few else "pass",
                "So many are needed to place the threshold.",
            ),
            line(
                "control_rate",
                "Are innocent images left alone?",
                0.15,
                0.043,
                0.014,
                0.086,
                "share",
                "pass",
                "The rule accuses few images of patients whom the generator never saw.",
            ),
            line(
                "sensitivity",
                "Are planted copies found?",
                0.75,
                0.962,
                0.93,
                0.98,
                "share",
                "pass",
                "The rule finds most copies that were planted.",
            ),
            line(
                "copies",
                "Are more samples copies than the policy allows?",
                0.05,
                copies,
                low,
                high,
                "share",
                "unable" if few else bad,
                "Corrected for what the rule misses and accuses.",
            ),
            line(
                "patients",
                "Are more patients exposed than the policy allows?",
                0.05,
                copies * 0.6454,
                low / 2,
                high * 0.7,
                "share",
                "unable" if few else bad,
                "Patients with at least one copy.",
            ),
            line(
                "agreement",
                "Do the detectors agree?",
                None,
                0.81,
                0.74,
                0.88,
                "",
                "pass",
                "Cohen's kappa between the first detector and the others.",
            ),
            line(
                "membership",
                "Can members be told from others?",
                None,
                0.712,
                0.66,
                0.76,
                "",
                "pass",
                "Told for information; the policy sets no limit.",
            ),
        ],
        "detectors": [
            {
                "detector": name,
                **({"tau": tau} if tau else {}),
                **{
                    f"{key}{end}": min(1, max(0, value + by))
                    for key, value in rates.items()
                    for end, by in (("", 0), ("_low", -0.04), ("_high", 0.04))
                },
                "sensitivity": 0.99,
                "outcome": "unable" if few else bad,
            }
            for name, tau in zip([*DETECTORS, "agreement of two"], [12.3, 0.71, 1.18, None], strict=True)
        ],
        "sensitivity": [
            {
                "transform": name,
                "n": 50,
                "rule": found,
                "low": found - 0.07,
                "high": min(1, found + 0.03),
                "copylens": min(1, found + 0.01),
                "aligned_correlation": found - 0.06,
                "pixel_l2_ratio": found - 0.3,
            }
            for name, found in (
                ("identity", 1.0),
                ("flip", 1.0),
                ("rotate", 0.98),
                ("shift", 0.98),
                ("noise", 0.96),
                ("blur", 0.94),
                ("contrast", 0.9),
                ("flip_rotation_noise", 0.86),
            )
        ],
        "exposure": {
            "curve": [{"released": k, "patients": 200 * copies * 0.6454 * (1 - 0.985**k)} for k in range(1, n + 1, 4)],
            "exposed_patients": round(200 * copies * 0.6454),
            "within_policy": 10 if word == "FAIL" else None,
            "chao1": 160.2 * copies,
            "chao1_low": 138.4 * copies,
            "chao1_high": 197.0 * copies,
        },
        "quarantine": {
            "withheld": 250,
            "released": 50,
            "percentile": 95,
            "verdict": "PASS",
            "reasons": ["What remains keeps within the policy."],
            "residual": 0.01,
            "residual_low": 0.0004,
            "residual_high": 0.04,
        },
        "groups": [
            {
                "column": "label",
                "value": "Hernia",
                "patients": 12,
                "exposed": 5,
                "share": 5 / 12,
                "low": 0.19,
                "high": 0.68,
            },
            {
                "column": "label",
                "value": "No Finding",
                "patients": 121,
                "exposed": 80,
                "share": 80 / 121,
                "low": 0.57,
                "high": 0.74,
            },
            {
                "column": "label",
                "value": "(fewer than 5 patients each)",
                "patients": 9,
                "exposed": None,
                "share": None,
                "low": None,
                "high": None,
            },
        ],
        "membership": {
            "auc": 0.712,
            "auc_low": 0.66,
            "auc_high": 0.76,
            "tpr_at_1fpr": 0.05,
            "n_members": 200,
            "n_others": 140,
        },
        "limits": [
            "It looks for copies of whole images; it can't see that a sample repeats a small part of one.",
            "It knows only the training images it was given. Copies of others are not found.",
            "It says what these samples show, not what the generator would make tomorrow.",
        ],
        "provenance": {
            "copylens": "0.1.0",
            "python": "3.11.9",
            "libraries": {"torch": "2.13.0", "numpy": "2.4.6", "scipy": "1.17.1"},
            "checksums": {
                name: f"{position}" * 64 for position, name in enumerate(("training", "calibration", "synthetic"), 1)
            },
            "seeds": {"planted": 0, "intervals": 7},
            "config": {"training": "nih_training", "policy": {"copies": 0.05, "level": 0.95}, "detectors": DETECTORS},
        },
    }


def samples(n=300, n_copies=279, files=None) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"sample": np.arange(1, n + 1)})
    copy = generator.permutation(n) < n_copies
    for name in DETECTORS:
        table[f"similarity_{name}"] = generator.normal(10, 2, n) + 6 * copy
        table[f"called_{name}"] = copy
        table[f"patient_{name}"] = [f"p{number:08x}" for number in generator.integers(0, 2**32, n)]
    table["copy"], table["withheld"], table["identical"] = copy, copy | (generator.random(n) < 0.05), False
    if files:
        table["file"] = [files[number % len(files)] for number in range(n)]
    return table


def scores(n=300) -> dict:
    generator = np.random.default_rng(1)
    centres = {"synthetic": 16, "calibration": 9.5, "control": 9.6, "planted": 17}
    scales = {"copylens": 1.0, "aligned_correlation": 0.05, "pixel_l2_ratio": 0.1}
    return {
        detector: {group: scale * generator.normal(centres[group], 1.6, n) for group in GROUPS}
        for detector, scale in scales.items()
    }


def pairs(numbers, shape=(32, 32)) -> dict:
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
    generator = np.random.default_rng(2)
    result = {}
    for number in numbers:
        centre = generator.uniform(-0.4, 0.4, len(shape))
        training = np.exp(-sum((axis - at) ** 2 for axis, at in zip(axes, centre, strict=True)) / 0.3)
        synthetic = np.clip(training + generator.normal(0, 0.05, shape), 0, 1)
        result[int(number)] = (synthetic.astype(np.float32), training.astype(np.float32))
    return result


def without_numbers(value):
    """The same results with NaN for every number but those of the provenance."""
    if isinstance(value, dict):
        return {key: item if key == "provenance" else without_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_numbers(item) for item in value]
    return float("nan") if isinstance(value, int | float) else value


def arguments(word="FAIL", edition="public", n=300, n_copies=279, shape=(32, 32)) -> dict:
    """Arguments of `write_report` but its paths."""
    if edition == "public":
        return {
            "verdict": verdict(word, n, n_copies),
            "samples": samples(n, n_copies),
            "scores": scores(),
            "pairs": None,
            "edition": edition,
        }
    table = samples(n, n_copies, HOSTILE)
    shown = pairs(table.loc[table["copy"], "sample"], shape)
    return {
        "verdict": verdict(word, n, n_copies),
        "samples": table,
        "scores": scores(),
        "pairs": shown,
        "edition": edition,
    }
