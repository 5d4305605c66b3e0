"""The verdict on an audit's evidence: its lines by criteria and comparability, and what `conclude` makes of them."""

import json
from dataclasses import asdict, replace

import numpy as np

from copylens.auditing import comparability, criteria, risks
from copylens.auditing.conclude import conclude, distrust
from copylens.auditing.consistency import consistency, halvings
from copylens.auditing.criteria import Line
from copylens.auditing.evidence import RARE, Evidence
from copylens.auditing.measure import Measured, measure, rates_of_rule, true_copies
from copylens.auditing.outcomes import PASS, UNABLE
from copylens.auditing.quarantine import STRICTER, quarantine, withholding
from copylens.auditing.rules import RULES
from copylens.auditing.withhold import measure_rest
from copylens.evaluation.thresholds import PERCENTILE

SCHEMA = "copylens-verdict-1"
LIMITS = (
    "No copies found means that these detectors found none of the planted kinds; there may be copies of other kinds.",
    "A copy is nearer to a patient's image than other patients' images are. Whether the patient could be recognised, "
    "or anything could be learnt about them, is another question.",
    "The thresholds hold for images like the calibration patients'. Other scanners, sites or protocols shift them, and "
    "the control rate shows it only if the control patients are like the training patients. Samples that are smoother "
    "than real images may be more similar to training images than other patients' images are.",
    "The audit compares pixels, at one resolution. It doesn't read file names, headers or metadata of the synthetic "
    "files.",
    "Patients in none of the sets of real images weren't compared.",
    "The attacks with the samples are those of this report. Others may find more, as may more samples.",
)


def judge(evidence: Evidence, policy: dict, member: dict | None) -> dict:
    """The verdict as plain values, all but `audit` and `provenance` (see verdict.schema.yaml).

    member: the result of `copylens.auditing.membership`, if weights are to be released too.
    """
    measured = measure(evidence, policy, member)
    lines = _lines(measured, policy)
    alone = _of_samples(lines)
    others = halvings(evidence, policy["seed"]) if {UNABLE} != {conclude(each)[0] for each in (lines, alone)} else []
    otherwise = [_lines(measure(other, policy, member, measured.disclosure), policy) for other in others]
    lines = _consistent(lines, otherwise)
    verdict, reasons, needed = conclude(lines)
    return {
        "schema": SCHEMA,
        "verdict": verdict,
        "samples_alone": conclude(_consistent(alone, [_of_samples(each) for each in otherwise]))[0] if member else None,
        "reasons": reasons,
        "needed": needed,
        "policy": {name: policy[name] for name in policy if name not in ("detectors", "seed")},
        "counts": measured.counts,
        "rule": {
            "detectors": list(measured.detectors),
            "percentile": PERCENTILE,
            "rare": RARE,
            "text": evidence.criterion.text,
        },
        "lines": [
            {key: value for key, value in asdict(line).items() if key not in ("needed", "mended")} for line in lines
        ],
        "detectors": _detectors(evidence, measured, policy),
        "sensitivity": _sensitivity(measured),
        "exposure": measured.exposure,
        "groups": measured.groups,
        "membership": measured.membership,
        "disclosure": measured.disclosure.row() | {"singling_out": measured.singling_out.row()},
        "quarantine": None if verdict == PASS else _quarantine(evidence, measured, policy, distrust(lines)),
        "limits": list(LIMITS),
    }


def _of_samples(lines: list[Line]) -> list[Line]:
    """The lines of a release of the samples without the weights."""
    return [line for line in lines if line.name != "membership"]


def _consistent(lines: list[Line], otherwise: list[list[Line]]) -> list[Line]:
    """The lines, and one about what they would be with other held-out patients."""
    first = conclude(lines)[0]
    verdicts = [conclude(each)[0] for each in otherwise] if first != UNABLE else []
    return [*lines, consistency(first, verdicts)]


def _lines(measured: Measured, policy: dict) -> list[Line]:
    """The verdict's lines, all but the one about its consistency."""
    lines = [
        comparability.identical_files(measured),
        comparability.kind(measured),
        criteria.calibration_size(measured, policy),
        comparability.apart(measured),
        risks.shift(measured),
        criteria.control_rate(measured, policy),
        comparability.held_out(measured, policy),
        criteria.sensitivity(measured, policy),
        criteria.copies(measured, policy),
        criteria.patients(measured, policy),
        criteria.agreement(measured, policy),
        *(line(measured.disclosure, policy) for line in risks.OF_SAMPLES),
    ]
    return lines + ([risks.membership(measured, policy)] if measured.membership else [])


def _quarantine(evidence: Evidence, measured: Measured, policy: dict, reasons: list[str]) -> dict:
    detectors = withholding(measured, policy)
    rests = (measure_rest(evidence, percentile, detectors, policy) for percentile in STRICTER)
    return quarantine(measured, rests, policy, reasons)


def to_json(verdict: dict) -> str:
    """The verdict as JSON; NaN and infinity become null."""

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, np.generic):
            value = value.item()
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return json.dumps(plain(verdict), indent=2, allow_nan=False) + "\n"


def _rounded(tau: float) -> float:
    """Three digits: with all of them, anyone who has the calibration images could tell which training image is near."""
    return float(f"{tau:.3g}")


def _detectors(evidence: Evidence, measured: Measured, policy: dict) -> list[dict]:
    """A row for each detector, one for each rule that doesn't decide, and one for the audit's rule."""
    others = [replace(evidence, rule=name) for name in RULES if name != evidence.rule]
    by_name = measured.detectors | {other.criterion.name: rates_of_rule(other, policy["level"])[1] for other in others}
    by_name |= {evidence.criterion.name: measured.rule}
    return [
        {
            "detector": name,
            "tau": _rounded(measured.tau[name]) if name in measured.tau else None,
            **row,
            "alone": measured.alone.get(name),
            "outcome": criteria.against(policy["copies"], true_copies(row)),
        }
        for name, row in by_name.items()
    ]


def _sensitivity(measured: Measured) -> list[dict]:
    """A row for each transform of planted copies."""
    rows = []
    for number, row in enumerate(measured.planted):
        alone = {name: shares[number]["share"] for name, shares in measured.planted_by_detector.items()}
        kept = {key: row[key] for key in ("transform", "n", "low", "high")}
        rows.append(kept | {"rule": row["share"], "alone": alone})
    return rows
