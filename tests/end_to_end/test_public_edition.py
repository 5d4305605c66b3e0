"""What somebody learns who has the samples, the public edition of their audit, and a patient's image.

The samples copy nobody: they are NIH chest X-rays of yet other patients, at 32 x 32. The attacker knows the detectors
and asks of each candidate whether it was trained on; half of the candidates are training patients. Areas under the
curve are means over several audits, because one of 80 against 80 has a standard error of 0.05.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pypdf
import pytest
from sklearn.metrics import roc_auc_score

from copylens.auditing.attacks import measure_attacks
from copylens.auditing.kind import measure_kind
from copylens.auditing.nearest import compare_audit
from copylens.auditing.pool import pool_images
from copylens.auditing.publish import judge_audit
from copylens.auditing.report import report_audit
from copylens.auditing.sums import FILES, write_sums
from copylens.config.schema import validate
from copylens.detection.detectors import aligned_correlation
from copylens.detection.embed import Embedder, embed_file, load_detector
from copylens.detection.search import EXACT
from copylens.detection.train import train_detector
from copylens.evaluation.planted import plant_copies
from copylens.jobs.files import read_array, read_table, write_array, write_table
from copylens.jobs.workdir import Unfinished
from copylens.training.tensors import as_batch

SIDE = 32
N = {"train": 80, "calibration": 50, "control": 50, "others": 80}  # patients; the samples are of those that are left
N_SAMPLES, AUDITS = 300, 4
DETECTORS = ("aligned_correlation", "pixel_correlation", "pixel_l2_ratio")
POLICY = {
    **{"copies": 0.05, "patients": 0.05, "sensitivity": 0.75, "false_positives": 0.15, "membership": 0.6},
    **{"rule": "agreement", "membership_samples": 0.64, "disclosure": 0.2},
    **{"level": 0.95, "transforms": ["identity", "noise"], "detectors": list(DETECTORS), "seed": 0},
}


@pytest.fixture(scope="module")
def xrays(real_images) -> dict[str, list[np.ndarray]]:
    """The images of each patient, float32 [32, 32]."""
    patients = {}
    for path in sorted((real_images / "nih_chestxray").rglob("*.png")):
        image = PIL.Image.open(path).convert("L").resize((SIDE, SIDE), PIL.Image.Resampling.BOX)
        patients.setdefault(f"patient {path.stem.split('_')[0]}", []).append(np.asarray(image, np.float32) / 255)
    return patients


@pytest.fixture(scope="module")
def audits(xrays, tmp_path_factory) -> list[dict]:
    """Audits of other patients each: their folders, the candidates' images, and who of these was trained on."""
    found = []
    for number in range(AUDITS):
        folder = tmp_path_factory.mktemp(f"audit_{number}")
        shuffled = np.random.default_rng(number).permutation(sorted(xrays))
        *sets, rest = np.split(shuffled, np.cumsum(list(N.values())))
        images = {name: np.stack([xrays[patient][0] for patient in of]) for name, of in zip(N, sets, strict=True)}
        samples = np.stack([image for patient in rest for image in xrays[patient]])[:N_SAMPLES]
        assert len(samples) == N_SAMPLES
        real = [name for name in N if name != "others"]
        scans = pd.DataFrame(
            {"patient": np.concatenate(sets[:3]), "split": np.repeat(real, [N[name] for name in real])}
        )
        write_table(scans.assign(scan=scans["patient"], row=np.arange(len(scans))), folder / "scans.tsv")
        write_array(np.concatenate([images[name] for name in real]), folder / "real.npy")
        write_array(samples, folder / "made.npy")
        # What the reports hold is the same of each: one is enough.
        audit(folder, reported=number == 0)
        candidates = np.concatenate([images["train"], images["others"]])
        is_member = np.arange(len(candidates)) < N["train"]
        found.append({"folder": folder, "is_member": is_member, "similarity": recomputed(folder, candidates)})
    return found


def audit(folder: Path, reported: bool) -> None:
    """The stages of an audit, in one folder; the public edition lies in its folder public."""
    files = {"training_images": folder / "real.npy", "training_scans": folder / "scans.tsv"}
    pool_images({"listing": {}, "seed": 0}, files | {"synthetic": folder / "made.npy"}, folder)
    images, splits, synthetic = folder / "images.npy", folder / "splits.tsv", folder / "synthetic.npy"
    planted = [folder / name for name in ("planted.npy", "sources.tsv", "transforms.tsv")]
    settings = {"copies": 50, "seed": 0, "transforms": POLICY["transforms"], "round_trip": None, "families": None}
    plant_copies(settings, images, splits, [], *planted)
    measure_kind(images, splits, synthetic, folder / "kind.npz")
    measure_attacks(images, splits, synthetic, folder / "attacks.npz")
    names = {"images": images, "splits": splits, "synthetic": synthetic, "decoded": folder / "decoded.npy"}
    files = {name: folder / f"{name}.tsv" for name in ("splits", "samples", "sources", "transforms")}
    files |= {"images": images, "synthetic": synthetic, "kind": folder / "kind.npz", "nearest": {}}
    files["attacks"] = folder / "attacks.npz"
    for kind in DETECTORS:
        settings = {"kind": kind}
        validate(settings, "a detector", ("properties", "detectors", "additionalProperties"))
        k, detector = settings.pop("neighbours"), folder / kind
        train_detector(settings, {"images": images, "splits": splits}, detector, Unfinished(folder / "work" / kind))
        embed_file(Embedder(detector), images, detector / "scans.npy", Unfinished(folder / "embedding" / kind))
        files["nearest"][kind] = folder / f"{kind}.npz"
        given = names | {"planted": planted[0], "scans": detector / "scans.npy"}
        compare_audit(given, detector, k, EXACT, files["nearest"][kind])
    (folder / "public").mkdir()
    (folder / "restricted").mkdir()
    files |= {"verdict": folder / "public" / "verdict.json", "public_samples": folder / "public" / "samples.csv"}
    files["restricted_samples"] = folder / "restricted" / "samples.tsv"
    files["records"] = {}
    outputs = {"verdict": files["verdict"], "public": files["public_samples"]}
    outputs |= {"restricted": files["restricted_samples"], "files": folder / "restricted" / "files.json"}
    judge_audit("release", files, POLICY, {"policy": POLICY}, None, outputs)
    if reported:
        files["rest"] = folder / "restricted" / "rest"
        (files["rest"] / FILES).mkdir(parents=True)
        write_sums(files["rest"] / FILES)
        report_audit(files, folder / "public", folder / "restricted")


def recomputed(folder: Path, candidates: np.ndarray) -> np.ndarray:
    """The attacker's own similarities of the samples to the candidates, [sample, candidate]."""
    module = load_detector(folder / "aligned_correlation")
    embedded = Embedder(folder / "aligned_correlation")(candidates)
    return aligned_correlation.compare(module, as_batch(read_array(folder / "made.npy")), embedded)


def explained(similarity: np.ndarray, shown: np.ndarray, digits: int) -> np.ndarray:
    """Of each candidate, how many of the shown similarities of samples it explains, less those that it contradicts.

    A training patient's similarity to a sample is never above what is shown of the sample, and sometimes it is that.
    """
    rounding = 0.51 * 10.0**-digits
    above = similarity - shown[:, None] > rounding
    return (np.abs(similarity - shown[:, None]) <= rounding).sum(axis=0) - above.sum(axis=0)


def numbers_of(public: Path) -> np.ndarray:
    """Every number that stands in the public files, as somebody reads them or as their source has them."""
    texts = [path.read_text() for path in public.iterdir() if path.suffix != ".pdf"]
    texts += [page.extract_text() for path in public.glob("*.pdf") for page in pypdf.PdfReader(path).pages]
    return np.unique([float(number) for text in texts for number in re.findall(r"\d+\.\d{2,}", text)])


def area(audits: list[dict], guess: Callable) -> float:
    """Of guesses, (similarity, tau, share called, withheld, numbers) -> [candidate], large for who was trained on."""
    areas = []
    for each in audits:
        public = each["folder"] / "public"
        row = json.loads((public / "verdict.json").read_text())["detectors"][0]
        assert row["detector"] == "aligned_correlation"
        withheld = read_table(public / "samples.csv")["withheld"].to_numpy(bool)
        given = each["similarity"], row["tau"], row["called"], withheld, numbers_of(public)
        areas.append(roc_auc_score(each["is_member"], guess(*given)))
    print(f"{np.mean(areas):.3f}", np.round(areas, 3))
    return float(np.mean(areas))


def test_the_attack_works_where_similarities_are_published(audits):
    for each in audits:
        table = read_table(each["folder"] / "restricted" / "samples.tsv")
        shown = table["similarity_aligned_correlation"].to_numpy().round(4)
        assert roc_auc_score(each["is_member"], explained(each["similarity"], shown, 4)) > 0.8


# What is in the public files, against the samples that are released.
GUESSES = {
    "numbers that are written": lambda similarity, tau, called, withheld, numbers: np.isin(
        np.round(similarity[~withheld], 3), np.round(numbers, 3)
    ).sum(axis=0),
    "as shown numbers": lambda similarity, tau, called, withheld, numbers: explained(
        similarity[~withheld], numbers[np.abs(similarity[~withheld].max(axis=1)[:, None] - numbers).argmin(axis=1)], 3
    ),
    "unlike all released samples": lambda similarity, tau, called, withheld, numbers: (
        -similarity[~withheld].max(axis=0)
    ),
    "like a released sample": lambda similarity, tau, called, withheld, numbers: similarity[~withheld].max(axis=0),
    "no released sample above the threshold": lambda similarity, tau, called, withheld, numbers: (
        -((similarity[~withheld] > tau).sum(axis=0))
    ),
    "no more above the threshold than were counted": lambda similarity, tau, called, withheld, numbers: (
        -np.maximum((similarity > tau).sum(axis=0) - called * len(withheld), 0)
    ),
}


@pytest.mark.parametrize("guess", GUESSES.values(), ids=GUESSES)
def test_the_public_edition_does_not_tell_who_was_trained_on(guess, audits):
    assert area(audits, guess) <= 0.55


def test_who_has_what_was_withheld_learns_little_from_the_list(audits):
    """Which samples are withheld says which are near to somebody who was trained on."""

    def guess(similarity, tau, called, withheld, numbers):
        above = similarity > tau
        return above[withheld].sum(axis=0) - above[~withheld].sum(axis=0)

    assert area(audits, guess) <= 0.65
