"""The verdict's lines about what samples, or weights, tell about training patients besides copies.

All of them rest on the held-out patients being of the training patients' kind: where they come from another scanner,
every attack seems to work.
"""

from copylens.auditing.criteria import Line, against
from copylens.auditing.disclosure import Disclosure, Risk
from copylens.auditing.measure import Interval, Measured
from copylens.evaluation.areas import FALSE_POSITIVES
from copylens.evaluation.membership import LEAST
from copylens.evaluation.shift import LEAST as PATIENTS
from copylens.reporting.sentences import percent

OTHER_KIND = 0.55  # area under the curve of a classifier above which patients are of two kinds
AT = FALSE_POSITIVES[0]  # false positive rate at which members found are compared with the policy
SAME_KIND = "Held-out images from the scanners and protocols that the training images come from."
ANOTHER_GENERATOR = "Samples of a generator that was trained for less long or on more patients."


def shift(measured: Measured) -> Line:
    """T must not differ from V and H in anything but the patients."""
    found = measured.disclosure
    value, low, high = found.shift or (None, None, None)
    needed: str | None = SAME_KIND
    if found.shift is None:
        explanation = "There are too few patients to see whether training and held-out images are of one kind."
        needed = f"At least {PATIENTS} training patients, and as many held-out ones."
    elif other_kind(found):
        explanation = (
            f"A classifier that sees no sample {_separates(found.shift)}: they may come from other scanners or "
            "protocols. So a threshold from held-out patients isn't one for training patients, and samples may be more "
            "like training images for the scanner alone."
        )
        if not _classified(found.shift):
            explanation = (
                f"Nearness to calibration images, without any sample, {_separates(found.unseen)}: they may come from "
                "other scanners or protocols, so that thresholds and attacks say nothing."
            )
    else:
        needed, explanation = None, f"A classifier that sees no sample {_separates(found.shift)}."
    return Line(
        "shift",
        "Are held-out images of the same kind as training images?",
        OTHER_KIND,
        value,
        low,
        high,
        "",
        "unable" if needed else "pass",
        explanation,
        needed,
    )


def other_kind(found: Disclosure) -> bool:
    """Whether T surely differs from V and H without any generator."""
    return _classified(found.shift) or _nearer(found.unseen)


def _classified(shift: Interval | None) -> bool:
    # A cross-validated classifier of what doesn't differ has an area a little below 0.5.
    return shift is not None and shift[1] > OTHER_KIND


def _nearer(unseen: Interval | None) -> bool:
    return unseen is not None and (unseen[1] > OTHER_KIND or unseen[2] < 1 - OTHER_KIND)


def _separates(interval: Interval | None) -> str:
    assert interval is not None
    area, low, high = interval
    return (
        "separates training from held-out patients, with an area under the curve of "
        f"{area:.2f} ({low:.2f} to {high:.2f}; 0.5 is chance)"
    )


def membership_samples(found: Disclosure, policy: dict) -> Line:
    """Nearness to the samples mustn't separate training patients from others."""
    return _attacked(
        ("membership_samples", "Do the samples give away who was trained on?"),
        found.membership,
        "Nearness to the samples",
        found,
        policy,
        ANOTHER_GENERATOR,
    )


def membership(measured: Measured, policy: dict) -> Line:
    """Losses mustn't separate training patients from others."""
    return _attacked(
        ("membership", "Do the weights give away who was trained on?"),
        measured.membership,
        "The error of denoising",
        measured.disclosure,
        policy,
        "A release of images without weights, or a generator that was trained for less long or on more patients.",
    )


def linkability(found: Disclosure, policy: dict) -> Line:
    """The halves of a training image mustn't lead to one sample much more often than those of other images."""
    return _risk(
        "linkability",
        "Can parts of a training image be linked through the samples?",
        found.linkability,
        "Both halves of an image lead to the same sample for {}",
        found,
        policy,
    )


def inference(found: Disclosure, policy: dict) -> Line:
    """A sample mustn't show the hidden half of a training image much more often than that of another image."""
    return _risk(
        "inference",
        "Do the samples show a hidden half of a training image?",
        found.inference,
        "The sample nearest to one half of an image shows its other half for {}",
        found,
        policy,
    )


def _attacked(
    asked: tuple[str, str],
    member: dict | None,
    what: str,
    found: Disclosure,
    policy: dict,
    mended: str,
) -> Line:
    """asked: the line's name, which is its limit's in the policy, and its question. what: that separates patients."""
    name, question = asked
    limit = policy[name]
    if member is None:
        return _too_few(name, question, limit)
    interval = (member["auc"], member["auc_low"], member["auc_high"])
    explanation = (
        f"{what} {_separates(interval)}, and finds {percent(member['tpr_at_1fpr'])} of training images at 1 % "
        "false positives."
    )
    outcome, needed = against(limit, interval), "More held-out patients, which make the interval narrower."
    if other_kind(found):
        outcome, needed = "unable", SAME_KIND
        explanation += " Without any sample they are separated, too, so that this says nothing."
    elif member["n_others"] * AT >= 1 and member["tpr_at_1fpr_low"] > policy["patients"] + AT:
        # Some members may be found with few false positives, even if the area under the curve is low.
        outcome = "fail"
        explanation += (
            f" That is surely more than the {percent(policy['patients'])} of patients who may be exposed plus the 1 % "
            "found by chance."
        )
    elif member["auc_high"] < 1 - limit:
        outcome = "unable"
        explanation += f" {what} speaks for held-out patients: these and the training images aren't of one kind."
        needed = "Held-out images that differ from the training images only in the patients."
    return Line(name, question, limit, *interval, "", outcome, explanation, needed, mended)


def _risk(name: str, question: str, risk: Risk | None, clause: str, found: Disclosure, policy: dict) -> Line:
    limit = policy["disclosure"]
    if risk is None:
        return _too_few(name, question, limit)
    value, low, high = risk.residual
    outcome, needed = against(limit, risk.residual), "More control patients, which make the interval narrower."
    explanation = (
        f"{clause.format(f'{percent(risk.training)} of training images')} and {percent(risk.control)} of control "
        f"images; a naive guess succeeds for {percent(risk.naive)}."
    )
    if other_kind(found):
        outcome, needed = "unable", SAME_KIND
        explanation += " Training and control images aren't of one kind, so that this says nothing."
    elif risk.training <= risk.naive:
        explanation += " The attack isn't better than the naive guess, so that it says little."
    return Line(name, question, limit, value, low, high, "share", outcome, explanation, needed, ANOTHER_GENERATOR)


def _too_few(name: str, question: str, limit: float) -> Line:
    explanation = f"Fewer than {LEAST} samples are too few for an attack."
    return Line(name, question, limit, None, None, None, "", "unable", explanation, f"At least {LEAST} samples.")


OF_SAMPLES = (membership_samples, linkability, inference)
