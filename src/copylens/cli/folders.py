"""From folders of images to a configuration: the reader, whose the images are, and the grid they are compared on."""

import glob
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from copylens.config import checks
from copylens.config.schema import validate
from copylens.data.folders import BIDS_PATIENT
from copylens.data.listing import find_scans, load_scan, reader_of
from copylens.data.scan import Scan

READERS = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff"), "image_folder"),
    **dict.fromkeys((".nii", ".nii.gz"), "nifti_folder"),
    **dict.fromkeys((".dcm", ".ima"), "dicom_series"),
    ".npy": "npy_folder",
}
EACH_FILE = "(.+)"  # the patient, where each file is one
LONGEST = {2: 64, 3: 32}  # pixels of the grid's longest side: detectors look at no more
SHORTEST = 8
LOOKED_AT = 25  # images of each folder, whose sizes are read
ENLARGED = 10  # times, at which an image is too small for the grid
DETECTORS = ("copylens", "aligned_correlation", "pixel_l2_ratio")
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


@dataclass(frozen=True)
class Options:
    """What a user may say of an audit's folders beside their names."""

    whose: Whose = Whose()
    pattern: str | None = None
    grid: list[int] | None = None
    policy: dict | None = None


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
    for name in sorted(glob.glob("**/*", root_dir=folder, recursive=True)):
        path = folder / name
        if path.is_file():
            suffix = ".nii.gz" if name.lower().endswith(".nii.gz") else path.suffix.lower()
            by_suffix[".dcm" if not suffix and _is_dicom(path) else suffix].append(name)
    return dict(by_suffix)


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
    entry: dict = {"reader": reader, "root": str(folder.resolve())}
    if pattern is not None or reader in ("image_folder", "dicom_series"):
        entry["pattern"] = pattern or f"**/*{written[0]}"
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
        return {"patient": whose.patient}
    if whose.one_file_per_patient:
        return {"patient": EACH_FILE}
    if reader == "dicom_series" or all(re.search(BIDS_PATIENT, path) for path in paths):
        return {} if reader in ("dicom_series", "nifti_folder") else {"patient": BIDS_PATIENT}
    raise ValueError(f"{folder}: nothing says whose its images are; add {WHOSE}")


def configuration(folders: dict[str, Path], name: str, options: Options) -> tuple[dict, list[str]]:
    """(configuration, notes for the user) of an audit of folders: training, synthetic, and held_out but with a table.

    Raises ValueError in a sentence that says what to do.
    """
    _refuse_nested(folders)
    entries = {
        part: entry_of(folder, None if part == "synthetic" else options.whose, options.pattern)
        for part, folder in folders.items()
    }
    audit = {"training": "training", "synthetic": {"dataset": "synthetic"}, "detectors": list(DETECTORS)}
    audit |= {"held_out": "held_out"} if "held_out" in folders else {}
    audit |= {"policy": options.policy} if options.policy else {}
    config = {"datasets": entries, "detectors": {kind: {"kind": kind} for kind in DETECTORS}, "audits": {name: audit}}
    scans = {part: _scans(entry) for part, entry in entries.items()}
    shapes = {part: _shapes(*scans[part]) for part in entries}
    grid, reason = (options.grid, "as asked for") if options.grid else grid_of(shapes)
    for entry in entries.values():
        entry["grid"] = list(grid)
    _refuse_enlarging(shapes, grid)
    notes = [f"{part.replace('_', '-')}: {_summary(entries[part], scans[part][2])}" for part in entries]
    notes.append(f"grid: {'x'.join(map(str, grid))}, {reason}")
    checks.check(config)
    return config, notes


def _refuse_nested(folders: dict[str, Path]) -> None:
    resolved = {part: folder.resolve() for part, folder in folders.items()}
    for part, folder in resolved.items():
        for other, inner in resolved.items():
            if part != other and (inner == folder or folder in inner.parents):
                what = "is the same folder as" if inner == folder else "lies inside of"
                raise ValueError(f"--{other.replace('_', '-')} {what} --{part.replace('_', '-')}; give each its own")


def _scans(entry: dict) -> tuple[dict, Path, list[Scan]]:
    """The entry with its defaults, its folder and its scans."""
    filled = entry | {"grid": [32, 32]}  # any, since nothing is resampled here
    validate(filled, "the data set", ("properties", "datasets", "additionalProperties"))
    return filled, *find_scans(filled)


def _shapes(entry: dict, root: Path, scans: list[Scan]) -> list[tuple[int, ...]]:
    """Sizes in pixels of some of the images, spread over all of them."""
    positions = np.unique(np.linspace(0, len(scans) - 1, min(LOOKED_AT, len(scans))).round().astype(int))
    return [load_scan(reader_of(entry), root, scans[position], entry).pixels.shape for position in positions]


def grid_of(shapes: dict[str, list[tuple[int, ...]]]) -> tuple[tuple[int, ...], str]:
    """(grid, why): the real images' proportions, at the resolution that detectors look at, and never enlarged."""
    dims = {len(shape) for shapes_of in shapes.values() for shape in shapes_of}
    if len(dims) > 1:
        kinds = ", ".join(f"{part}: {len(of_part[0])}D" for part, of_part in shapes.items())
        raise ValueError(
            f"the folders hold 2D and 3D images ({kinds}); compare images with volumes' slices, or volumes"
        )
    real = np.array([shape for part, of_part in shapes.items() if part != "synthetic" for shape in of_part])
    size = np.median(real, axis=0)
    share = min(1.0, LONGEST[len(size)] / size.max())
    grid = tuple(max(SHORTEST, 2 * round(length * share / 2)) for length in size)
    sizes = sorted({shape for of_part in shapes.values() for shape in of_part})
    whole = " and ".join("x".join(map(str, shape)) for shape in (sizes if len(sizes) < 3 else (sizes[0], sizes[-1])))
    if len(sizes) > 2:
        whole = f"{len(sizes)} sizes from {whole.replace(' and ', ' to ')}"
    if share == 1:
        return grid, f"their own size (images are {whole})"
    return grid, f"because detectors look at {LONGEST[len(size)]} pixels a side at most (images are {whole})"


def _refuse_enlarging(shapes: dict[str, list[tuple[int, ...]]], grid: tuple[int, ...]) -> None:
    for part, of_part in shapes.items():
        smallest = min(of_part, key=max)
        if len(smallest) != len(grid):
            raise ValueError(f"--grid: has {len(grid)} sizes, but the images of --{part} have {len(smallest)} axes")
        if max(grid) > ENLARGED * max(smallest):
            size = "x".join(map(str, smallest))
            raise ValueError(
                f"--grid: would enlarge {part} images of {size} pixels more than {ENLARGED} times; take less"
            )


def _summary(entry: dict, scans: list[Scan]) -> str:
    """How many images of how many patients, and what they were read as."""
    patients = {scan.patient for scan in scans if scan.patient is not None}
    of_patients = f" of {len(patients):,} patients" if patients else ""
    return f"{len(scans):,} images{of_patients}, read by {entry['reader']}"
