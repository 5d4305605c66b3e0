"""Made-up findings of three detectors whose answer is known, for the tests of the verdict."""

import json

import numpy as np
import pandas as pd

from copylens.auditing.evidence import Evidence
from copylens.auditing.findings import Findings, Near
from copylens.auditing.membership import NOISE_LEVELS
from copylens.auditing.verdict import to_json

POLICY = {
    "copies": 0.05,
    "patients": 0.05,
    "sensitivity": 0.75,
    "false_positives": 0.15,
    "membership": 0.6,
    "membership_samples": 0.64,
    "disclosure": 0.2,
    "level": 0.95,
    "transforms": ["identity", "shift"],
    "detectors": ["first", "second", "third"],
    "seed": 0,
}
N_TRAIN = 200
COMPONENTS = 16  # of whitened images
COPY = 6.0  # how much more alike a copy is than a new patient's image, in deviations


def evidence(
    copies: np.ndarray,
    n_calibration: int = 120,
    n_control: int = 300,
    found: float = 1.0,
    alone: bool = False,
    names: list[str] = POLICY["detectors"],
    seed: int = 0,
    n_planted: int = 50,
) -> Evidence:
    """S has len(copies) samples, of which those that are not -1 are copies of that patient.

    `found`: the share of planted copies that are as alike as copies are. `alone`: only the first detector sees copies.
    """
    generator = np.random.default_rng(seed)
    n = {"synthetic": len(copies), "calibration": n_calibration, "control": n_control, "planted": 4 * n_planted}
    order = np.arange(2 * n_planted)
    is_copy = order < n_planted
    source = np.where(is_copy, order, -1)
    planted = np.tile(np.where(is_copy, source, -1), 2)
    # Every so manieth is missed, in each transform alike.
    missed = np.tile((order % 10) >= 10 * found, 2)
    detectors = {}
    for number, name in enumerate(names):
        sees = number == 0 or not alone
        similarity, patient = {}, {}
        for set_name, size in n.items():
            similarity[set_name] = generator.normal(size=size)
            patient[set_name] = generator.integers(N_TRAIN, size=size)
        for set_name, truth in (("synthetic", copies), ("planted", np.where(missed, -1, planted))):
            hit = (truth >= 0) & (sees or set_name == "planted")
            similarity[set_name] = np.where(hit, similarity[set_name] + COPY, similarity[set_name])
            patient[set_name] = np.where(hit, truth, patient[set_name])
        for empty in ("calibration_decoded", "control_decoded"):
            similarity[empty], patient[empty] = np.empty(0), np.empty(0, int)
        detectors[name] = Findings(similarity, patient)
    roles = ["train"] * N_TRAIN + ["calibration"] * n_calibration + ["control"] * n_control
    splits = pd.DataFrame({"patient": [f"patient_{row:05d}" for row in range(len(roles))], "role": roles})
    splits["scan"] = [f"scan_{row:06d}" for row in range(len(roles))]
    splits["about_site"] = np.where(np.arange(len(roles)) < 20, "small", "large")
    sources = pd.DataFrame(
        {"patient": splits["patient"][: 2 * n_planted], "role": np.where(is_copy, "train", "control")}
    )
    held_out = {}
    for name in names:
        near = {"synthetic": len(copies), "train": N_TRAIN}
        similarity = {of: generator.normal(size=n) for of, n in near.items()}
        held_out[name] = Near(similarity, {of: generator.integers(n_calibration, size=n) for of, n in near.items()})
    return Evidence(
        detectors,
        splits,
        np.full(len(copies), -1),
        sources,
        POLICY["transforms"],
        held_out,
        same_kind(generator, {name: n[name] for name in ("synthetic", "calibration", "control")}),
        telling_nothing(generator, {**n, "train": N_TRAIN}),
        np.arange(len(copies)),
        np.zeros(len(copies), bool),
    )


def same_kind(generator: np.random.Generator, n: dict[str, int]) -> dict[str, np.ndarray]:
    """Images that lie alike and that no classifier separates (see `copylens.auditing.kind`)."""
    found = {"zoom": np.float32(1), "shift": np.zeros(2, np.float32), "example": np.int64(-1)}
    for name, size in n.items():
        found[f"{name}_orientation"], found[f"{name}_sorted"] = np.zeros(size, np.int64), np.full(size, -1)
        found[f"{name}_score"] = generator.normal(size=size)
    return found


def telling_nothing(generator: np.random.Generator, n: dict[str, int]) -> dict[str, np.ndarray]:
    """Samples that tell nothing about anybody, and patients of one kind (see `copylens.auditing.attacks`)."""
    found = {
        f"{name}_{part}": generator.normal(size=(n[name], COMPONENTS)).astype(np.float32)
        for name in ("train", "calibration", "control", "synthetic")
        for part in ("whole", "first", "second")
    }
    found |= {f"{name}_unseen": generator.normal(size=n[name]) for name in ("train", "control")}
    found["train_shift"] = generator.normal(size=n["train"])
    return found | {"held_out_shift": generator.normal(size=n["calibration"] + n["control"])}


def errors_of(
    generator: np.random.Generator, n: int = 400, shape: float = 5, member: float = 1.0
) -> dict[str, np.ndarray]:
    """Errors of denoising of `n` training patients, and of as many others, half of V and half of H.

    Training patients' losses are `member` times the others', who differ in nothing else.
    """
    found, start = {}, 0
    for name, size in (("train", n), ("calibration", n // 2), ("control", n - n // 2)):
        for error in ("loss", "middle", "norm"):
            lower = member if name == "train" and error == "loss" else 1.0
            found[f"{name}_{error}"] = lower * generator.gamma(shape, size=(size, len(NOISE_LEVELS)))
        found[f"{name}_difficulty"] = generator.normal(size=(size, 3))
        found[f"{name}_patient"] = np.arange(start, start + size)
        start += size
    return found


def of_share(share: float, n: int = 300) -> np.ndarray:
    """`n` samples of which a share are copies, of one patient after the other."""
    return np.where(np.arange(n) < round(share * n), np.arange(n) % N_TRAIN, -1)


def whole(verdict: dict) -> dict:
    """The verdict as it is written, with what only a run knows."""
    return json.loads(
        to_json(
            {
                "audit": "a",
                **verdict,
                "provenance": dict.fromkeys(("copylens", "python", "libraries", "seeds", "config"))
                | {"checksums": {"images": "1" * 64, "synthetic": "2" * 64}},
            }
        )
    )
