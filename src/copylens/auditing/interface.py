"""`copylens.audit`: an audit from a notebook or a program, of arrays, tensors or folders, and its `Verdict`."""

import html
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copylens.auditing.folders import AUDIT, REAL, Options, configuration
from copylens.auditing.in_process import audit_in_process
from copylens.auditing.outcomes import may_be_released
from copylens.config import checks
from copylens.data.entries import Whose, as_arguments
from copylens.jobs.checksums import unfinished
from copylens.jobs.files import read_table, reserve, write_table
from copylens.reporting.audit_report.paragraphs import release_words, sentence_of
from copylens.reporting.audit_report.sheets import TONES

EACH = "each"  # every image shows a patient of its own
PARTS = (*REAL, "synthetic")
TABLE = "patients.csv"


@dataclass(frozen=True, repr=False)
class Verdict:
    """The verdict of an audit, its tables and its reports.

    The columns sample and withheld of `samples` may leave the place where the patients' images are kept; all others,
    and `patients`, tell who was trained on.

    Attributes:
        verdict: PASS, FAIL or NOT ABLE TO SAY.
        reasons: why, in sentences.
        samples: a row per synthetic image: each detector's similarity, call and nearest patient; copy, withheld.
        patients: a row per real patient: patient (a pseudonym), id, role, repeated_by (samples), files.
        details: the content of verdict.json: every rate with its interval.
        folder: where public/ and restricted/ lie.
    """

    verdict: str
    reasons: list[str]
    samples: pd.DataFrame
    patients: pd.DataFrame
    details: dict
    folder: Path
    _kept: Any = None  # a temporary folder lasts as long as its verdict

    def report(self, path: str | Path, restricted: bool = False) -> Path:
        """Write the report.

        Args:
            path: a name that ends in .html or .pdf.
            restricted: whether to write the edition that shows patients.

        Returns:
            The path.

        Raises:
            ValueError: for a name with another ending.
        """
        path = Path(path)
        if path.suffix not in (".html", ".pdf"):
            raise ValueError(f"{path}: a report ends in .html or .pdf")
        path.parent.mkdir(parents=True, exist_ok=True)
        edition, temporary = "restricted" if restricted else "public", unfinished(path)
        try:
            shutil.copyfile(self.folder / edition / f"report{path.suffix}", temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        return path

    def __str__(self) -> str:
        return "\n  ".join([self.verdict, *self.reasons])

    def __repr__(self) -> str:
        return f"<copylens.Verdict: {self.verdict}, {len(self.samples)} samples, {len(self.patients)} patients>"

    def _repr_html_(self) -> str:
        """The verdict in its colour; neither patients nor images."""
        tone, tint = TONES[self.verdict.lower() if self.verdict in ("PASS", "FAIL") else "unable"]
        reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in self.reasons)
        released = html.escape(release_words(self.samples, may_be_released(self.details)))
        return (
            f'<div style="border-left: 4px solid {tone}; background: {tint}; color: #222; padding: 0.6em 1em">'
            f'<b style="color: {tone}; font-size: 1.4em">{html.escape(self.verdict)}</b><br>'
            f"{html.escape(sentence_of(self.details))}<ul>{reasons}</ul>What may be released: {released}</div>"
        )


def audit(
    training,
    held_out,
    synthetic,
    *,
    patients: str | dict[str, Sequence] | None = None,
    grid: Sequence[int] | None = None,
    policy: dict | None = None,
    output: str | Path | None = None,
) -> Verdict:
    """Whether synthetic images can be released: PASS, FAIL or NOT ABLE TO SAY.

    Three sets of images are given as three folders (PNG, JPEG, TIFF, NIfTI, DICOM, .npy), or as three arrays or
    tensors [n, H, W] or [n, D, H, W]. Each image is scaled from its own least and largest value to [0, 1]. The same
    files give the same verdict as the command `copylens audit`, which uses several cores and can be interrupted.

    Args:
        training: images that the generator was trained on.
        held_out: real images of other patients.
        synthetic: the generator's images.
        patients: whose each real image is. "each" for a patient of its own. For arrays, ids by set: {"training": [...],
            "held_out": [...]}. For folders, a regular expression whose group is the id in a path, or the name of a
            table (.csv, .tsv) in both real folders with the columns path and patient; None for BIDS labels and DICOM
            headers.
        grid: pixels along each axis that images are compared at; None for the images' own proportions, at most 64 (3D:
            32).
        policy: what is allowed, by key (docs/auditing.md); None for the defaults.
        output: an empty or new folder for all files; None for a temporary one, which lasts as long as the verdict.

    Returns:
        The verdict, with its reasons, tables and reports.

    Raises:
        ValueError: for images of several sizes of axes, patients in two sets, folders that hold something else, and
            other mistakes, with what would be right.

    Examples:
        >>> import copylens, numpy as np
        >>> images = np.random.default_rng(0).normal(size=(70, 16, 16)).cumsum(1).cumsum(2)
        >>> verdict = copylens.audit(images[:30], images[30:], images[:10], patients="each")
        >>> print(verdict.verdict, verdict.samples["copy"].sum())
        FAIL 10
    """
    kept = None if output is not None else tempfile.TemporaryDirectory(prefix="copylens-")
    place = Path(kept.name if kept else str(output)).expanduser()
    if place.is_dir() and any(place.iterdir()):
        raise ValueError(f"output: {place} holds other files; name a new folder")
    given = dict(zip(PARTS, (training, held_out, synthetic), strict=True))
    with _nothing_half_written(place):
        folders, whose = _folders(given, patients, place / "images")
        config, _ = configuration(folders, AUDIT, Options(whose, None, list(grid) if grid else None, policy))
        folder = audit_in_process(checks.check(config), AUDIT, place)
    details = json.loads((folder / "public" / "verdict.json").read_text(encoding="utf-8"))
    samples, people = (read_table(folder / "restricted" / f"{name}.tsv") for name in ("samples", "patients"))
    return Verdict(details["verdict"], details["reasons"], samples, people, details, folder, kept)


@contextmanager
def _nothing_half_written(place: Path) -> Iterator[None]:
    """The body fills `place`; where it fails, all of it goes. Messages about options become ones about arguments."""
    try:
        yield
    except BaseException as error:
        shutil.rmtree(place, ignore_errors=True)
        if isinstance(error, ValueError):
            raise ValueError(as_arguments(str(error))) from None
        raise


def _folders(given: dict, patients: str | dict | None, place: Path) -> tuple[dict[str, Path], Whose]:
    """The folders of the three sets, and whose their files are. Arrays are written below `place`."""
    are_folders = [isinstance(images, str | Path) for images in given.values()]
    if all(are_folders):
        return {part: Path(images).expanduser() for part, images in given.items()}, _whose(patients)
    if any(are_folders):
        raise ValueError("training, held_out, synthetic: give three folders, or three arrays")
    return _written(_arrays(given), patients, place), Whose(table=TABLE)


def _whose(patients: str | dict | None) -> Whose:
    """Whose the files of folders are."""
    if isinstance(patients, dict):
        raise ValueError("patients: ids by set are for arrays; for folders give a table with the columns path, patient")
    if patients is not None and patients.endswith((".csv", ".tsv")):
        return Whose(table=patients)
    return Whose(None if patients == EACH else patients, None, patients == EACH)


def _arrays(given: dict) -> dict[str, np.ndarray]:
    """The images as float32 arrays."""
    arrays = {part: np.asarray(images, dtype=np.float32) for part, images in given.items()}
    for part, array in arrays.items():
        if array.ndim not in (3, 4) or not len(array):
            raise ValueError(f"{part}: has shape {list(array.shape)}; images [n, H, W] or [n, D, H, W] are needed")
        if not np.isfinite(array).all():
            raise ValueError(f"{part}: holds values that are not finite (NaN or infinite)")
    return arrays


def _written(arrays: dict[str, np.ndarray], patients: str | dict | None, folder: Path) -> dict[str, Path]:
    """Folders with a file of each image, and tables of whose the real ones are."""
    ids = _ids(arrays, patients)
    folder.mkdir(mode=0o700, parents=True)  # patients' images
    for part, array in arrays.items():
        (folder / part).mkdir()
        paths = [f"{number:06d}.npy" for number in range(len(array))]
        for path, image in zip(paths, array, strict=True):
            reserve(folder / part / path, image.shape)[...] = image
        if part in ids:
            write_table(pd.DataFrame({"path": paths, "patient": ids[part]}), folder / part / TABLE)
    return {part: folder / part for part in arrays}


def _ids(arrays: dict[str, np.ndarray], patients: str | dict | None) -> dict[str, list[str]]:
    """Each real image's patient, as text."""
    if patients == EACH:
        return {part: [f"{part} {number}" for number in range(len(arrays[part]))] for part in REAL}
    if not isinstance(patients, dict) or set(patients) != set(REAL):
        raise ValueError(
            'patients: nothing says whose the arrays\' images are; give "each" if each is a patient of its own, or ids '
            'as {"training": [...], "held_out": [...]}'
        )
    for part, ids in patients.items():
        if len(ids) != len(arrays[part]):
            raise ValueError(f"patients: has {len(ids)} ids for {len(arrays[part])} {part} images; one each is needed")
    return {part: [str(name) for name in ids] for part, ids in patients.items()}
