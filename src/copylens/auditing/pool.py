"""The arrays of an audit: training images T, calibration images V, control images H, and synthetic images S."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from copylens.auditing.evidence import NOBODY
from copylens.auditing.findings import HELD_OUT
from copylens.auditing.repeats import groups_of_repeats
from copylens.data.listing import listed_scans
from copylens.data.scan import UNKNOWN
from copylens.data.splits import ROLES
from copylens.jobs.files import new_array, read_array, read_table, write_array, write_table
from copylens.jobs.seeds import generator_of

ABOUT = "about_"  # prefix of the columns of scans.tsv that describe a patient


def pool_images(sources: dict, files: dict[str, Path], folder: Path) -> None:
    """Write the arrays of an audit, and tables of their rows, into `folder`.

    images.npy, float32 [T then V then H, *grid]; splits.tsv: scan, patient, role and about_<column>, rows as there;
    synthetic.npy, float32 [S, *grid]; samples.tsv: sample (from 1), identical_to (the patient with the same image pixel
    by pixel, of T before V and H, or `NOBODY`), group (one number for all samples that repeat one image); decoded.npy,
    float32 [V then H, *grid], those images through the network's decoder, or no rows.

    sources: listing (each data set's settings, by its part in the audit) and seed. files: training_images,
    training_scans; training_splits and training_rows where there are any; held_out_images and held_out_scans; synthetic
    (images [S, *grid], or [state, S, *grid] of which the last is taken) and decoded.

    Raises ValueError for unknown patients, a patient with two roles, an image of T that is in V or H too, and fewer
    than two patients in T.
    """
    training = _training(files)
    if "synthetic_scans" in files:
        _refuse_colours(read_table(files["training_scans"]), read_table(files["synthetic_scans"]))
    if "held_out_scans" in files:
        held_out = _held_out(read_table(files["held_out_scans"]), sources["seed"])
        _refuse_shared_patients(sources["listing"], training, held_out, files)
        held_out[["scan", "patient"]] = "held_out_" + held_out[["scan", "patient"]]
    else:
        held_out = training
    parts = [training[training["role"] == "train"].assign(array="training_images")]
    array = "held_out_images" if "held_out_scans" in files else "training_images"
    parts += [held_out[held_out["role"] == role].assign(array=array) for role in HELD_OUT]
    for role, part in zip(ROLES, parts, strict=True):
        if not len(part):
            raise ValueError(f"the audit has no {role} images; see the key split, or the column split of the table")
    rows = pd.concat(parts, ignore_index=True)
    _refuse_two_roles(rows)
    arrays = {name: read_array(files[name]) for name in rows["array"].unique()}
    grid = arrays["training_images"].shape[1:]
    with new_array(folder / "images.npy", (len(rows), *grid)) as images:
        for number, (name, row) in enumerate(zip(rows["array"], rows["row"], strict=True)):
            images[number] = arrays[name][row]
        seen = _fingerprints(images)
    _refuse_shared_images(rows, seen)
    synthetic = read_array(files["synthetic"])
    synthetic = synthetic[-1] if synthetic.ndim == len(grid) + 2 else synthetic
    if synthetic.shape[1:] != grid:
        raise ValueError(
            f"the synthetic images are {synthetic.shape[1:]}, the training images {grid}; give both one grid"
        )
    # In reverse, so that of equal images the first one counts.
    known = dict(zip(reversed(seen), reversed(rows["patient"].tolist()), strict=True))
    identical_to = [known.get(fingerprint, NOBODY) for fingerprint in _fingerprints(synthetic)]
    about = [column for column in rows if column.startswith(ABOUT)]
    write_table(rows[["scan", "patient", "role", *about]], folder / "splits.tsv")
    write_array(synthetic, folder / "synthetic.npy")
    samples = {"sample": np.arange(1, len(synthetic) + 1), "identical_to": identical_to}
    real = read_array(folder / "images.npy")
    samples["group"] = 1 + groups_of_repeats(synthetic, real, rows["patient"].to_numpy())
    write_table(pd.DataFrame(samples), folder / "samples.tsv")
    # Decoded images are V and H of the training set's own split, not of a separate held-out set.
    decoded = read_array(files["decoded"]) if "decoded" in files and held_out is training else np.empty((0, *grid))
    write_array(decoded, folder / "decoded.npy")


def _training(files: dict[str, Path]) -> pd.DataFrame:
    """The training set's scans with row and role. Without a split, in a file or in the table, all are for training."""
    scans = _known(read_table(files["training_scans"]), "training")
    if "training_splits" in files:
        scans["role"] = read_table(files["training_splits"])["role"]
    else:
        scans["role"] = scans.get("split", "train")
    if "training_rows" in files:
        # A network may have been trained on some of them only.
        seen = scans["row"].isin(read_table(files["training_rows"])["row"])
        scans.loc[(scans["role"] == "train") & ~seen, "role"] = "unused"
    return scans


def _held_out(scans: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The held-out scans with row and role: by their table, or half of the patients for each."""
    scans = _known(scans, "held_out")
    if "split" in scans:
        return scans.assign(role=scans["split"])
    patients = generator_of("held-out split", seed).permutation(np.sort(scans["patient"].unique()))
    calibration = set(patients[: (len(patients) + 1) // 2])
    return scans.assign(role=["calibration" if patient in calibration else "control" for patient in scans["patient"]])


def _known(scans: pd.DataFrame, part: str) -> pd.DataFrame:
    unknown = int(scans["patient"].str.startswith(UNKNOWN).sum())
    if unknown:
        raise ValueError(
            f"{part}: {unknown} of its {len(scans)} images have no known patient; give its data set the key patient "
            "('(.+)' if each file is a patient of its own), or a table"
        )
    return scans.assign(row=np.arange(len(scans)))


def _refuse_colours(training: pd.DataFrame, synthetic: pd.DataFrame) -> None:
    """Raise ValueError if only one set is in colour: the grey values of both wouldn't be comparable."""
    of_training, of_synthetic = (
        float(scans["colourful"].fillna(False).mean()) if "colourful" in scans else 0.0
        for scans in (training, synthetic)
    )
    if (of_training > 0.5) != (of_synthetic > 0.5):
        raise ValueError(
            f"{of_synthetic:.0%} of the synthetic images and {of_training:.0%} of the training images are in colour; "
            "save both alike"
        )


def _refuse_two_roles(rows: pd.DataFrame) -> None:
    """Raise ValueError for a patient with two roles, which only the column split of a table can give."""
    roles = rows.groupby("patient")["role"].agg(lambda roles: " and ".join(sorted(set(roles))))
    shared = roles[roles.str.contains(" and ")]
    if len(shared):
        raise ValueError(
            f"patients with two roles: {len(shared)}, such as {shared.index[0]} ({shared.iloc[0]}); "
            "give all images of a patient the same split in the table"
        )
    n_trained = int((roles == "train").sum())
    if n_trained < 2:
        raise ValueError(
            f"the audit has {n_trained} training patient; an image is a copy if it's nearer to one patient than to "
            "others, so it needs two at least, and many more to pass"
        )


def _refuse_shared_patients(listing: dict, training: pd.DataFrame, held_out: pd.DataFrame, files: dict) -> None:
    """Raise ValueError for a held-out patient who is in T, by ids of the sources: pseudonyms differ by data set."""
    ids = {
        part: [scan.patient for scan in listed_scans(listing[part], files[f"{part}_scans"])[1]]
        for part in ("training", "held_out")
    }
    used = training["role"] == "train"
    trained = dict(zip(np.array(ids["training"])[used], training["patient"][used], strict=True))
    shared = [
        f"{trained[patient]} ({part_of} {name})"
        for patient, name, part_of in zip(ids["held_out"], held_out["patient"], held_out["role"], strict=True)
        if patient in trained and part_of in HELD_OUT
    ]
    if shared:
        raise ValueError(
            f"held_out: {len(set(shared))} of its patients were trained on, such as {shared[0]}; "
            "a threshold needs patients who weren't. If they are other people with the same id, give them different "
            "ids by the key patient, or by a table"
        )


def _refuse_shared_images(rows: pd.DataFrame, seen: list[bytes]) -> None:
    """Raise ValueError for an image of T that is in V or H too: it shows one patient under two names."""
    trained = {}
    for patient, role, fingerprint in zip(rows["patient"], rows["role"], seen, strict=True):
        if role == "train":
            trained[fingerprint] = patient
        elif fingerprint in trained:
            raise ValueError(
                f"{patient} ({role}) has an image that is pixel by pixel one of {trained[fingerprint]} (train); "
                "leave one of them out"
            )


def _fingerprints(images: np.ndarray) -> list[bytes]:
    return [hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).digest() for image in images]
