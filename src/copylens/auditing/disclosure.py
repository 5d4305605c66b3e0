"""What samples tell about training patients besides copies: membership, linkability and inference, beside a shift.

T are the training images, V calibration, H control, S synthetic ones. Each attack is made on T and on H, whom the
generator never saw. Where a classifier that never saw a sample separates T from V and H, the attacks say nothing.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from copylens.auditing.evidence import Evidence
from copylens.auditing.findings import HELD_OUT
from copylens.data.splits import rows_of
from copylens.evaluation.halves import Halves, guessed, linked
from copylens.evaluation.membership import LEAST, choose, scores, separation
from copylens.evaluation.prevalence import true_share
from copylens.evaluation.shift import shift
from copylens.evaluation.thresholds import PERCENTILE

Interval = tuple[float, float, float]  # value, low, high
CERTAIN = 1e9  # planted copies, of an attack whose sensitivity isn't in question


@dataclass(frozen=True)
class Risk:
    """How often an attack succeeds: on T, on H, and by a naive guess; and the residual risk (value, low, high)."""

    training: float
    control: float
    naive: float
    residual: Interval

    def row(self) -> dict[str, float]:
        """The same as plain values."""
        named = dict(zip(("residual", "residual_low", "residual_high"), self.residual, strict=True))
        return {"training": self.training, "control": self.control, "naive": self.naive} | named


@dataclass(frozen=True)
class Disclosure:
    """None where there are too few samples, or of the first two too few patients."""

    shift: Interval | None  # area under the curve of a classifier of T against V and H that sees no sample
    unseen: Interval | None  # the same, of T against H, by nearness to V's images in the place of samples
    attack: dict[str, Any] | None  # chosen on V (`copylens.evaluation.membership.Attack`)
    membership: dict[str, float] | None  # of T against H
    linkability: Risk | None
    inference: Risk | None

    def row(self) -> dict:
        """The same as plain values."""
        areas = {
            name: dict(zip(("auc", "auc_low", "auc_high"), interval, strict=True)) if interval else None
            for name, interval in (("shift", self.shift), ("unseen", self.unseen))
        }
        risks = {"linkability": self.linkability, "inference": self.inference}
        return {
            **areas,
            "attack": self.attack,
            "membership": self.membership,
            **{name: risk.row() if risk else None for name, risk in risks.items()},
        }


def residual_risk(training: float, n_training: float, control: float, n_control: float, level: float) -> Interval:
    """(r_T - r_H) / (1 - r_H) with its interval: what an attack finds on T beyond what it finds on others (Giomi et al.
    2023, eq. 2).

    The numbers are effective sample sizes. It is the prevalence of a test that never misses.
    """
    return true_share(training, n_training, 1.0, CERTAIN, control, n_control, level)


def disclose(evidence: Evidence, kept: np.ndarray, level: float, seed: int) -> Disclosure:
    """The attacks with the samples `kept`, bool [S]."""
    arrays, splits = evidence.attacks, evidence.splits
    number_of = np.unique(splits["patient"], return_inverse=True)[1]
    patients = {name: number_of[rows_of(splits, name)] for name in ("train", *HELD_OUT)}
    sides = patients["train"], np.concatenate([patients[name] for name in HELD_OUT])
    of_shift = None
    if len(arrays["train_shift"]):
        of_shift = shift((arrays["train_shift"], arrays["held_out_shift"]), sides, level)
    tested, of_nobody = (patients["train"], patients["control"]), None
    if len(arrays["train_unseen"]):
        row = separation(arrays["train_unseen"], arrays["control_unseen"], tested, level, seed)
        of_nobody = row["auc"], row["auc_low"], row["auc_high"]
    if not len(arrays["synthetic_whole"]) or kept.sum() < LEAST:
        return Disclosure(of_shift, of_nobody, None, None, None, None)
    whole = {name: arrays[f"{name}_whole"] for name in (*patients, "synthetic")}
    whole["synthetic"] = whole["synthetic"][kept]
    attack = choose(whole, patients)
    members, others = (
        scores(attack, whole[of], whole["synthetic"], whole["calibration"]) for of in ("train", "control")
    )
    halves = {name: (arrays[f"{name}_first"], arrays[f"{name}_second"]) for name in (*patients, "synthetic")}
    halves["synthetic"] = (halves["synthetic"][0][kept], halves["synthetic"][1][kept])
    return Disclosure(
        of_shift,
        of_nobody,
        asdict(attack),
        separation(members, others, tested, level, seed),
        _linkability(evidence, halves, level),
        _inference(evidence, halves, level),
    )


def _linkability(evidence: Evidence, halves: dict[str, Halves], level: float) -> Risk:
    """Both halves lead to one sample. Naive: they belong to two patients."""
    samples = halves["synthetic"]
    training, control = (float(linked(halves[name], samples).mean()) for name in ("train", "control"))
    first, second = halves["train"]
    naive = float(linked((first, np.roll(second, 1, axis=0)), samples).mean())
    return Risk(training, control, naive, _residual(evidence, training, control, level))


def _inference(evidence: Evidence, halves: dict[str, Halves], level: float) -> Risk:
    """One half leads to a sample with the other half, more alike than for all but a few of V.

    Naive: the sample that another patient's half leads to.
    """
    found = {name: guessed(halves[name], halves["synthetic"]) for name in ("train", *HELD_OUT)}
    tau = np.percentile(found["calibration"][0], PERCENTILE)
    training, control = (float((found[name][0] > tau).mean()) for name in ("train", "control"))
    naive = float((found["train"][1] > tau).mean())
    return Risk(training, control, naive, _residual(evidence, training, control, level))


def _residual(evidence: Evidence, training: float, control: float, level: float) -> Interval:
    n_training, n_control = (evidence.n_independent(role) for role in ("train", "control"))
    return residual_risk(training, n_training, control, n_control, level)
