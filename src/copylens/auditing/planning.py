"""How many patients and samples an audit needs to be able to say PASS, before there is any image.

The numbers are those of the best case: no sample and no control image is called a copy. A real audit needs more where
chance calls some. The membership test by the samples lets so many pass of the generators that tell nothing: `POWER`.
"""

from dataclasses import dataclass

from scipy.stats import norm

from copylens.auditing.evidence import exact_interval
from copylens.auditing.exposure import exposed_share
from copylens.evaluation.areas import standard_error
from copylens.evaluation.membership import LEAST
from copylens.evaluation.prevalence import highest_false_positive_rate, true_share

MANY = 2000  # beyond which nothing is looked for
POWER = 0.8


@dataclass(frozen=True)
class Needed:
    """The least numbers that can PASS where so large a share of planted copies is found; None beyond `MANY`."""

    sensitivity: float
    training_patients: int | None
    calibration_patients: int | None
    control_patients: int | None
    samples: int | None

    @property
    def held_out_patients(self) -> int | None:
        """In one folder, of which half the patients are for calibration and half are controls."""
        if self.calibration_patients is None or self.control_patients is None:
            return None
        return 2 * max(self.calibration_patients, self.control_patients)


def needed(policy: dict, sensitivity: float, copies: int) -> Needed:
    """policy: of an audit, with its defaults. copies: planted per transform, at most one of each training patient."""
    level = policy["level"]
    calibration = _enough(
        lambda n: highest_false_positive_rate(n, level) <= policy["false_positives"], 20, lasting=True
    )
    control = _enough(lambda n: exact_interval(0.0, n, level)[1] <= policy["false_positives"])
    n_control = max(control or 0, calibration or 0)
    limit = policy["membership_samples"]
    if _separated(level, MANY, n_control) > limit:
        control = _enough(lambda n: _separated(level, n, n) <= limit)
        n_control = max(n_control, control or 0)
    training = _enough(
        lambda n: (
            _exposed(policy, sensitivity, copies, n) <= policy["patients"] and _separated(level, n, n_control) <= limit
        )
    )
    n_planted = min(copies, training or copies)
    samples = _enough(lambda n: _copies(policy, sensitivity, n_planted, n_control, n) <= policy["copies"], LEAST)
    return Needed(sensitivity, training, calibration, control, samples)


def _copies(policy: dict, sensitivity: float, n_planted: int, n_control: int, n: int) -> float:
    """Upper end of the share of n samples that are copies, where none is called one."""
    return true_share(0.0, n, sensitivity, n_planted, 0.0, n_control, policy["level"])[2]


def _exposed(policy: dict, sensitivity: float, copies: int, n: int) -> float:
    """Upper end of the share of n training patients who are exposed, where no sample names one."""
    low = exact_interval(sensitivity, min(copies, n), policy["level"])[0]
    if low < policy["sensitivity"]:
        return 1.0
    rates = {"sensitivity": sensitivity, "control_rate": 0.0, "control_rate_high": 0.0, "least_found_low": low}
    return exposed_share(0, 1, n, rates, policy["level"])[2]


def _separated(level: float, n_training: int, n_control: int) -> float:
    """Upper end of the area under the curve that a share `POWER` of the attacks that find nothing keep within."""
    reach = norm.ppf(0.5 + level / 2) + norm.ppf(POWER)
    return 0.5 + reach * standard_error(0.5, n_training, n_control)


def _enough(met, first: int = 1, lasting: bool = False) -> int | None:
    """The first number that meets a demand; where `lasting`, the first from which on all do."""
    if not lasting:
        return next((n for n in range(first, MANY) if met(n)), None)
    short = [n for n in range(first, MANY) if not met(n)]
    enough = short[-1] + 1 if short else first
    return enough if enough < MANY else None
