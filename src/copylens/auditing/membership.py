"""Membership inference from weights: a diffusion model denoises images better that it was trained on.

Yeom et al. 2018, arXiv 1709.01604; for diffusion models Matsumoto et al. 2023, arXiv 2302.03262. T are the training
images, V the calibration and H the control images: both are of patients who weren't trained on.
"""

from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.linear_model import QuantileRegressor
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from copylens.auditing.attacks import REAL
from copylens.config.kinds import implementation
from copylens.data.splits import rows_of
from copylens.evaluation.membership import separation_by_choice
from copylens.evaluation.shift import grey_and_frequencies
from copylens.jobs.files import read_array, read_table, write_arrays

NOISE_LEVELS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # shares of a network's timesteps
ERRORS = ("loss", "middle", "norm")
# The noise levels whose errors count, by their places above.
LEVELS = {
    "all": slice(3, None),
    "least": slice(0, 3),
    "little": slice(2, 5),
    "medium": slice(5, 9),
    "much": slice(9, None),
}
FOLDS, PENALTY = 5, 0.01  # of the calibration


@dataclass(frozen=True)
class Attack:
    """What is measured, at which noise levels, and whether relative to what an image of its kind usually has."""

    error: str
    levels: str
    calibrated: bool


ATTACKS = [
    Attack(error, levels, calibrated)
    for error, levels, calibrated in product(ERRORS, LEVELS, (False, True))
    if not calibrated or levels in ("least", "little")
]


def measure_errors(
    images_path: Path, splits_path: Path, folder: Path, upstream: Path | None, seed: int, path: Path
) -> None:
    """Write for each set of `REAL` the errors of denoising (`<set>_loss` and so on, those of a model's
    `errors_by_noise`), float32 [image, noise level], `<set>_difficulty`, float32 [image, feature], and `<set>_patient`.
    """
    # Imported here, because the verdict needs no neural network.
    from copylens.generation.load import load_model
    from copylens.training.tensors import as_batch

    splits, images = read_table(splits_path), read_array(images_path)
    module = load_model(folder, upstream)
    family, timesteps = implementation("models", module.settings["kind"]), module.settings["timesteps"]
    steps = steps_of(timesteps)
    number_of = np.unique(splits["patient"], return_inverse=True)[1]
    arrays: dict[str, np.ndarray] = {}
    for name in REAL:
        rows = rows_of(splits, name)
        errors = family.errors_by_noise(module, as_batch(images[rows]), steps, seed)
        arrays |= {f"{name}_{error}": values.numpy() for error, values in errors.items()}
        arrays[f"{name}_difficulty"] = grey_and_frequencies(np.asarray(images[rows])).astype(np.float32)
        arrays[f"{name}_patient"] = number_of[rows]
    write_arrays(arrays, path)


def steps_of(timesteps: int) -> list[int]:
    """The timesteps of `NOISE_LEVELS`, of a network that has so many."""
    return [max(1, round(share * timesteps)) - 1 for share in NOISE_LEVELS]


def membership(arrays: dict[str, np.ndarray], level: float, seed: int) -> dict:
    """How well the attack that V chooses separates T from H: the row of
    `copylens.evaluation.membership.separation_by_choice`, and the attack.

    arrays: those of `measure_errors`.
    """
    patients = {name: arrays[f"{name}_patient"] for name in REAL}
    attacks = [attack for attack in ATTACKS if f"train_{attack.error}" in arrays]
    number, row = separation_by_choice([scores(attack, arrays) for attack in attacks], patients, level, seed)
    return row | {"attack": asdict(attacks[number])}


def scores(attack: Attack, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scores of membership of each set of `REAL`, float [image]; higher for members.

    Minus the mean over noise levels of the logarithm of the error. Calibrated: plus the median that images of such grey
    values and spatial frequencies, and of such errors under much noise, have, by quantile regression on V (Tang et al.
    2023, arXiv 2312.05140); V's own images are predicted from other patients'.
    """
    error = {name: _log(arrays[f"{name}_{attack.error}"])[:, LEVELS[attack.levels]].mean(axis=1) for name in REAL}
    if not attack.calibrated:
        return {name: -values for name, values in error.items()}
    features = {name: _usual(arrays, name) for name in REAL}
    regression = make_pipeline(StandardScaler(), QuantileRegressor(alpha=PENALTY, solver="highs"))
    v, groups = features["calibration"], arrays["calibration_patient"]
    folds = GroupKFold(min(FOLDS, len(np.unique(groups))))
    usual = {"calibration": cross_val_predict(regression, v, error["calibration"], groups=groups, cv=folds)}
    regression.fit(v, error["calibration"])
    usual |= {name: regression.predict(features[name]) for name in ("train", "control")}
    return {name: usual[name] - error[name] for name in REAL}


def _usual(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """What hardly depends on whether an image was trained on: its difficulty, and errors under much noise."""
    measured = [error for error in ("loss", "norm") if f"{name}_{error}" in arrays]
    errors = [_log(arrays[f"{name}_{error}"])[:, LEVELS["much"]] for error in measured]
    return np.concatenate([arrays[f"{name}_difficulty"], *errors], axis=1)


def _log(error: np.ndarray) -> np.ndarray:
    return np.log(error + np.finfo(np.float32).tiny)
