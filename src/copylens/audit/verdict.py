"""Evidence against a policy: PASS, FAIL or NOT ABLE TO SAY, and why."""

import json
import math
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np

from copylens.audit.evidence import Evidence, found_shares, rates
from copylens.audit.exposure import exposed_patients, exposed_share, exposure_of, groups_of
from copylens.audit.quarantine import quarantine
from copylens.audit.words import FAIL, PASS, UNABLE, listed, percent
from copylens.calibration import PERCENTILE
from copylens.prevalence import highest_false_positive_rate

SCHEMA = "copylens-verdict-1"
# Without these, nothing that is counted means anything.
FOUNDATIONS = ("calibration_size", "control_rate")
# These need no threshold.
SURE = ("identical_files", "membership")
RULE = "A sample is called a copy where any two detectors call it one and name the same patient."
MANY = 5000  # calibration patients, as good as any number
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


@dataclass(frozen=True)
class Line:
    """One demand of the policy, and how it was met."""

    name: str
    question: str
    limit: float | None
    value: float | None
    low: float | None
    high: float | None
    unit: str  # share, count or nothing
    outcome: str  # pass, fail or unable
    explanation: str
    needed: str | None = None  # what would let this line say more


def judge(evidence: Evidence, policy: dict, member: dict | None) -> dict:
    """The verdict as plain values, all but `audit` and `provenance` (see workflow/schemas/verdict.schema.yaml).

    member: what `copylens.audit.membership` found, where weights are to be released too.
    """
    level, detectors = policy["level"], list(evidence.found)
    of_rule = rates(evidence, _by_rule(evidence), level)
    of_each = {name: rates(evidence, _calls(evidence, name), level) for name in detectors}
    accusing = {name: row for name, row in of_each.items() if _against(policy["copies"], _true(row)) == "fail"}
    copies = _copies(of_rule, policy)
    lines = [
        _identical(evidence),
        _calibration_size(evidence, policy),
        _control_rate(evidence, of_rule, policy),
        _sensitivity(evidence, policy),
        copies,
        _patients(evidence, of_rule, policy),
        _agreement(evidence, list(accusing), copies.outcome),
    ]
    lines += [_membership(member, policy)] if member else []
    shaky = [line.explanation for line in lines if line.name in FOUNDATIONS and line.outcome != "pass"]
    verdict, reasons, needed = _conclude(lines)
    sensitivity = _sensitivity_table(evidence, level)
    rows = [{"detector": name, "tau": evidence.found[name].tau(), **of_each[name]} for name in detectors]
    rows.append({"detector": "agreement of two", "tau": None, **of_rule})
    return {
        "schema": SCHEMA,
        "verdict": verdict,
        "reasons": reasons,
        "needed": needed,
        "policy": {name: policy[name] for name in policy if name not in ("detectors", "seed")},
        "counts": _counts(evidence),
        "rule": {"detectors": detectors, "percentile": PERCENTILE, "text": RULE},
        "lines": [{key: value for key, value in asdict(line).items() if key != "needed"} for line in lines],
        "detectors": [row | {"outcome": _against(policy["copies"], _true(row))} for row in rows],
        "sensitivity": sensitivity,
        "exposure": exposure_of(evidence, of_rule, policy["patients"], level),
        "groups": groups_of(evidence, level),
        "membership": member,
        "quarantine": None if verdict == PASS else quarantine(evidence, policy, accusing, of_rule, shaky),
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


def _true(row: dict) -> tuple[float, float, float]:
    return row["true_copies"], row["true_copies_low"], row["true_copies_high"]


def _against(limit: float, interval: tuple[float, float, float]) -> str:
    """Whether all of an interval is above a limit, all of it at most there, or neither."""
    _, low, high = interval
    if not np.isfinite(high):
        return "unable"
    return "fail" if low > limit else "pass" if high <= limit else "unable"


def _identical(evidence: Evidence) -> Line:
    n = int(evidence.identical.sum())
    return Line(
        "identical_files",
        "Are synthetic images, pixel by pixel, training images?",
        0,
        n,
        None,
        None,
        "count",
        "fail" if n else "pass",
        f"{n} of {len(evidence.identical)} synthetic images are, pixel by pixel, images of training patients.",
    )


def _calibration_size(evidence: Evidence, policy: dict) -> Line:
    n, level, limit = evidence.n_patients("calibration"), policy["level"], policy["false_positives"]
    worth = math.floor(evidence.n_independent("calibration") + 1e-9)
    possible = highest_false_positive_rate(worth, level)
    unequal = f", who say as much as {worth} of one image each," if worth < n else ""
    enough = _enough_patients(limit, level)
    return Line(
        "calibration_size",
        "Are there enough calibration patients for a threshold?",
        limit,
        possible,
        None,
        None,
        "share",
        "pass" if possible <= limit else "unable",
        f"With {n} calibration patients{unequal} a detector may accuse up to {percent(possible)} of innocent images.",
        f"{enough if enough < MANY else 'Very many'} calibration patients, who weren't trained on, for at most "
        f"{percent(limit)}.",
    )


@cache
def _enough_patients(limit: float, level: float) -> int:
    """From where on all numbers are enough: as the percentile falls between two of them, one more may be worse."""
    short = [n for n in range(20, MANY) if highest_false_positive_rate(n, level) > limit]
    return short[-1] + 1 if short else 20


def _control_rate(evidence: Evidence, of_rule: dict, policy: dict) -> Line:
    transformed = found_shares(evidence, evidence.copies("planted"), policy["level"], copies=False)
    accused = [row["transform"] for row in transformed if row["low"] > policy["copies"]]
    value, low, high = (of_rule[f"control_rate{end}"] for end in ("", "_low", "_high"))
    limit = policy["false_positives"]
    explanation = f"Of control patients, whom nothing was trained on, the rule calls {percent(value)} copies."
    needed = None
    if low > policy["copies"]:
        explanation += f" That is surely more than the {percent(policy['copies'])} of copies that are allowed."
        needed = "Calibration and control patients of one kind, none of them in the training set under another name."
    elif accused:
        explanation += f" Under {listed(accused)} it calls surely more than {percent(policy['copies'])} of them so."
        needed = (
            f"Detectors that spare innocent images under {listed(accused)}, or a policy that doesn't ask for these."
        )
    elif high > limit:
        explanation += f" There are too few of them to be sure that it isn't more than {percent(limit)}."
        needed = "More control patients, who weren't trained on."
    return Line(
        "control_rate",
        "Does the rule spare innocent images?",
        limit,
        value,
        low,
        high,
        "share",
        "unable" if needed else "pass",
        explanation,
        needed,
    )


def _sensitivity(evidence: Evidence, policy: dict) -> Line:
    shares = found_shares(evidence, evidence.copies("planted"), policy["level"])
    worst = min(shares, key=lambda row: (row["low"], row["found"]))
    weak = [row["transform"] for row in shares if row["low"] < policy["sensitivity"]]
    needed = "More planted copies (planted.copies), of more training patients."
    if not weak:
        explanation = (
            f"Of copies planted in these data {percent(worst['found'])} or more are found under every transform."
        )
    elif worst["found"] >= policy["sensitivity"]:
        explanation = f"{worst['n']} planted copies are too few to be sure that enough are found under {listed(weak)}."
    else:
        explanation = f"Too few planted copies are found under {listed(weak)}."
        needed = f"Two detectors that find copies under {listed(weak)}, or a policy that doesn't ask for these."
    return Line(
        "sensitivity",
        "Would copies be found?",
        policy["sensitivity"],
        worst["found"],
        worst["low"],
        worst["high"],
        "share",
        "unable" if weak else "pass",
        explanation,
        needed,
    )


def _copies(of_rule: dict, policy: dict) -> Line:
    return _share(
        "copies",
        "Are more samples copies than the policy allows?",
        "samples are copies",
        policy,
        _true(of_rule),
        "More control patients, planted copies or samples, which make intervals narrower.",
    )


def _patients(evidence: Evidence, of_rule: dict, policy: dict) -> Line:
    level, needed = policy["level"], "More control patients, planted copies or training patients."
    n, n_patients = len(evidence.identical), len(evidence.patients)
    # What is left in doubt even if nobody is named.
    least = exposed_share(0, n, n_patients, of_rule, level)[2]
    if least > policy["patients"] > 0:
        enough = math.ceil(least * n_patients / policy["patients"])
        needed = (
            f"At least {enough} training patients, or a policy that allows more of them: of {n_patients}, "
            f"{percent(least)} may be exposed even where no sample names one."
        )
    return _share(
        "patients",
        "Are more patients exposed than the policy allows?",
        "patients are exposed",
        policy,
        exposed_patients(evidence, of_rule, level),
        needed,
    )


def _share(name: str, question: str, what: str, policy: dict, interval: tuple, needed: str) -> Line:
    value, low, high = interval
    outcome = _against(policy[name], interval)
    said = f"{percent(value)} of {what} ({percent(low)} to {percent(high)})"
    if not np.isfinite(high):
        explanation = f"No more planted copies are found than innocent images accused: how many {what} can't be said."
    elif outcome == "unable":
        explanation = f"{said}: the interval holds the limit of {percent(policy[name])}."
    else:
        explanation = f"{said}, corrected for what is missed and for what is called so by chance."
    return Line(name, question, policy[name], value, low, high, "share", outcome, explanation, needed)


def _agreement(evidence: Evidence, accusing: list[str], copies: str) -> Line:
    """A detector that accuses by itself is a question, unless two agree on so many samples that `copies` fails."""
    if not accusing:
        explanation = f"None of {len(evidence.found)} detectors alone surely finds more copies than the policy allows."
    else:
        explanation = f"Surely more copies than the policy allows, by each of these alone: {listed(accusing)}."
    if accusing and copies != "fail":
        n = int(np.any([evidence.found[name].calls("synthetic") for name in accusing], axis=0).sum())
        n_agreed = int(evidence.copies("synthetic").sum())
        explanation += f" Of the {n} samples that they call copies two detectors agree on {n_agreed}."
    return Line(
        "agreement",
        "Does any detector alone find too many copies?",
        0,
        len(accusing),
        None,
        None,
        "count",
        "pass" if not accusing else "fail" if copies == "fail" else "unable",
        explanation,
        "Somebody's eyes on the samples that only some detectors call copies, or a release of the rest without them.",
    )


def _membership(member: dict, policy: dict) -> Line:
    interval, limit = (member["auc"], member["auc_low"], member["auc_high"]), policy["membership"]
    explanation = (
        f"Losses tell training patients from others with an area under the curve of {member['auc']:.2f} "
        f"({member['auc_low']:.2f} to {member['auc_high']:.2f}; 0.5 is chance), and find "
        f"{percent(member['tpr_at_1fpr'])} of them at 1 % false positives."
    )
    outcome, needed = _against(limit, interval), "More held-out patients, which make the interval narrower."
    if member["n_others"] >= 100 and member["tpr_at_1fpr_low"] > policy["patients"] + 0.01:
        # Some who are known for sure, though most are not.
        outcome = "fail"
        explanation += (
            f" That is surely more than the {percent(policy['patients'])} of patients who may be exposed and the 1 % "
            "that chance finds."
        )
    elif member["auc_high"] < 1 - limit:
        outcome = "unable"
        explanation += " Losses are lower on patients who weren't trained on: the two aren't images of one kind."
        needed = "Held-out images that differ from the training images in nothing but the patients."
    return Line(
        "membership",
        "Do the weights give away who was trained on?",
        limit,
        *interval,
        "",
        outcome,
        explanation,
        needed,
    )


def _conclude(lines: list[Line]) -> tuple[str, list[str], list[str]]:
    """The verdict, its reasons, and what would be needed to say more."""
    named = {line.name: line for line in lines}
    unable = [line for line in lines if line.outcome == "unable"]
    needed = list(dict.fromkeys(line.needed for line in unable))
    shaky = [named[name] for name in FOUNDATIONS if named[name].outcome != "pass"]
    sure = [named[name] for name in SURE if name in named and named[name].outcome == "fail"]
    if shaky:
        return FAIL if sure else UNABLE, [line.explanation for line in sure + shaky], needed
    guilty = [line for line in lines if line.outcome == "fail"]
    if guilty:
        return FAIL, [line.explanation for line in guilty], needed
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
    return counts | {"synthetic_images": len(evidence.identical)}
