"""Evidence against a policy: PASS, FAIL or NOT ABLE TO SAY, and why."""

import json
from dataclasses import asdict

import numpy as np

from copylens.audit import comparability, criteria
from copylens.audit.criteria import Line
from copylens.audit.evidence import RARE, Evidence, found_shares, rates
from copylens.audit.exposure import exposure_of, exposure_rule, groups_of
from copylens.audit.outcomes import FAIL, PASS, UNABLE
from copylens.audit.quarantine import quarantine
from copylens.evaluation.thresholds import PERCENTILE

SCHEMA = "copylens-verdict-1"
# Without these, nothing that is counted means anything.
FOUNDATIONS = ("calibration_size", "control_rate", "apart")
# These need no threshold.
SURE = ("identical_files", "membership")
RULE = "A sample is called a copy where any two detectors call it one and name the same patient."
LIMITS = (
    "No copies found means that these detectors found none of the kinds that were planted; other kinds may be there.",
    "A copy is nearer to a patient's image than other patients' images are. Whether somebody could be recognised, or "
    "something be learnt about them, is another question.",
    "The thresholds hold for images like the calibration patients'. Other scanners, sites or protocols move them, and "
    "the control rate shows it only if the control patients are like the training patients. Samples that are smoother "
    "than real images may look more like them than other real images do.",
    "Only pixels were looked at, at the resolution of the comparison. What file names, headers and metadata of the "
    "synthetic files say wasn't.",
    "Patients who are in none of the sets, and what several samples say together about one patient, are not looked at.",
)


def judge(evidence: Evidence, policy: dict, member: dict | None) -> dict:
    """The verdict as plain values, all but `audit` and `provenance` (see verdict.schema.yaml).

    member: what `copylens.audit.membership` found, where weights are to be released too.
    """
    level, detectors = policy["level"], list(evidence.found)
    by_itself = criteria.alone(evidence, policy)
    of_rule = rates(evidence, _by_rule(evidence), level)
    of_each = {name: rates(evidence, _calls(evidence, name), level) for name in detectors}
    exceeding = {
        name: row
        for name, row in of_each.items()
        if criteria.against(policy["copies"], criteria.true_copies(row)) == "fail"
    }
    sure = list(exceeding)
    exceeding |= {
        name: row
        for name, row in by_itself.items()
        if name not in exceeding and criteria.against(policy["copies"], criteria.true_copies(row)) != "pass"
    }
    copies, exposing = criteria.copies(of_rule, policy), exposure_rule(evidence, of_rule, level)
    lines = [
        comparability.identical_files(evidence),
        comparability.kind(evidence, level),
        criteria.calibration_size(evidence, policy),
        comparability.apart(evidence),
        criteria.control_rate(evidence, of_rule, policy),
        comparability.held_out(evidence, level, policy),
        criteria.sensitivity(evidence, policy),
        copies,
        criteria.patients(evidence, exposing, policy),
        criteria.agreement(evidence, sure, by_itself, copies.outcome, policy),
    ]
    lines += [criteria.membership(member, policy)] if member else []
    shaky = [line.explanation for line in lines if line.name in (*FOUNDATIONS, "kind") and line.outcome != "pass"]
    verdict, reasons, needed = _conclude(lines)
    sensitivity = _sensitivity_table(evidence, level)
    rows = [
        {"detector": name, "tau": _rounded(evidence.found[name].tau()), **of_each[name], "alone": by_itself.get(name)}
        for name in detectors
    ]
    rows.append({"detector": "agreement of two", "tau": None, **of_rule, "alone": None})
    return {
        "schema": SCHEMA,
        "verdict": verdict,
        "reasons": reasons,
        "needed": needed,
        "policy": {name: policy[name] for name in policy if name not in ("detectors", "seed")},
        "counts": _counts(evidence),
        "rule": {"detectors": detectors, "percentile": PERCENTILE, "rare": RARE, "text": RULE},
        "lines": [{key: value for key, value in asdict(line).items() if key != "needed"} for line in lines],
        "detectors": [row | {"outcome": criteria.against(policy["copies"], criteria.true_copies(row))} for row in rows],
        "sensitivity": sensitivity,
        "exposure": exposure_of(evidence, exposing, policy["patients"], level),
        "groups": groups_of(evidence, level),
        "membership": member,
        "quarantine": None if verdict == PASS else quarantine(evidence, policy, exceeding, of_rule, shaky),
        "limits": list(LIMITS),
    }


def to_json(verdict: dict) -> str:
    """The verdict as JSON with null for what isn't a number."""

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [plain(each) for each in value]
        if isinstance(value, np.generic):
            value = value.item()
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return json.dumps(plain(verdict), indent=2, allow_nan=False) + "\n"


def _by_rule(evidence: Evidence) -> dict[str, np.ndarray]:
    first = next(iter(evidence.found.values()))
    called = {name: evidence.copies(name) for name in first.similarity}
    # What is a training image needs no detector.
    return called | {"synthetic": called["synthetic"] | evidence.identical}


def _calls(evidence: Evidence, detector: str) -> dict[str, np.ndarray]:
    found = evidence.found[detector]
    return {name: found.calls(name) for name in found.similarity}


def _rounded(tau: float) -> float:
    """To three digits: all of them would tell whoever has the calibration images which training image one is like."""
    return float(f"{tau:.3g}")


def _conclude(lines: list[Line]) -> tuple[str, list[str], list[str]]:
    """The verdict, its reasons, and what would be needed to say more."""
    named = {line.name: line for line in lines}
    unable = [line for line in lines if line.outcome == "unable"]
    needed = list(dict.fromkeys(line.needed for line in unable))
    shaky = [named[name] for name in FOUNDATIONS if named[name].outcome != "pass"]
    other_kind = [named["kind"]] if named["kind"].outcome != "pass" else []
    sure = [named[name] for name in SURE if name in named and named[name].outcome == "fail"]
    if shaky:
        return FAIL if sure else UNABLE, [line.explanation for line in sure + shaky + other_kind], needed
    failed = [line for line in lines if line.outcome == "fail"]
    if failed:
        return FAIL, [line.explanation for line in failed + other_kind], needed
    if unable:
        return UNABLE, [line.explanation for line in unable], needed
    return PASS, [named["copies"].explanation, named["patients"].explanation, named["sensitivity"].explanation], []


def _sensitivity_table(evidence: Evidence, level: float) -> list[dict]:
    rows = []
    of_rule = found_shares(evidence, evidence.copies("planted"), level)
    of_each = {name: found_shares(evidence, found.calls("planted"), level) for name, found in evidence.found.items()}
    for number, row in enumerate(of_rule):
        alone = {name: shares[number]["found"] for name, shares in of_each.items()}
        kept = {key: row[key] for key in ("transform", "n", "low", "high")}
        rows.append(kept | {"rule": row["found"], "alone": alone})
    return rows


def _counts(evidence: Evidence) -> dict[str, int]:
    names = {"train": "training", "calibration": "calibration", "control": "control"}
    counts = {}
    for role, name in names.items():
        counts[f"{name}_images"] = int((evidence.splits["role"] == role).sum())
        counts[f"{name}_patients"] = evidence.n_patients(role)
    counts["synthetic_images"] = len(evidence.identical)
    return counts | {"different_synthetic_images": len(set(evidence.group))}
