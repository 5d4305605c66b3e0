"""Which samples are copies, what the same rule says of innocent images and of planted copies, and who is exposed.

The rule: a sample is a copy where the first detector calls it one by the matched rule (see `copylens.calibration`), and
another detector does too and names the same patient. Innocent images that two detectors accuse by chance rarely lie
nearest to the same patient in both, so the rule accuses far fewer than one detector does.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binom, binomtest, norm, poisson

from copylens.calibration import CURVE_POINTS, PERCENTILE, exposure
from copylens.files import read_arrays, read_table
from copylens.prevalence import true_share
from copylens.splits import rows_of

SETS = ("synthetic", "calibration", "control", "calibration_decoded", "control_decoded", "planted")
FEWEST = 5  # patients of a group that is shown by its name


@dataclass(frozen=True)
class Found:
    """What one detector says: each image's similarity to its nearest training image, and that one's patient."""

    similarity: dict[str, np.ndarray]  # by set, float32 [image]
    patient: dict[str, np.ndarray]  # by set, the number of a patient of T [image]

    def tau(self, percentile: float = PERCENTILE) -> float:
        """The matched rule's threshold, on V as it is and, where there is a decoder, after it: the larger one."""
        held_out = [self.similarity[name] for name in ("calibration", "calibration_decoded")]
        return float(max(np.percentile(values, percentile) for values in held_out if len(values)))

    def calls(self, name: str, percentile: float = PERCENTILE) -> np.ndarray:
        """Which images of a set are above the threshold, bool [image]."""
        return self.similarity[name] > self.tau(percentile)


@dataclass(frozen=True)
class Evidence:
    """All that an audit's detectors say, the deciding one first."""

    found: dict[str, Found]
    splits: pd.DataFrame  # scan, patient, role, about_...
    identical: np.ndarray  # bool [S], pixel by pixel a training image
    is_copy: np.ndarray  # bool [source], of the planted images: a copy, or an innocent image under the same transform
    transforms: list[str]

    @property
    def patients(self) -> np.ndarray:
        """T's patients, in the order of their numbers."""
        return np.unique(self.splits["patient"][self.splits["role"] == "train"])

    def copies(self, name: str) -> np.ndarray:
        """Which images of a set the rule calls copies, bool [image]."""
        first, *others = self.found.values()
        seconded = [other.calls(name) & (other.patient[name] == first.patient[name]) for other in others]
        return first.calls(name) & np.any(seconded, axis=0)

    def n_patients(self, role: str) -> int:
        """How many patients have a role."""
        return self.splits["patient"][self.splits["role"] == role].nunique()


def evidence_of(
    nearest: dict[str, dict[str, np.ndarray]],
    splits: pd.DataFrame,
    samples: pd.DataFrame,
    sources: pd.DataFrame,
    transforms: list[str],
) -> Evidence:
    """From each detector's arrays (see `copylens.audit.comparison`) and the tables of the images."""
    trained = splits["patient"].to_numpy()[rows_of(splits, "train")]
    number_of = np.unique(trained, return_inverse=True)[1]
    found = {}
    for detector, arrays in nearest.items():
        similarity = {name: arrays[f"{name}_similarity"] for name in SETS}
        found[detector] = Found(similarity, {name: number_of[arrays[f"{name}_index"]] for name in SETS})
    return Evidence(
        found,
        splits,
        samples["identical"].to_numpy(bool),
        (sources["role"] == "train").to_numpy(),
        transforms,
    )


def read_evidence(files: dict) -> Evidence:
    """What the detectors found, from the files of `copylens.audit.publish.judge_audit`."""
    return evidence_of(
        {detector: read_arrays(path) for detector, path in files["nearest"].items()},
        read_table(files["splits"]),
        read_table(files["samples"]),
        read_table(files["sources"]),
        list(read_table(files["transforms"])["transform"]),
    )


def exact_interval(n_called: int, n: int, level: float) -> tuple[float, float]:
    """Of a share, by Clopper and Pearson 1934; 0 to 1 where nothing was looked at."""
    if n == 0:
        return 0.0, 1.0
    return tuple(map(float, binomtest(int(n_called), n).proportion_ci(level, "exact")))


def found_shares(evidence: Evidence, called: np.ndarray, level: float) -> list[dict]:
    """Of planted copies, by transform: n, found, low, high. `called`: bool [transform x source]."""
    by_transform = called.reshape(len(evidence.transforms), -1)[:, evidence.is_copy]
    n = by_transform.shape[1]
    rows = []
    for transform, of_transform in zip(evidence.transforms, by_transform, strict=True):
        low, high = exact_interval(of_transform.sum(), n, level)
        rows.append({"transform": transform, "n": n, "found": float(of_transform.mean()), "low": low, "high": high})
    return rows


def rates(evidence: Evidence, called: dict[str, np.ndarray], level: float) -> dict[str, float]:
    """What a rule says of S and of H, what it finds, and how many samples are copies in truth.

    `called`: by set of images, bool. The control rate is the larger one of H as it is and after a decoder.
    sensitivity: the mean over transforms. true_copies: Rogan and Gladen's (`copylens.prevalence`). With _low, _high.
    """
    n_synthetic, n_planted = len(called["synthetic"]), int(evidence.is_copy.sum())
    controls = [called[name] for name in ("control", "control_decoded") if len(called[name])]
    control = max(controls, key=lambda each: each.mean())
    sensitivity = float(np.mean([row["found"] for row in found_shares(evidence, called["planted"], level)]))
    share, n_control = float(called["synthetic"].mean()), evidence.n_patients("control")
    true = true_share(share, n_synthetic, sensitivity, n_planted, float(control.mean()), n_control, level)
    row = {"called": share, "control_rate": float(control.mean()), "sensitivity": sensitivity}
    for name, interval in (
        ("called", exact_interval(called["synthetic"].sum(), n_synthetic, level)),
        ("control_rate", exact_interval(round(control.mean() * n_control), n_control, level)),
        ("sensitivity", exact_interval(round(sensitivity * n_planted), n_planted, level)),
    ):
        row[f"{name}_low"], row[f"{name}_high"] = interval
    return row | dict(zip(("true_copies", "true_copies_low", "true_copies_high"), true, strict=True))


def exposed_patients(evidence: Evidence, of_rule: dict[str, float], level: float) -> tuple[float, float, float]:
    """Share of T's patients of whom S holds a copy, corrected for those named by chance and those missed.

    Of n samples the rule names n x control rate patients wrongly, drawn with replacement, and of the right ones the
    share that it finds. low: as many are named wrongly as may be (Poisson, at the control rate's upper end). high: as
    few, and as many are missed as may be (binomial, at the sensitivity's lower end).
    """
    named, n = len(named_patients(evidence)[0]), len(evidence.identical)
    n_patients, tail = len(evidence.patients), (1 - level) / 2
    wrongly = {
        end: n_patients * -math.expm1(-n * of_rule[f"control_rate{end}"] / n_patients) for end in ("", "_low", "_high")
    }
    value = (named - wrongly[""]) / max(of_rule["sensitivity"], 1e-9)
    low = named - poisson.ppf(1 - tail, wrongly["_high"])
    rightly = max(0.0, named - poisson.ppf(tail, wrongly["_low"]))
    exposed = np.arange(rightly, n_patients + 1)
    high = exposed[binom.cdf(rightly, exposed, of_rule["sensitivity_low"]) >= tail].max(initial=rightly)
    value, low, high = (min(1.0, max(0.0, each / n_patients)) for each in (value, low, high))
    return value, min(low, value), max(high, value)


def named_patients(evidence: Evidence, kept: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(numbers of the patients that copies name, how many copies name each), of all samples or of those `kept`."""
    first = next(iter(evidence.found.values()))
    copies = (evidence.copies("synthetic") | evidence.identical) & (True if kept is None else kept)
    return np.unique(first.patient["synthetic"][copies], return_counts=True)


def exposure_of(evidence: Evidence, most: float, level: float) -> dict:
    """How many patients are exposed when so many samples are released, and how many more would be by sampling on.

    curve: released, patients. within_policy: how many samples, drawn at random, expose at most the share `most` of T's
    patients. chao1: of all patients that copies name, seen or not (Chao 1984, bias-corrected; interval of Chao 1987).
    """
    numbers, times = named_patients(evidence)
    n, n_patients = len(evidence.identical), len(evidence.patients)

    def patients(released: int) -> float:
        return float(exposure(times, n, released).sum()) if len(times) else 0.0

    points = np.unique(np.geomspace(1, n, CURVE_POINTS).round().astype(int))
    low, high = 0, n
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if patients(middle) <= most * n_patients else (low, middle - 1)
    total, total_low, total_high = chao1(times, level)
    return {
        "curve": [{"released": int(released), "patients": patients(released)} for released in points],
        "exposed_patients": len(numbers),
        "within_policy": low,
        "chao1": total,
        "chao1_low": total_low,
        "chao1_high": min(total_high, float(n_patients)),
    }


def chao1(times: np.ndarray, level: float) -> tuple[float, float, float]:
    """(estimate, low, high) of how many there are in all, given how many times each one seen was seen."""
    seen, once, twice = len(times), int((times == 1).sum()), int((times == 2).sum())
    unseen = once * (once - 1) / (2 * (twice + 1))
    if unseen == 0:
        return float(seen), float(seen), float(seen)
    ratio = once / max(twice, 1)
    variance = max(twice, 1) * (ratio**2 / 2 + ratio**3 + ratio**4 / 4)
    spread = math.exp(norm.ppf(0.5 + level / 2) * math.sqrt(math.log1p(variance / unseen**2)))
    return seen + unseen, seen + unseen / spread, seen + unseen * spread


def groups_of(evidence: Evidence, level: float) -> list[dict]:
    """Who is exposed, by what the tables say about T's patients: column, value, patients, exposed, share, low, high.

    Rows go from the rarest value to the commonest; values that fewer than `FEWEST` patients have are one row.
    """
    of_training = evidence.splits[evidence.splits["role"] == "train"]
    exposed = set(evidence.patients[named_patients(evidence)[0]])
    rows = []
    for column in (name for name in of_training if name.startswith("about_")):
        by_value = {
            str(value): set(of_value["patient"])
            for value, of_value in of_training.fillna("").groupby(column, sort=True)
        }
        rare = [value for value, patients in by_value.items() if len(patients) < FEWEST]
        if rare:
            by_value[f"(fewer than {FEWEST} patients each)"] = set().union(*(by_value.pop(value) for value in rare))
        for value, patients in sorted(by_value.items(), key=lambda each: len(each[1])):
            hit = len(patients & exposed)
            low, high = exact_interval(hit, len(patients), level)
            named = {"column": column.removeprefix("about_"), "value": value}
            counts = {"patients": len(patients), "exposed": hit, "share": hit / len(patients)}
            rows.append(named | counts | {"low": low, "high": high})
    return rows
