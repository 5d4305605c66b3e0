"""Whether the verdict hangs on which held-out patients set the thresholds (Koeken et al. 2025, arXiv 2510.01793).

The held-out patients are halved again and again: other patients of V and H, as many of either. V are the calibration
images, H the control images.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from copylens.auditing.criteria import Line
from copylens.auditing.evidence import Evidence
from copylens.auditing.findings import HELD_OUT, Findings
from copylens.auditing.outcomes import UNABLE
from copylens.jobs.seeds import generator_of

HALVINGS = 10
OTHERWISE = 0.5  # share of them that may say otherwise, and, of PASS and FAIL, the opposite
OPPOSITE = 0.2


def halvings(evidence: Evidence, seed: int) -> Iterator[Evidence]:
    """The same findings with other patients as V and H, `HALVINGS` times. What attacks need stays as it is."""
    generator, role = generator_of("halvings", seed), evidence.splits["role"].to_numpy()
    held_out = np.concatenate([np.flatnonzero(role == name) for name in HELD_OUT])
    patients, number_of = np.unique(evidence.splits["patient"].to_numpy()[held_out], return_inverse=True)
    n_calibration = evidence.n_patients("calibration")
    for _ in range(HALVINGS):
        chosen = np.zeros(len(patients), bool)
        chosen[generator.permutation(len(patients))[:n_calibration]] = True
        in_v = chosen[number_of]
        roles = role.copy()
        roles[held_out] = np.where(in_v, *HELD_OUT)
        # Arrays hold V's images, then H's, each in the order of the table.
        order = np.argsort(held_out, kind="stable")
        detectors = {name: _halved(found, order, in_v) for name, found in evidence.detectors.items()}
        yield replace(evidence, detectors=detectors, splits=evidence.splits.assign(role=roles))


def _halved(found: Findings, order: np.ndarray, in_v: np.ndarray) -> Findings:
    arrays = []
    for by_set in (found.similarity, found.patient):
        new = dict(by_set)
        for decoded in ("", "_decoded"):
            both = np.concatenate([by_set[f"{name}{decoded}"] for name in HELD_OUT])
            if len(both):
                new |= {
                    f"{name}{decoded}": both[order][of[order]] for name, of in zip(HELD_OUT, (in_v, ~in_v), strict=True)
                }
        arrays.append(new)
    return Findings(*arrays)


def consistency(verdict: str, others: list[str]) -> Line:
    """The verdict mustn't be another one where other held-out patients set the thresholds.

    others: verdicts of `halvings`; none are needed where the verdict itself can't say.
    """
    name, question = "consistency", "Would other calibration patients lead to the same verdict?"
    if verdict == UNABLE:
        explanation = "Nothing hangs on the calibration patients where there isn't enough to say."
        return Line(name, question, OTHERWISE, None, None, None, "share", "pass", explanation)
    n = len(others)
    differ, opposite = (
        sum(other != verdict for other in others),
        sum(other not in (verdict, UNABLE) for other in others),
    )
    explanation = (
        f"With other halves of the held-out patients {n - differ} of {n} verdicts are the same, and {opposite} the "
        "opposite."
    )
    unstable = differ > OTHERWISE * n or opposite > OPPOSITE * n
    needed = "More held-out patients: the verdict hangs on which of them set the thresholds." if unstable else None
    outcome = "unable" if unstable else "pass"
    return Line(name, question, OTHERWISE, differ / n, None, None, "share", outcome, explanation, needed)
