"""Arguments of reports: what made-up findings come to, with hostile file names and drawn images."""

from dataclasses import replace

import numpy as np
import pandas as pd
from audit_cases import N_TRAIN, POLICY, errors_of, evidence

from copylens.auditing.evidence import Evidence
from copylens.auditing.membership import membership
from copylens.auditing.outcomes import may_be_released
from copylens.auditing.publish import samples_of
from copylens.auditing.report import bands_of, held_out_alike, scores_of
from copylens.auditing.verdict import judge
from copylens.auditing.withhold import withheld_samples
from copylens.reporting.audit_report import Restricted

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
# Samples and copies among them that come to a verdict; fewer calibration patients than are needed come to the last.
CASES = {"PASS": (300, 0), "FAIL": (300, 279), "NOT ABLE TO SAY": (300, 4)}
SUMS = "3" * 64  # digest of the checksums of a folder to release
PROVENANCE = {
    "copylens": "0.1.0",
    "python": "3.11.9",
    "libraries": {"torch": "2.13.0", "numpy": "2.4.6", "scipy": "1.17.1"},
    "checksums": {"images": "1" * 64, "synthetic": "2" * 64},
    "seeds": {"audit": 7},
    "config": {"training": "nih_training", "policy": {"copies": 0.05, "level": 0.95}, "detectors": DETECTORS},
}


def findings(word: str, n: int, n_copies: int) -> Evidence:
    copies = np.where(np.random.default_rng(0).permutation(n) < n_copies, np.arange(n) % N_TRAIN, -1)
    return evidence(copies, n_calibration=20 if word == "NOT ABLE TO SAY" else 120, names=DETECTORS)


def verdict(word: str, found: Evidence) -> dict:
    """What the findings come to. Where they fail, weights are to be released as well."""
    member = membership(errors_of(np.random.default_rng(0), n=100, member=0.7), 0.95, 0) if word == "FAIL" else None
    judged = {"audit": "nih_release", **judge(found, POLICY | {"detectors": DETECTORS}, member)}
    assert judged["verdict"] == word
    return judged | {"provenance": PROVENANCE | {"config": dict(PROVENANCE["config"])}}


def samples(found: Evidence, rest: dict | None, files: list[str] | None) -> pd.DataFrame:
    withheld = withheld_samples(found, rest["percentile"], rest["detectors"]) if rest else found.copies("synthetic")
    table = samples_of(found, withheld)
    if files is None:
        return table[["sample", "withheld"]]
    return table.assign(file=[files[row % len(files)] for row in range(len(table))])


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


def arguments(
    word: str = "FAIL",
    edition: str = "public",
    n: int | None = None,
    n_copies: int | None = None,
    shape: tuple[int, ...] = (32, 32),
) -> dict:
    """Arguments of `write_report` but its paths."""
    n = CASES[word][0] if n is None else n
    found = findings(word, n, CASES[word][1] if n_copies is None else n_copies)
    judged, restricted = verdict(word, found), edition == "restricted"
    table = samples(found, judged["quarantine"], HOSTILE if restricted else None)
    shown = None
    if restricted:
        shown = Restricted(pairs(table.loc[table["copy"], "sample"], shape), None, held_out_alike(found))
    return {
        "verdict": judged,
        "samples": table,
        "scores": scores_of(found) if restricted else bands_of(found),
        "restricted": shown,
        "edition": edition,
        "sums": SUMS if may_be_released(judged) else None,
    }


def of_another_kind(shape: tuple[int, ...] = (32, 32)) -> dict:
    """Arguments of a restricted report on samples that lie on their side, two patients of which are held out too."""
    given = arguments("NOT ABLE TO SAY", "restricted", shape=shape)
    sample, training = pairs([1], shape)[1]
    alike = [("patient_00231", "calibration", "patient_00007"), ("patient_00399", "control", "patient_00011")]
    lying = (np.swapaxes(sample, -1, -2), sample, training)
    return given | {"restricted": replace(given["restricted"], lying=lying, alike=alike)}
