"""Evidence against a policy: PASS, FAIL or NOT ABLE TO SAY, and why."""

import json
from dataclasses import asdict, dataclass

import numpy as np

from copylens.audit.evidence import (
    Evidence,
    exact_interval,
    exposed_patients,
    exposure_of,
    found_shares,
    groups_of,
    rates,
)
from copylens.calibration import PERCENTILE
from copylens.prevalence import highest_false_positive_rate

SCHEMA = "copylens-verdict-1"
PASS, FAIL, UNABLE = "PASS", "FAIL", "NOT ABLE TO SAY"
# Without these, nothing that is counted means anything.
FOUNDATIONS = ("calibration_size", "control_rate")
CHARGES = ("copies", "patients", "agreement", "membership")
STRICTER = (PERCENTILE, 90, 80, 70, 60, 50)  # percentiles of V above which samples are withheld, tried in this order
RULE = "A sample is called a copy where {first} calls it one and another detector does too and names the same patient."
LIMITS = (
    "No copies found means that these detectors found none of the kinds that were planted; other kinds may be there.",
    "A copy is nearer to a patient's image than other patients' images are. Whether somebody could be recognised, or "
    "something be learnt about them, is another question.",
    "The thresholds hold for images like the calibration patients'. Other scanners, sites or protocols move them, and "
    "the control rate shows it only if the control patients are like the training patients.",
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
    """The verdict as plain values, all but `audit` and `provenance` (see workflow/schemas/verdict.schema.json).

    member: what `copylens.audit.membership` found, where weights are to be released too.
    """
    level, detectors = policy["level"], list(evidence.found)
    of_rule = rates(evidence, _by_rule(evidence), level)
    of_each = {name: rates(evidence, _calls(evidence, name), level) for name in detectors}
    exposed = exposed_patients(evidence, of_rule, level)
    lines = [
        _identical(evidence),
        _calibration_size(evidence, policy),
        _control_rate(of_rule, policy),
        _sensitivity(evidence, policy),
        _share(
            "copies", "Are more samples copies than the policy allows?", "samples are copies", policy, _true(of_rule)
        ),
        _share(
            "patients", "Are more patients exposed than the policy allows?", "patients are exposed", policy, exposed
        ),
        _agreement(of_each, policy),
    ]
    lines += [_membership(member, policy)] if member else []
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
        "rule": {"detectors": detectors, "percentile": PERCENTILE, "text": RULE.format(first=detectors[0])},
        "lines": [{key: value for key, value in asdict(line).items() if key != "needed"} for line in lines],
        "detectors": [row | {"outcome": _against(policy["copies"], _true(row))} for row in rows],
        "sensitivity": sensitivity,
        "exposure": exposure_of(evidence, policy["patients"], level),
        "groups": groups_of(evidence, level),
        "membership": member,
        "quarantine": quarantine(evidence, policy, of_rule, lines) if verdict != PASS else None,
        "limits": list(LIMITS),
    }


def withheld_samples(evidence: Evidence, percentile: float) -> np.ndarray:
    """What isn't released: what the rule or the first detector, at a percentile of V, calls a copy. Bool [S]."""
    return _withheld(evidence, "synthetic", percentile) | evidence.identical


def quarantine(evidence: Evidence, policy: dict, of_rule: dict, lines: list[Line]) -> dict:
    """What is left when copies are withheld, audited again, with ever lower thresholds until it passes.

    Of the rest the rule calls nothing a copy; what may still be in it are the copies that it misses. residual: of the
    true copies' share the part that is missed, over the share that is left; planted copies say what is missed.
    """
    failing = [line for line in lines if line.name in FOUNDATIONS and line.outcome != "pass"]
    n, n_planted = len(evidence.identical), int(evidence.is_copy.sum())
    n_patients, tried = len(evidence.patients), []
    for percentile in STRICTER:
        withheld = withheld_samples(evidence, percentile)
        released = int((~withheld).sum())
        shares = found_shares(evidence, _withheld(evidence, "planted", percentile), policy["level"])
        found = float(np.mean([row["found"] for row in shares]))
        found_low, found_high = exact_interval(round(found * n_planted), n_planted, policy["level"])
        missed = [
            share * (1 - caught) * n / max(released, 1)
            for share, caught in zip(_true(of_rule), (found, found_high, found_low), strict=True)
        ]
        value, low, high = (float(min(1.0, each)) if np.isfinite(each) else None for each in missed)
        result = {
            "withheld": n - released,
            "released": released,
            "percentile": percentile,
            "residual": value,
            "residual_low": low,
            "residual_high": high,
        }
        if failing:
            return result | {"verdict": UNABLE, "reasons": [line.explanation for line in failing]}
        weak = [row["transform"] for row in shares if row["low"] < policy["sensitivity"]]
        enough = released and high is not None and high <= policy["copies"]
        few = released and high is not None and high * released <= max(policy["patients"] * n_patients, 1)
        if enough and few and not weak:
            reason = (
                f"{n - released} of {n} samples are withheld. Of the {released} that are left at most {_percent(high)} "
                f"are copies that were missed, given that {_percent(found)} of planted copies are withheld too."
            )
            return result | {"verdict": PASS, "reasons": [reason]}
        tried.append((result, weak))
    # The threshold that leaves the least doubt; of equals the one that withholds least.
    result, weak = min(tried, key=lambda each: 1.0 if each[0]["residual_high"] is None else each[0]["residual_high"])
    if not result["released"]:
        reason = "Nothing is left: every sample is withheld."
    elif weak:
        reason = f"Copies under {_listed(weak)} are missed too often for the rest to be sure."
    elif result["residual_high"] is None:
        reason = (
            "The rule finds no more planted copies than it accuses innocent images, so nothing is known of the rest."
        )
    else:
        reason = (
            f"Even with {result['withheld']} of {n} samples withheld, up to {_percent(result['residual_high'])} of the "
            f"{result['released']} that are left may be copies that were missed; the policy allows "
            f"{_percent(policy['copies'])} of samples and {_percent(policy['patients'])} of patients. More planted "
            "copies (planted.copies) would narrow this; with a generator that mostly copies, nothing would."
        )
    return result | {"verdict": UNABLE, "reasons": [reason]}


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


def _withheld(evidence: Evidence, name: str, percentile: float) -> np.ndarray:
    first = next(iter(evidence.found.values()))
    return evidence.copies(name) | first.calls(name, percentile)


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
    possible = highest_false_positive_rate(n, level)
    enough = next((m for m in range(20, 10**4) if highest_false_positive_rate(m, level) <= limit), None)
    return Line(
        "calibration_size",
        "Are there enough calibration patients for a threshold?",
        limit,
        possible,
        None,
        None,
        "share",
        "pass" if possible <= limit else "unable",
        f"With {n} calibration patients a threshold may accuse up to {_percent(possible)} of innocent images.",
        f"{enough or 'Very many'} calibration patients, who weren't trained on, for at most {_percent(limit)}.",
    )


def _control_rate(of_rule: dict, policy: dict) -> Line:
    value, low, high = (of_rule[f"control_rate{end}"] for end in ("", "_low", "_high"))
    return Line(
        "control_rate",
        "Does the rule spare innocent images?",
        policy["copies"],
        value,
        low,
        high,
        "share",
        "pass" if low <= policy["copies"] else "unable",
        f"Of control patients, whom nothing was trained on, the rule calls {_percent(value)} copies.",
        "Calibration and control patients of one kind, none of them in the training set under another name.",
    )


def _sensitivity(evidence: Evidence, policy: dict) -> Line:
    shares = found_shares(evidence, evidence.copies("planted"), policy["level"])
    worst = min(shares, key=lambda row: (row["low"], row["found"]))
    weak = [row["transform"] for row in shares if row["low"] < policy["sensitivity"]]
    needed = "More planted copies (planted.copies), of more training patients."
    if not weak:
        explanation = (
            f"Of copies planted in these data {_percent(worst['found'])} or more are found under every transform."
        )
    elif worst["found"] >= policy["sensitivity"]:
        explanation = f"{worst['n']} planted copies are too few to be sure that enough are found under {_listed(weak)}."
    else:
        explanation = f"Too few planted copies are found under {_listed(weak)}."
        needed = f"Two detectors that find copies under {_listed(weak)}, or a policy that doesn't ask for these."
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


def _share(name: str, question: str, what: str, policy: dict, interval: tuple[float, float, float]) -> Line:
    value, low, high = interval
    outcome = _against(policy[name], interval)
    said = f"{_percent(value)} of {what} ({_percent(low)} to {_percent(high)})"
    if not np.isfinite(high):
        explanation = f"No more planted copies are found than innocent images accused: how many {what} can't be said."
    elif outcome == "unable":
        explanation = f"{said}: the interval holds the limit of {_percent(policy[name])}."
    else:
        explanation = f"{said}, corrected for what is missed and for what is called so by chance."
    needed = "More control patients, planted copies or samples, which make intervals narrower."
    return Line(name, question, policy[name], value, low, high, "share", outcome, explanation, needed)


def _agreement(of_each: dict[str, dict], policy: dict) -> Line:
    accusing = [name for name, row in of_each.items() if _against(policy["copies"], _true(row)) == "fail"]
    most = len(accusing) > len(of_each) / 2
    return Line(
        "agreement",
        "Do the detectors agree?",
        None,
        len(accusing),
        None,
        None,
        "count",
        "fail" if most else "unable" if accusing else "pass",
        f"More copies than the policy allows, by each of these alone: {_listed(accusing)}."
        if accusing
        else f"None of {len(of_each)} detectors alone finds more copies than the policy allows.",
        "Somebody's eyes on the samples that only one detector calls copies.",
    )


def _membership(member: dict, policy: dict) -> Line:
    interval = member["auc"], member["auc_low"], member["auc_high"]
    outcome = _against(policy["membership"], interval)
    explanation = (
        f"Losses tell training patients from others with an area under the curve of {member['auc']:.2f} "
        f"({member['auc_low']:.2f} to {member['auc_high']:.2f}; 0.5 is chance), and find "
        f"{_percent(member['tpr_at_1fpr'])} of them at 1 % false positives."
    )
    return Line(
        "membership",
        "Do the weights give away who was trained on?",
        policy["membership"],
        *interval,
        "",
        outcome,
        explanation,
        "More held-out patients, which make the interval narrower.",
    )


def _conclude(lines: list[Line]) -> tuple[str, list[str], list[str]]:
    """The verdict, its reasons, and what would be needed to say more."""
    named = {line.name: line for line in lines}
    unable = [line for line in lines if line.outcome == "unable"]
    needed = list(dict.fromkeys(line.needed for line in unable))
    if named["identical_files"].outcome == "fail":
        return FAIL, [line.explanation for line in lines if line.outcome == "fail"], []
    shaky = [named[name] for name in FOUNDATIONS if named[name].outcome != "pass"]
    if shaky:
        return UNABLE, [line.explanation for line in shaky], needed
    guilty = [named[name] for name in CHARGES if name in named and named[name].outcome == "fail"]
    if guilty:
        return FAIL, [line.explanation for line in guilty], []
    if unable:
        return UNABLE, [line.explanation for line in unable], needed
    return PASS, [named["copies"].explanation, named["patients"].explanation, named["sensitivity"].explanation], []


def _sensitivity_table(evidence: Evidence, level: float) -> list[dict]:
    rows = []
    of_rule = found_shares(evidence, evidence.copies("planted"), level)
    of_each = {name: found_shares(evidence, found.calls("planted"), level) for name, found in evidence.found.items()}
    for number, row in enumerate(of_rule):
        alone = {name: shares[number]["found"] for name, shares in of_each.items()}
        rows.append(
            {
                "transform": row["transform"],
                "n": row["n"],
                "rule": row["found"],
                **{k: row[k] for k in ("low", "high")},
                **alone,
            }
        )
    return rows


def _counts(evidence: Evidence) -> dict[str, int]:
    names = {"train": "training", "calibration": "calibration", "control": "control"}
    counts = {}
    for role, name in names.items():
        counts[f"{name}_images"] = int((evidence.splits["role"] == role).sum())
        counts[f"{name}_patients"] = evidence.n_patients(role)
    return counts | {"synthetic_images": len(evidence.identical)}


def _percent(share: float) -> str:
    if share is None or not np.isfinite(share):
        return "an unknown share"
    return f"{100 * share:.1f} %"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
