"""Lines of a verdict about the images before any copy is counted: can these samples and patients be compared at all?"""

from collections import Counter

import numpy as np
from scipy.stats import norm

from copylens.audit.criteria import Line, counted
from copylens.audit.evidence import HELD_OUT, Evidence, Found, exact_interval
from copylens.audit.kind import auc_interval, words_of
from copylens.reporting.sentences import listed, percent

OTHERWISE = 0.5  # share of samples that may lie otherwise than they fit: a generator may mirror half of them
UNLIKE = 0.9  # area under the curve at which a few pixels tell samples from real images
LIKELY_UNLIKE = 0.8  # the same where detectors find them farther from T, too
FARTHER = 0.3  # of the chance that a sample is nearer to T than another patient's image is, where it is far from 0.5
SHOWN = 3  # orientations that are named


def identical_files(evidence: Evidence) -> Line:
    """No sample may be a real image, of T or of V and H."""
    n, n_held_out = int(evidence.identical.sum()), int(evidence.is_held_out.sum())
    explanation = f"{n} of {len(evidence.identical)} synthetic images are, pixel by pixel, images of training patients."
    if n_held_out:
        explanation += f" {n_held_out} are images of held-out patients (calibration and control)."
    outcome = "fail" if n + n_held_out else "pass"
    question = "Are synthetic images, pixel by pixel, real images?"
    return counted("identical_files", question, n + n_held_out, outcome, explanation)


def kind(evidence: Evidence, level: float) -> Line:
    """Samples must lie as the patients' images lie, and show what these show.

    Not of the same kind are samples more than half of which surely lie otherwise than they fit, which a few pixels
    surely tell from real images by an area of `UNLIKE` or more, or of `LIKELY_UNLIKE` where two detectors find them
    much farther from T than other patients' images are. Poor quality alone makes them farther, but changes few pixels
    little.
    """
    found, z = evidence.kind, norm.ppf(0.5 + level / 2)
    dims, n, n_real = found["shift"].size, evidence.n_samples, evidence.n_independent(*HELD_OUT)
    otherwise = _lies_otherwise(found, "synthetic")
    of_real = np.concatenate([_lies_otherwise(found, name) for name in HELD_OUT])
    share = float(otherwise.mean())
    low, high = exact_interval(share, n, level)
    farther = [name for name, each in evidence.found.items() if _farther(each, n, n_real, z)]
    reasons, area = [], None
    if low > OTHERWISE:
        reasons.append(f"{percent(share)} of them ({percent(float(of_real.mean()))} of real images) fit far better")
    if len(found["synthetic_score"]):
        real_scores = np.concatenate([found[f"{name}_score"] for name in HELD_OUT])
        area = auc_interval(found["synthetic_score"], real_scores, n, n_real, z)
        if area[1] > (LIKELY_UNLIKE if len(farther) >= 2 else UNLIKE):
            reasons.append(f"a few pixels tell them from real images with an area under the curve of {area[0]:.2f}")
            if farther:
                reasons.append(f"under {listed(farther)} they are far more unlike them than other patients' images")
    fits = _how_they_fit(found, otherwise, dims)
    if area is None:
        outcome, explanation = "unable", f"{len(otherwise)} samples are too few to see whether they are of one kind."
    elif reasons:
        outcome = "unable"
        explanation = "The samples are not images of the same kind as the patients': " + "; ".join(reasons) + "."
        explanation += f" {fits}" if fits else ""
    else:
        outcome, explanation = "pass", "The samples lie as the patients' images do, and show what these show."
        if share > 0:
            explanation += f" {percent(share)} fit better otherwise ({percent(float(of_real.mean()))} of real images)."
    return Line(
        "kind",
        "Are the samples of the same kind as the patients' images?",
        OTHERWISE,
        share,
        low,
        high,
        "share",
        outcome,
        explanation,
        "Samples that lie, and are stored, as the training images are; or training images that are stored as these.",
    )


def _lies_otherwise(found: dict, name: str) -> np.ndarray:
    """Which images of a set would fit far better in another orientation or order of slices, bool [image]."""
    return (found[f"{name}_orientation"] != 0) | (found[f"{name}_sorted"] >= 0)


def _farther(found: Found, n: float, n_real: float, z: float) -> bool:
    """Whether a detector finds S much farther from T than V and H are."""
    real = np.concatenate([found.similarity[name] for name in HELD_OUT])
    return auc_interval(found.similarity["synthetic"], real, n, n_real, z)[2] < FARTHER


def _how_they_fit(found: dict, otherwise: np.ndarray, dims: int) -> str:
    """In which orientations, and by which zoom and shift, samples are most like training images; commonest first."""
    pairs = zip(found["synthetic_orientation"][otherwise], found["synthetic_sorted"][otherwise], strict=True)
    words = Counter(words_of(int(orientation), int(axis), dims) for orientation, axis in pairs)
    said = [f"{n} of {len(otherwise)} fit {how}" for how, n in words.most_common(SHOWN) if n > SHOWN]
    zoom, shift = float(found["zoom"]), found["shift"]
    moved = [f"zoomed by {zoom:g}"] if zoom != 1 else []
    moved += [f"shifted along axis {axis + 1} by {abs(by):.0%}" for axis, by in enumerate(shift) if by]
    # Of images that lie otherwise the mean image says nothing of zoom and shift.
    said += [f"as a whole they fit better {' and '.join(moved)}"] if moved and otherwise.mean() <= OTHERWISE else []
    return "; ".join(said).capitalize() + "." if said else ""


def apart(evidence: Evidence) -> Line:
    """No image of V and H may show a training patient under another name."""
    alike = evidence.like_training()
    n = int((alike >= 0).sum())
    return counted(
        "apart",
        "Are the held-out patients others than the training patients?",
        n,
        "unable" if n else "pass",
        f"{n} of {len(alike)} calibration and control images are so like a training patient's that chance doesn't "
        "explain it" + (": they may show that very patient under another name." if n else "."),
        "Held-out patients none of whom was trained on, under whatever name.",
    )


def held_out(evidence: Evidence, level: float, policy: dict) -> Line:
    """Samples mustn't be near V and H more often than other patients' images, those of T, are."""
    called, usual = (evidence.near_held_out(name) for name in ("synthetic", "train"))
    n = min(evidence.n_samples, len(called))
    n_usual = min(evidence.n_independent("train"), len(usual))
    share, by_chance = float(called.mean()), float(usual.mean())
    low, high = exact_interval(share, n, level)
    most = exact_interval(by_chance, n_usual, level)[1]
    outcome = "pass" if low <= most else "fail" if low > most + policy["copies"] else "unable"
    explanation = (
        f"Of the samples {percent(share)} are called copies of held-out patients (calibration and control), of the "
        f"training images, which show other people, {percent(by_chance)}."
    )
    if outcome != "pass":
        explanation += " The generator has seen held-out patients: they can't show what chance does."
    return Line(
        "held_out",
        "Are samples copies of held-out patients?",
        most,
        share,
        low,
        high,
        "share",
        outcome,
        explanation,
        "Held-out patients whom the generator hasn't seen.",
    )
