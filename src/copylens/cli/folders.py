"""From folders of images to a configuration: the reader, whose the images are, and the grid they are compared on."""

import glob
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from copylens.auditing.planning import needed
from copylens.cli.grids import grid_of, refuse_enlarging, shapes_of
from copylens.config import checks
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


def configuration(folders: dict[str, Path], name: str, options: Options) -> tuple[dict, list[str]]:
    """(configuration, notes for the user) of an audit of folders: training, synthetic, and held_out but with a table.

    Raises ValueError in a sentence that says what to do.
    """
    _refuse_nested(folders)
    entries = {
        part: entry_of(folder, None if part == "synthetic" else options.whose, options.pattern)
        for part, folder in folders.items()
    }
    n_shared = _make_names_unique(entries, folders) if options.whose.one_file_per_patient else 0
    audit: dict = {"training": "training", "synthetic": {"dataset": "synthetic"}, "detectors": list(DETECTORS)}
    audit |= {"held_out": "held_out"} if "held_out" in folders else {}
    audit |= {"policy": options.policy} if options.policy else {}
    config = {"datasets": entries, "detectors": {kind: {"kind": kind} for kind in DETECTORS}, "audits": {name: audit}}
    listed = {part: _scans(entry) for part, entry in entries.items()}
    scans = {part: scans_of for part, (_, _, scans_of) in listed.items()}
    _refuse_shared(scans)
    shapes = {part: shapes_of(*listed[part]) for part in entries}
    grid, reason = (tuple(options.grid), "as asked for") if options.grid else grid_of(shapes)
    for entry in entries.values():
        entry["grid"] = list(grid)
    refuse_enlarging(shapes, grid)
    notes = [f"{_option(part)}: {_summary(entries[part], scans[part])}" for part in entries]
    notes.append(f"grid: {'x'.join(map(str, grid))}, {reason}")
    if n_shared:
        notes.append(
            f"warning: {n_shared} files have one name in both real folders, and are taken for two patients each"
        )
    checked = checks.check(config)["audits"][name]
    return config, notes + _too_few(scans, checked)


def _option(part: str) -> str:
    return part.replace("_", "-")


def _make_names_unique(entries: dict[str, dict], folders: dict[str, Path]) -> int:
    """Files of one name in two folders are two patients: the folder's name becomes a part of theirs. How many."""
    real = [part for part in entries if part != "synthetic"]
    names = [set(glob.glob(entries[part]["pattern"], root_dir=folders[part], recursive=True)) for part in real]
    shared = set.intersection(*names) if len(names) > 1 else set()
    if shared:
        for part in real:
            folder = folders[part].resolve()
            pattern = f"{glob.escape(folder.name)}/{entries[part]['pattern']}"
            entries[part] |= {"root": str(folder.parent), "pattern": pattern}
    return len(shared)


def _refuse_shared(scans: dict[str, list[Scan]]) -> None:
    """Nobody may be in both sets of real images, and T needs two patients at least."""
    patients = {part: {scan.patient for scan in scans[part]} for part in scans if part != "synthetic"}
    if len(patients["training"]) < 2:
        raise ValueError(
            f"--training: has {len(patients['training'])} patient; two are needed at least, and many to pass"
        )
    shared = patients["training"] & patients.get("held_out", set())
    if shared:
        raise ValueError(
            f"--held-out: {len(shared)} of its {len(patients['held_out'])} patients are in --training, too; a "
            "threshold needs patients who weren't trained on. If they are other people, use --one-file-per-patient"
        )


def _too_few(scans: dict[str, list[Scan]], audit: dict) -> list[str]:
    """What can't PASS whatever the images show, before anything is computed."""
    least = needed(audit["policy"], 1.0, audit["planted"]["copies"])
    given = {part: len({scan.patient for scan in scans[part]}) for part in scans if part != "synthetic"}
    wanted = {"training": least.training_patients, "held_out": least.held_out_patients}
    notes = [
        f"warning: {given[part]} {_option(part)} patients can't PASS; {n or 'no number'} or more can (copylens plan)"
        for part, n in wanted.items()
        if part in given and (n is None or given[part] < n)
    ]
    if least.samples is None or len(scans["synthetic"]) < least.samples:
        n = least.samples or "no number"
        notes.append(f"warning: {len(scans['synthetic'])} synthetic images can't PASS; {n} or more can (copylens plan)")
    return notes


def _refuse_nested(folders: dict[str, Path]) -> None:
    resolved = {part: folder.resolve() for part, folder in folders.items()}
    for part, folder in resolved.items():
        for other, inner in resolved.items():
            if part != other and (inner == folder or folder in inner.parents):
                relation = "is the same folder as" if inner == folder else "lies inside of"
                raise ValueError(f"--{_option(other)} {relation} --{_option(part)}; give each its own")


def _scans(entry: dict) -> tuple[dict, Path, list[Scan]]:
    """The entry with its defaults, its folder and its scans."""
    filled = entry | {"grid": [32, 32]}  # any, since nothing is resampled here
    validate(filled, "the data set", ("properties", "datasets", "additionalProperties"))
    return filled, *find_scans(filled)


def _summary(entry: dict, scans: list[Scan]) -> str:
    """How many images of how many patients, and what they were read as."""
    patients = {scan.patient for scan in scans if scan.patient is not None}
    of_patients = f" of {len(patients):,} patients" if patients else ""
    return f"{len(scans):,} images{of_patients}, read by {entry['reader']}"
