"""Audits of real images: who replays patients fails, who never saw them passes, who can't know says so.

The detectors look once at the samples of every case together; each case is then judged by its own.
"""

from pathlib import Path

import numpy as np
import pytest

from copylens.auditing.attacks import measure_attacks
from copylens.auditing.evidence import SETS, Evidence, evidence_of
from copylens.auditing.kind import measure_kind
from copylens.auditing.nearest import compare_audit
from copylens.auditing.pool import pool_images
from copylens.auditing.verdict import judge
from copylens.auditing.withhold import withheld_samples
from copylens.config import checks, spec
from copylens.data import listing
from copylens.data.images import gather_images
from copylens.detection.embed import Embedder, embed_file
from copylens.detection.search import EXACT
from copylens.detection.train import train_detector
from copylens.evaluation.planted import plant_copies
from copylens.generation.load import load_model
from copylens.generation.models import latent_diffusion
from copylens.generation.train import train_model
from copylens.jobs.files import read_array, read_arrays, read_table, write_array, write_table
from copylens.jobs.workdir import Unfinished

DETECTORS = ["copylens", "aligned_correlation", "pixel_l2_ratio"]
CONFIG = {
    "datasets": {
        "chests": {
            **{"reader": "nih_chestxray14", "root": "nih_chestxray", "grid": [32, 32]},
            "split": {"train": 40, "calibration": 120, "control": 200},
        },
        "hippocampi": {
            **{"reader": "nifti_folder", "root": "msd_hippocampus/imagesTr", "grid": [16, 16, 16]},
            **{"patient": r"hippocampus_(\d+)", "scaling": {"kind": "percentile", "low": 0.5, "high": 99.5}},
            "split": {"train": 30, "calibration": 56, "control": 40},
        },
    },
    "models": {
        "autoencoder": {
            **{"kind": "autoencoder_kl", "channels": [16, 32, 32]},
            "training": {"steps": 300, "batch_size": 16, "learning_rate": 2.0e-3, "warmup_steps": 20},
        },
        "ldm": {
            **{"kind": "latent_diffusion", "autoencoder": {"model": "autoencoder"}, "channels": [32, 64]},
            **{"prediction": "v_prediction", "ema_decay": 0.98},
            "training": {"steps": 1500, "batch_size": 32, "learning_rate": 2.0e-3, "warmup_steps": 20},
            "sampling": {"n_samples": 100, "steps": 30},
        },
    },
    "detectors": {
        "copylens": {
            **{"kind": "copylens"},
            **{"examples": 40, "neighbours": 10},
        },
        "aligned_correlation": {
            **{"kind": "aligned_correlation", "degrees_2d": [0, 10], "degrees_3d": [0], "shrinking": [1.0, 0.9]},
        },
        "pixel_l2_ratio": {"kind": "pixel_l2_ratio"},
    },
    "audits": {
        name: {"training": name, "synthetic": {"model": "ldm"}, "detectors": DETECTORS}
        for name in ("chests", "hippocampi")
    },
}
POLICY = {
    "copies": 0.1,
    # Of forty patients: one who is named by chance is 2.5 %.
    "patients": 0.15,
    "sensitivity": 0.75,
    # Of forty control patients: three who are called are 7.5 %, and may be up to 20 %.
    "false_positives": 0.22,
    "membership": 0.6,
    # With thirty or forty training patients the intervals of attacks are wide.
    "membership_samples": 0.72,
    "disclosure": 0.35,
    "level": 0.95,
    "detectors": DETECTORS,
    "seed": 0,
}
TRANSFORMS = ["identity", "noise", "reoriented"]
ALL_SETS = (*SETS, "synthetic_to_held_out", "train_to_held_out")


class Audit:
    """Real images of one patient each, split into T, V, H and patients for a negative control."""

    def __init__(self, folder: Path, config: dict, name: str):
        self.folder, self.config = folder, config
        listing.list_scans(spec.listing_settings(config, name), folder / "all.tsv")
        imaging = spec.image_settings(config, name)
        gather_images(spec.listing_settings(config, name), imaging, folder / "all.tsv", folder / "all.npy")
        table = read_table(folder / "all.tsv").assign(row=lambda every: range(len(every))).drop_duplicates("patient")
        table = table.sample(frac=1, random_state=0)
        split = config["datasets"][name]["split"]
        sizes = {role: split[role] for role in ("train", "calibration", "control")}
        sizes["unseen"] = len(table) - sum(sizes.values())
        table["role"] = np.repeat(list(sizes), list(sizes.values()))
        images = read_array(folder / "all.npy")[table["row"]]
        self.of = {role: images[(table["role"] == role).to_numpy()] for role in sizes}
        write_array(images, folder / "images.npy")
        write_table(table[["scan", "patient"]], folder / "scans.tsv")
        write_table(table[["scan", "patient", "role"]], folder / "splits.tsv")

    def draw(self) -> np.ndarray:
        """Samples of a small latent diffusion model that trained for long."""
        files = {"images": self.folder / "images.npy", "splits": self.folder / "splits.tsv"}
        below, folder = self.folder / "autoencoder", self.folder / "ldm"
        for name in ("autoencoder", "ldm"):
            settings = spec.training_settings(self.config, name, "base")
            unfinished = Unfinished(self.folder / "work" / name)
            train_model(settings, 0, files, self.folder / name, unfinished)
            files["autoencoder"] = below
        sampling = spec.sampling_settings(self.config, "ldm", "base")
        batches = latent_diffusion.sample(load_model(folder, below), sampling["n_samples"], 0, sampling, 0)
        return np.concatenate([batch[:, 0].numpy() for batch in batches])

    def look(self, samples: dict[str, np.ndarray]) -> None:
        """What every detector says of all samples."""
        data = self.folder / "data"
        self.samples = samples
        ends = np.cumsum([0, *map(len, samples.values())])
        self.rows = dict(zip(samples, map(slice, ends, ends[1:]), strict=False))
        write_array(np.concatenate(list(samples.values())), self.folder / "synthetic.npy")
        files = {f"training_{name}": self.folder / f"{name}.tsv" for name in ("scans", "splits")}
        files |= {"training_images": self.folder / "images.npy", "synthetic": self.folder / "synthetic.npy"}
        pool_images({"listing": {}, "seed": 0}, files, data)
        planted = [self.folder / name for name in ("planted.npy", "sources.tsv", "transforms.tsv")]
        settings = {"copies": 40, "transforms": TRANSFORMS, "round_trip": None, "families": None, "seed": 0}
        plant_copies(settings, data / "images.npy", data / "splits.tsv", [], *planted)
        paths = {name: data / f"{name}.npy" for name in ("images", "synthetic", "decoded")}
        paths |= {"splits": data / "splits.tsv", "planted": planted[0]}
        self.nearest = {}
        for name in DETECTORS:
            settings, detector = spec.detector_settings(self.config, name), self.folder / name
            train_detector(settings, paths, detector, Unfinished(self.folder / "work" / name))
            paths["scans"] = detector / "scans.npy"
            unfinished = Unfinished(self.folder / "work" / f"{name}_embedding")
            embed_file(Embedder(detector), paths["images"], paths["scans"], unfinished)
            compare_audit(paths, detector, 10, EXACT, detector / "nearest.npz")
            self.nearest[name] = read_arrays(detector / "nearest.npz")

    def evidence(self, case: str, n_calibration: int | None = None) -> Evidence:
        """What the detectors say of one case's samples, by all calibration patients or by some."""
        data = self.folder / "data"
        splits, rows = read_table(data / "splits.tsv"), self.rows[case]
        held_back = splits.index[splits["role"] == "calibration"][n_calibration:] if n_calibration else []
        cut = {"synthetic": rows, "synthetic_to_held_out": rows, "calibration": slice(n_calibration)}
        nearest = {
            name: {
                f"{each}_{what}": arrays[f"{each}_{what}"][cut.get(each, slice(None))]
                for each in ALL_SETS
                for what in ("similarity", "index")
            }
            for name, arrays in self.nearest.items()
        }
        left = splits.drop(index=held_back)
        for arrays in nearest.values():  # whoever is held back is somebody else
            for name in ("synthetic", "train"):
                arrays[f"{name}_to_held_out_index"] = arrays[f"{name}_to_held_out_index"] % sum(left["role"] != "train")
        samples = read_table(data / "samples.tsv")[rows]
        sources = read_table(self.folder / "sources.tsv")
        write_array(self.samples[case], self.folder / "case.npy")
        measure_kind(data / "images.npy", data / "splits.tsv", self.folder / "case.npy", self.folder / "kind.npz")
        write_table(left, self.folder / "left.tsv")
        write_array(np.asarray(read_array(data / "images.npy"))[left.index], self.folder / "left.npy")
        measure_attacks(*(self.folder / name for name in ("left.npy", "left.tsv", "case.npy", "attacks.npz")))
        measured = (read_arrays(self.folder / f"{name}.npz") for name in ("kind", "attacks"))
        return evidence_of(nearest, left, samples, sources, TRANSFORMS, *measured)


def half(audit: Audit) -> np.ndarray:
    """Every second sample replays a patient, with a little noise so that no pixel is the same."""
    n = min(len(audit.of["unseen"]), len(audit.of["train"]))
    replayed = audit.of["train"][:n] + 0.01 * np.random.default_rng(1).normal(size=audit.of["train"][:n].shape)
    return np.concatenate([replayed.clip(0, 1).astype(np.float32), audit.of["unseen"][:n]])


def disguised(audit: Audit) -> dict[str, np.ndarray]:
    """Training patients as no audit may pass them, by what was done."""
    trained = audit.of["train"]
    dims, n = trained.ndim - 1, len(trained) // 2
    transposed = np.swapaxes(trained, 1, dims)
    generator = np.random.default_rng(0)
    side = trained.shape[1]
    found = {
        "inverted": 1 - trained,
        "transposed, inverted": np.concatenate([transposed[:n], 1 - trained[n:]]),
        "turned by a quarter": np.rot90(trained, 1, (1, dims)),
        "mirrored": np.flip(trained, (dims - 1, dims)),
        "zoomed": np.kron(
            trained[:, *[slice(side // 4, side - side // 4)] * dims], np.ones((1, *[2] * dims), np.float32)
        ),
        "shifted": np.roll(trained, side // 4, axis=1),
        "held-out": audit.of["calibration"][:40],
    }
    if dims == 3:
        found |= {
            "three mirrors": np.flip(trained, (1, 2, 3)),
            "interleaved": trained[:, np.r_[0:side:2, 1:side:2]],
            "shuffled": trained[:, generator.permutation(side)],
        }
    return {name: np.ascontiguousarray(images, dtype=np.float32) for name, images in found.items()}


# What the reasons say of them, in 2D and 3D.
SAID = {
    "inverted": ("inverted grey values",) * 2,
    "transposed, inverted": ("transposed", "axes 1 and 3 swapped"),
    "turned by a quarter": ("turned by a quarter", "axes 1 and 3 swapped"),
    "mirrored": ("turned by a half", "mirrored along axes 2 and 3"),
    "zoomed": ("not images of the same kind",) * 2,
    "shifted": ("not images of the same kind",) * 2,
    "held-out": ("held-out patients",) * 2,
    "three mirrors": ("mirrored along axes 1 and 2 and 3",) * 2,
    "interleaved": ("slices along axis 1 in another order",) * 2,
    "shuffled": ("slices along axis 1 in another order",) * 2,
}


@pytest.fixture(scope="module")
def config(real_images) -> dict:
    """The configuration, its folders those of the real images."""
    config = checks.check(CONFIG)
    for entry in config["datasets"].values():
        entry["root"] = str(real_images / entry["root"])
    return config


@pytest.fixture(scope="module")
def chests(config, tmp_path_factory) -> Audit:
    """NIH chest X-rays, and the samples of a diffusion model."""
    audit = Audit(tmp_path_factory.mktemp("chests"), config, "chests")
    of_nobody = {"unseen": audit.of["unseen"], "half": half(audit)}
    audit.look({"copycat": audit.of["train"], **of_nobody, "diffusion": audit.draw(), **disguised(audit)})
    return audit


@pytest.fixture(scope="module")
def hippocampi(config, tmp_path_factory) -> Audit:
    """Hippocampus MR, 3D."""
    audit = Audit(tmp_path_factory.mktemp("hippocampi"), config, "hippocampi")
    of_nobody = {"unseen": audit.of["unseen"], "half": half(audit)}
    audit.look({"copycat": audit.of["train"], **of_nobody, **disguised(audit)})
    return audit


@pytest.fixture(params=["chests", "hippocampi"], ids=["2d", "3d"])
def audit(request) -> Audit:
    return request.getfixturevalue(request.param)


def test_a_generator_that_replays_patients_fails(audit):
    evidence = audit.evidence("copycat")
    assert evidence.copies("synthetic").mean() >= 0.95
    assert judge(evidence, POLICY, None)["verdict"] == "FAIL"


def test_real_images_of_other_patients_pass(audit):
    verdict = judge(audit.evidence("unseen"), POLICY, None)
    assert verdict["verdict"] == "PASS", verdict["reasons"] + [line["explanation"] for line in verdict["lines"]]


@pytest.mark.parametrize("case", SAID)
def test_training_patients_in_disguise_never_pass_and_the_reason_says_how(audit, case):
    if case not in audit.samples:
        pytest.skip("volumes have slices, images don't")
    verdict = judge(audit.evidence(case), POLICY, None)
    assert verdict["verdict"] != "PASS"
    assert SAID[case][audit.samples[case].ndim - 3] in " ".join(verdict["reasons"]), verdict["reasons"]


def test_the_corrected_rate_of_half_a_copycat_covers_a_half(audit):
    rule = judge(audit.evidence("half"), POLICY, None)["detectors"][-1]
    assert rule["true_copies_low"] <= 0.5 <= rule["true_copies_high"]


def test_twenty_calibration_patients_are_not_able_to_say(audit):
    verdict = judge(audit.evidence("unseen", n_calibration=20), POLICY, None)
    assert verdict["verdict"] == "NOT ABLE TO SAY"
    assert "20 calibration patients" in verdict["reasons"][0]


def test_a_diffusion_model_that_memorized_fails_and_its_rest_is_judged_again(chests):
    evidence = chests.evidence("diffusion")
    verdict = judge(evidence, POLICY, None)
    assert verdict["verdict"] == "FAIL", verdict["reasons"]
    rest = verdict["quarantine"]
    withheld = withheld_samples(evidence, rest["percentile"], rest["detectors"])
    assert rest["withheld"] == withheld.sum()
    assert withheld[evidence.copies("synthetic")].all()
    assert rest["verdict"] != "PASS" or rest["residual_high"] <= POLICY["copies"]
