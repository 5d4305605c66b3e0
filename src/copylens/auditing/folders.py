"""From folders of images to an audit's configuration, or a sentence about what isn't right."""

import glob
from dataclasses import dataclass, field
from pathlib import Path

from copylens.auditing.planning import needed
from copylens.config import checks
from copylens.data.entries import Whose, entry_of, scans_of
from copylens.data.grids import grid_of, refuse_unfit, shapes_of
from copylens.data.scan import Scan
from copylens.jobs.job import one_line

AUDIT = "release"  # the name of an audit of three sets of images
REAL = ("training", "held_out")
DETECTORS = ("copylens", "aligned_correlation", "pixel_l2_ratio")


@dataclass(frozen=True)
class Options:
    """What a user may say of an audit's folders beside their names."""

    whose: Whose = field(default_factory=Whose)
    pattern: str | None = None
    grid: list[int] | None = None
    policy: dict | None = None


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
    listed = {part: scans_of(entry) for part, entry in entries.items()}
    scans = {part: scans for part, (_, _, scans) in listed.items()}
    _refuse_shared(scans)
    shapes = {part: shapes_of(*listed[part]) for part in entries}
    grid, reason = (tuple(options.grid), "as asked for") if options.grid else grid_of(shapes)
    for entry in entries.values():
        entry["grid"] = list(grid)
    refuse_unfit(shapes, grid)
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
        # File names go to the terminal alone: this is said before there is a log.
        files = [next(one_line(s.source) for s in scans[part] if s.patient in shared) for part in REAL]
        raise ValueError(
            f"--held-out: {len(shared)} of its {len(patients['held_out'])} patients are in --training, too "
            f"(such as {files[1]}, {files[0]} in --training); a threshold needs patients who weren't trained on. If "
            "they are other people, use --one-file-per-patient"
        )


def _too_few(scans: dict[str, list[Scan]], audit: dict) -> list[str]:
    """What can't PASS whatever the images show, before anything is computed."""
    least = needed(audit["policy"], 1.0, audit["planted"]["copies"])
    given = {part: len({scan.patient for scan in scans[part]}) for part in scans if part != "synthetic"}
    wanted = {"training": least.training_patients, "held_out": least.held_out_patients}
    few = [
        f"{given[part]} {_option(part)} patients ({n or 'no number'} would be enough)"
        for part, n in wanted.items()
        if part in given and (n is None or given[part] < n)
    ]
    if least.samples is None or len(scans["synthetic"]) < least.samples:
        few.append(f"{len(scans['synthetic'])} synthetic images ({least.samples or 'no number'} would be enough)")
    return [f"warning: can't PASS with {', nor with '.join(few)}; see copylens plan"] if few else []


def _refuse_nested(folders: dict[str, Path]) -> None:
    resolved = {part: folder.resolve() for part, folder in folders.items()}
    for part, folder in resolved.items():
        for other, inner in resolved.items():
            if part != other and (inner == folder or folder in inner.parents):
                relation = "is the same folder as" if inner == folder else "lies inside of"
                raise ValueError(f"--{_option(other)} {relation} --{_option(part)}; give each its own")


def _summary(entry: dict, scans: list[Scan]) -> str:
    """How many images of how many patients, and what they were read as."""
    patients = {scan.patient for scan in scans if scan.patient is not None}
    of_patients = f" of {len(patients):,} patients" if patients else ""
    return f"{len(scans):,} images{of_patients}, read by {entry['reader']}"
