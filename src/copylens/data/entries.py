"""A data set's entry in a configuration, from what lies in a folder: the reader, and whose the images are."""

import glob
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from copylens.config.schema import validate
from copylens.data.folders import BIDS_PATIENT
from copylens.data.listing import find_scans
from copylens.data.scan import Scan

READERS = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff"), "image_folder"),
    **dict.fromkeys((".nii", ".nii.gz"), "nifti_folder"),
    **dict.fromkeys((".dcm", ".ima"), "dicom_series"),
    ".npy": "npy_folder",
}
EACH_FILE = "(.+)"  # the patient, where each file is one
# The command's options, as arguments of the library's functions.
ARGUMENTS = {
    "--one-file-per-patient": 'patients="each"',
    "--patient": "patients =",
    "--table FILE": "patients = FILE",
    "--pattern": "the option --pattern of `copylens audit`",
}
WHOSE = (
    "--one-file-per-patient if each file is a patient of its own, --patient '(\\d+)_' if a part of each path is the "
    "patient's id, or --table FILE with the columns path and patient"
)


@dataclass(frozen=True)
class Whose:
    """What says whose image each file is; nothing for BIDS labels and DICOM headers."""

    patient: str | None = None  # an expression whose first group is the id
    table: str | None = None  # below each folder, with the columns path and patient
    one_file_per_patient: bool = False


def files_by_suffix(folder: Path) -> dict[str, list[str]]:
    """Paths below `folder` by their suffix in lower case; hidden files are left out.

    Raises ValueError where there is no such folder, or it may not be read.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: {'is a file; name its folder' if folder.exists() else 'no such folder'}")
    by_suffix: dict[str, list[str]] = defaultdict(list)
    try:
        next(folder.iterdir(), None)
    except PermissionError:
        raise ValueError(f"{folder}: may not be read by this account; ask its owner for the permission") from None
    for name in files_below(folder):
        path = folder / name
        suffix = ".nii.gz" if name.lower().endswith(".nii.gz") else path.suffix.lower()
        by_suffix[".dcm" if not suffix and _is_dicom(path) else suffix].append(name)
    return dict(by_suffix)


def files_below(folder: Path) -> list[str]:
    """Paths of all files below a folder, but for hidden ones."""
    return sorted(name for name in glob.glob("**/*", root_dir=folder, recursive=True) if (folder / name).is_file())


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def entry_of(folder: Path, whose: Whose | None, pattern: str | None = None) -> dict:
    """The configuration's entry of a data set, without its grid. whose: None for synthetic images.

    Raises ValueError where the folder holds no images, images of several kinds, or nothing says whose they are.
    """
    images = {suffix: paths for suffix, paths in files_by_suffix(folder).items() if suffix in READERS}
    if pattern is not None:
        matching = set(glob.glob(pattern, root_dir=folder, recursive=True))
        images = {suffix: [path for path in paths if path in matching] for suffix, paths in images.items()}
        images = {suffix: paths for suffix, paths in images.items() if paths}
    if not images:
        raise ValueError(f"{folder}: holds no images; PNG, JPEG, TIFF, NIfTI, DICOM and .npy can be read")
    readers = {READERS[suffix] for suffix in images}
    written = sorted({_written_suffix(path) for paths in images.values() for path in paths})
    if len(readers) > 1 or (len(written) > 1 and readers != {"nifti_folder"} and pattern is None):
        counts = ", ".join(f"{len(paths)} {suffix}" for suffix, paths in sorted(images.items()))
        raise ValueError(
            f"{folder}: holds files of several kinds ({counts}); name one with --pattern '**/*{written[0]}'"
        )
    (reader,), paths = readers, [path for some in images.values() for path in some]
    usual = "**/*.nii*" if reader == "nifti_folder" else f"**/*{written[0]}"
    entry = {"reader": reader, "root": str(folder.resolve()), "pattern": pattern or usual}
    if reader == "nifti_folder" and pattern is None:
        _refuse_several_suffixes(folder, paths)
    return entry | (_patients(folder, reader, paths, whose) if whose else {})


def _written_suffix(path: str) -> str:
    return path[-7:] if path.lower().endswith(".nii.gz") else Path(path).suffix


def _refuse_several_suffixes(folder: Path, paths: list[str]) -> None:
    """BIDS folders hold several images of each patient, of which one kind is meant."""
    suffixes = Counter(
        Path(path).name.split(".")[0].rsplit("_", 1)[-1] for path in paths if re.search(BIDS_PATIENT, path)
    )
    derived = sum("derivatives" in Path(path).parts for path in paths)
    if len(suffixes) > 1 or 0 < derived < len(paths):
        counts = ", ".join(f"{n} _{suffix}" for suffix, n in suffixes.most_common(4))
        more = f", {derived} of them in derivatives/" if derived else ""
        first = suffixes.most_common(1)[0][0]
        raise ValueError(
            f"{folder}: holds several images of each patient ({counts}{more}); name one kind with "
            f"--pattern 'sub-*/**/*_{first}.nii*'"
        )


def _patients(folder: Path, reader: str, paths: list[str], whose: Whose) -> dict:
    if whose.table is not None:
        if not (folder / whose.table).is_file():
            raise ValueError(f"--table: no file {whose.table} in {folder}; the table lies in the folder it is about")
        return {"table": whose.table}
    if whose.patient is not None:
        try:
            groups = re.compile(whose.patient).groups
        except re.error as error:
            raise ValueError(f"--patient: '{whose.patient}' is no regular expression ({error})") from None
        if not groups:
            raise ValueError(f"--patient: needs a group, (...), that holds the patient's id; got '{whose.patient}'")
        return {"patient": whose.patient}
    if whose.one_file_per_patient:
        return {"patient": EACH_FILE}
    if reader == "dicom_series" or all(re.search(BIDS_PATIENT, path) for path in paths):
        return {} if reader in ("dicom_series", "nifti_folder") else {"patient": BIDS_PATIENT}
    raise ValueError(f"{folder}: nothing says whose its images are; add {WHOSE}")


def scans_of(entry: dict) -> tuple[dict, Path, list[Scan]]:
    """The entry with its defaults, its folder and its scans."""
    filled = entry | {"grid": [32, 32]}  # any, since nothing is resampled here
    validate(filled, "the data set", ("properties", "datasets", "additionalProperties"))
    return filled, *find_scans(filled)


def as_arguments(message: str) -> str:
    """A message about the command's options, as one about arguments of the library's functions."""
    for option, argument in ARGUMENTS.items():
        message = message.replace(option, argument)
    return re.sub(r"--(training|held-out|synthetic|grid|table)", lambda option: option[1].replace("-", "_"), message)
