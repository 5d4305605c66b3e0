"""How many patients a set of samples exposes, how many more samples would expose, and which groups they belong to.

T are the training images, V calibration, H control, S synthetic ones.

The more samples there are, the more patients are named by chance, and a false positive looks like a copy. So larger
sets get a rarer threshold (see `copylens.auditing.evidence`), as long as its sensitivity is high enough. The threshold
is chosen by its false positive rate and sensitivity, never by the samples.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, norm, poisson

from copylens.auditing.evidence import SETS, Evidence, exact_interval, rates
from copylens.auditing.findings import HELD_OUT
from copylens.evaluation.thresholds import CURVE_POINTS, exposure

FEWEST = 5  # patients of a group that is shown
RARE, UNKNOWN = "(rarer values)", "(not known)"


@dataclass(frozen=True)
class Rule:
    """The audit's rule at its usual thresholds (None) or those that a share `rate` of new patients pass."""

    rate: float | None
    rates: dict[str, float]  # its control rate, sensitivity and so on (`copylens.auditing.evidence.rates`)


def exposure_rule(evidence: Evidence, usual: dict[str, float], level: float) -> Rule:
    """The rule whose share of exposed patients has the lowest upper end under the null, where S exposes nobody."""
    rules = [Rule(None, usual)]
    for rate in evidence.criterion.rarer:
        called = {name: evidence.copies(name, rate) for name in SETS}
        rules.append(Rule(rate, rates(evidence, called, level)))
    n, n_patients = evidence.n_samples, len(evidence.patients)

    def doubt(rule: Rule) -> float:
        by_chance = n_patients * -math.expm1(-n * _false_positives(evidence, rule.rate) / n_patients)
        high = exposed_share(by_chance, n, n_patients, rule.rates, level)[2]
        return high if math.isfinite(high) else math.inf

    return min(rules, key=doubt)


def _false_positives(evidence: Evidence, rate: float | None) -> float:
    """The expected share of new patients' images that the rule calls copies, by V and H.

    Half an image is added to their number, less at rarer thresholds, in proportion to the rate, so that none isn't 0.
    """
    usual = evidence.criterion.usual
    both = [
        np.concatenate([evidence.copies(f"{role}{decoded}", rate) for role in HELD_OUT]) for decoded in ("", "_decoded")
    ]
    expected = 0.5 * (rate or usual) / usual
    return max((called.sum() + expected) / (len(called) + 1) for called in both if len(called))


def named_patients(evidence: Evidence, rate: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(numbers of the patients that samples are called copies of, how many samples name each)."""
    copies = evidence.copies("synthetic", rate) | evidence.identical
    return np.unique(evidence.nearest_patient("synthetic", rate)[copies], return_counts=True)


def certain_patients(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """(numbers of the patients whose images samples are, pixel by pixel; how many samples are each one's)."""
    return np.unique(evidence.nearest_patient("synthetic")[evidence.identical], return_counts=True)


def exposed_patients(evidence: Evidence, rule: Rule, level: float) -> tuple[float, float, float]:
    """(share, low, high) of T's patients with a copy in S: the named patients, corrected (`exposed_share`)."""
    named, certain = len(named_patients(evidence, rule.rate)[0]), len(certain_patients(evidence)[0])
    return exposed_share(named, evidence.n_samples, len(evidence.patients), rule.rates, level, certain)


def exposed_share(
    named: float, n: float, n_patients: int, rule_rates: dict[str, float], level: float, certain: float = 0.0
) -> tuple[float, float, float]:
    """(share, low, high) of `n_patients` who are exposed by `n` samples, if the rule names `named` of them.

    `certain` of those named are exposed for certain, whatever the rule is worth: samples are their images.

    By chance n samples name n x control rate patients, drawn with replacement; of exposed patients the rule names the
    share `sensitivity`. low: as many are named by chance as may be (Poisson, at the control rate's upper end). high:
    none is named by chance, because chance may name the same few patients again and again, and as many are missed as
    may be (binomial, at the lower end of the lowest sensitivity under any transform). NaN three times where the
    sensitivity isn't above the control rate.
    """
    if not rule_rates["sensitivity"] > rule_rates["control_rate"]:
        return math.nan, math.nan, math.nan
    tail = (1 - level) / 2
    wrongly, at_most = (
        n_patients * -math.expm1(-n * rule_rates[rate] / n_patients) for rate in ("control_rate", "control_rate_high")
    )
    value = (named - wrongly) / rule_rates["sensitivity"]
    low = max(certain, named - poisson.ppf(1 - tail, at_most))
    rightly = math.ceil(named)
    exposed = np.arange(rightly, n_patients + 1)
    high = exposed[binom.cdf(rightly, exposed, rule_rates["least_found_low"]) >= tail].max(initial=rightly)
    value, low, high = (min(1.0, max(0.0, patients / n_patients)) for patients in (max(certain, value), low, high))
    return value, min(low, value), max(high, value)


def exposure_of(evidence: Evidence, rule: Rule, most: float, level: float) -> dict:
    """Patients exposed by the number of samples released, and an estimate for ever more samples.

    curve: released, named (expected number of patients that copies name), patients (exposed, corrected) with low and
    high. within_policy: the largest number of samples, drawn at random, that surely expose at most the share `most` of
    T's patients. rate: of the rule's thresholds, None for the usual ones. chao1: the number of patients that ever more
    samples would name (Chao 1984, bias-corrected; interval of Chao 1987), at most T's.
    """
    numbers, times = named_patients(evidence, rule.rate)
    times_certain = certain_patients(evidence)[1]
    n, n_patients = len(evidence.identical), len(evidence.patients)

    def expected(times: np.ndarray, released: int) -> float:
        # Rounded, so that all samples together name a whole number of patients.
        return round(float(exposure(times, n, released).sum()), 9) if len(times) else 0.0

    def named(released: int) -> float:
        return expected(times, released)

    def exposed(released: int) -> tuple[float, float, float]:
        # Chance names patients once for all samples that repeat one image.
        drawn, certain = released * evidence.n_samples / n, expected(times_certain, released)
        return exposed_share(named(released), drawn, n_patients, rule.rates, level, certain)

    curve = []
    for released in np.unique(np.geomspace(1, n, CURVE_POINTS).round().astype(int)).tolist():
        patients, low, high = (share * n_patients for share in exposed(released))
        curve.append({"released": released, "named": named(released), "patients": patients, "low": low, "high": high})
    # All samples, or else bisection: the upper end isn't quite monotone.
    within, beyond = (n, n + 1) if exposed(n)[2] <= most else (0, n)
    while beyond - within > 1:
        middle = (within + beyond) // 2
        within, beyond = (middle, beyond) if exposed(middle)[2] <= most else (within, middle)
    total, low, high = (min(patients, float(n_patients)) for patients in chao1(times, level))
    return {
        "curve": curve,
        "named_patients": len(numbers),
        "rate": rule.rate,
        "within_policy": within,
        "chao1": total,
        "chao1_low": low,
        "chao1_high": high,
    }


def chao1(times: np.ndarray, level: float) -> tuple[float, float, float]:
    """(estimate, low, high) of the number of species, seen or not, from how many times each seen one was seen."""
    seen, once, twice = len(times), int((times == 1).sum()), int((times == 2).sum())
    unseen = once * (once - 1) / (2 * (twice + 1))
    if unseen == 0:
        return float(seen), float(seen), float(seen)
    ratio = once / max(twice, 1)
    variance = max(twice, 1) * (ratio**2 / 2 + ratio**3 + ratio**4 / 4)
    spread = math.exp(norm.ppf(0.5 + level / 2) * math.sqrt(math.log1p(variance / unseen**2)))
    return seen + unseen, seen + unseen / spread, seen + unseen * spread


def groups_of(evidence: Evidence, level: float) -> list[dict]:
    """Patients named, by group of T's patients (a column's value): column, value, patients, named, share, low, high.

    Rows go from the rarest value to the commonest. Values of fewer than `FEWEST` patients form one row, with the next
    rarest ones if they are still too few together; a column without any other row is left out. Counts are None where
    fewer than `FEWEST` of a group are named, or aren't; if that hides only one group, the smallest other one is hidden
    too.
    """
    of_training = evidence.splits[evidence.splits["role"] == "train"]
    named = set(evidence.patients[named_patients(evidence)[0]])
    rows = []
    for column in (name for name in of_training if name.startswith("about_")):
        by_value = of_training.fillna("").groupby(column, sort=True)["patient"].agg(set)
        shown = sorted(
            ((str(value), patients) for value, patients in by_value.items()), key=lambda group: len(group[1])
        )
        rare: set[str] = set()
        while shown and (len(shown[0][1]) < FEWEST or 0 < len(rare) < FEWEST):
            rare |= shown.pop(0)[1]
        if not shown:
            continue
        groups = ([(RARE, rare)] if rare else []) + shown
        hidden = {
            value
            for value, patients in groups
            if 0 < len(patients & named) < FEWEST or 0 < len(patients - named) < FEWEST
        }
        if len(hidden) == 1:
            # The column's total would reveal a single hidden row.
            hidden |= {value for value, _ in [group for group in groups if group[0] not in hidden][:1]}
        for value, patients in groups:
            hit, n = len(patients & named), len(patients)
            low, high = exact_interval(hit / n, n, level)
            row = {"column": column.removeprefix("about_"), "value": value or UNKNOWN, "patients": n}
            counts = {"named": hit, "share": hit / n, "low": low, "high": high}
            rows.append(row | (dict.fromkeys(counts) if value in hidden else counts))
    return rows
