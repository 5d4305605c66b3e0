"""Lines of a verdict about the images before any copy is counted: can these samples and patients be compared at all?

T are the training images, V calibration, H control images.
"""

from copylens.auditing.criteria import Line, counted
from copylens.auditing.measure import Interval, Kind, Measured
from copylens.reporting.sentences import listed, percent

OTHERWISE = 0.5  # share of samples that may fit better in another orientation: a generator may mirror half of them
UNLIKE = 0.9  # area under the curve of a classifier above which samples aren't of the patients' kind
LIKELY_UNLIKE = 0.8  # the same where detectors find them farther from T, too
FARTHER = 0.3  # chance that a sample is nearer to T than another patient's image is, below which it is far from 0.5
SHOWN = 3  # orientations that are named


def identical_files(measured: Measured) -> Line:
    """No sample may be a real image, of T or of V and H."""
    n, n_held_out = measured.n_identical, measured.n_identical_held_out
    n_samples = measured.counts["synthetic_images"]
    explanation = f"{n} of {n_samples} synthetic images are, pixel by pixel, images of training patients."
    if n_held_out:
        explanation += f" {n_held_out} are images of held-out patients (calibration and control)."
    outcome = "fail" if n + n_held_out else "pass"
    question = "Are synthetic images, pixel by pixel, real images?"
    mended = "Samples without the real images among them: they are withheld, and listed as such."
    return counted("identical_files", question, n + n_held_out, outcome, explanation, mended=mended)


def kind(measured: Measured) -> Line:
    """Samples must have the orientation of the patients' images, and show the same part of the body.

    They are of another kind if surely more than half of them fit better in another orientation or order of slices; if a
    classifier of a few pixels separates them from real images with an area under the curve surely above `UNLIKE`; or
    above `LIKELY_UNLIKE` if two detectors also find them much farther from T than other patients' images are. Poor
    quality alone makes samples farther from T, but changes these pixels little.
    """
    kind, n = measured.kind, measured.counts["synthetic_images"]
    share, low, high = kind.otherwise
    real = f"({percent(kind.otherwise_real)} of real images)"
    if kind.auc is None:
        outcome, explanation = (
            "unable",
            (f"{n} samples are too few to see whether they lie as the patients' images do, and show the same."),
        )
    elif reasons := _reasons(kind, kind.auc, real):
        explanation = "The samples are not images of the same kind as the patients': " + "; ".join(reasons) + "."
        fits = _how_they_fit(kind, n)
        outcome, explanation = "unable", f"{explanation} {fits}" if fits else explanation
    else:
        outcome, explanation = "pass", "The samples have the orientation and the content of the patients' images."
        if share > 0:
            explanation += f" {percent(share)} of samples {real} would fit better in another orientation."
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
        "Samples oriented and stored like the training images, or training images oriented and stored like samples.",
    )


def _reasons(kind: Kind, area: Interval, real: str) -> list[str]:
    """Why samples aren't of the patients' kind; empty where they are."""
    share, low, _ = kind.otherwise
    auc, auc_low, _ = area
    reasons = []
    if low > OTHERWISE:
        reasons.append(f"{percent(share)} of them {real} fit far better in another orientation or order of slices")
    farther = [name for name, (_, _, high) in kind.nearer.items() if high < FARTHER]
    if auc_low > (LIKELY_UNLIKE if len(farther) >= 2 else UNLIKE):
        reasons.append(f"a few pixels separate them from real images with an area under the curve of {auc:.2f}")
        if farther:
            reasons.append(f"by {listed(farther)} they are much farther from training images than other patients' are")
    return reasons


def _how_they_fit(kind: Kind, n: int) -> str:
    """The orientations, zoom and shift in which `n` samples are most similar to training images."""
    fits = [f"{times} of {n} fit {how}" for how, times in kind.fits[:SHOWN] if times > SHOWN]
    moves = [f"zoomed by {kind.zoom:g}"] if kind.zoom != 1 else []
    moves += [f"shifted along axis {axis + 1} by {abs(by):.0%}" for axis, by in enumerate(kind.shift) if by]
    # The mean of images in different orientations shows neither zoom nor shift.
    if moves and kind.otherwise[0] <= OTHERWISE:
        fits.append(f"as a whole they fit better {' and '.join(moves)}")
    return "; ".join(fits).capitalize() + "." if fits else ""


def apart(measured: Measured) -> Line:
    """No image of V and H may show a training patient under another name."""
    n = measured.n_like_training
    return counted(
        "apart",
        "Are the held-out patients different from the training patients?",
        n,
        "unable" if n else "pass",
        f"{n} of {measured.n_held_out} calibration and control images are more similar to a training patient's than "
        "chance explains" + (": they may show the same patient under another name." if n else "."),
        needed="Held-out patients who aren't in the training set, also under another name.",
    )


def held_out(measured: Measured, policy: dict) -> Line:
    """Samples mustn't be called copies of V and H more often than T's images are, which show other patients."""
    share, low, high = measured.near_held_out
    by_chance, _, most = measured.near_held_out_training
    outcome = "pass" if low <= most else "fail" if low > most + policy["copies"] else "unable"
    explanation = (
        f"{percent(share)} of samples are called copies of held-out patients (calibration and control). By chance "
        f"{percent(by_chance)} of training images are, too, which show other people."
    )
    if outcome != "pass":
        explanation += " The generator has seen held-out patients, so they can't give a false positive rate."
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
        "Held-out patients who weren't in the generator's training.",
        "Held-out patients who weren't in the generator's training, and samples that copy nobody.",
    )
