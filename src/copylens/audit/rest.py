"""The samples that are left when copies are withheld: a list of both, and a folder to release."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap

from copylens.files import read_array, read_table, write_table
from copylens.scans import find_scans, listed_scans, reader_of

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run a cell for that begins so


def gather_rest(
    samples_path: Path, synthetic_path: Path, listing: dict | None, scans_path: Path | None, how: str, folder: Path
) -> None:
    """Write into `folder` the samples that aren't withheld, and list.tsv: sample, file, withheld.

    Files keep their names below files/: links to them, or copies, as `how` says. Where samples aren't files of their
    own (of a network, or several in one file) images.npy has them as they were compared, float32 [sample, *grid].
    listing, scans_path: how the data set of samples is listed, and its scans.tsv; None for a network's. Cells that a
    spreadsheet would run get a leading apostrophe.

    Raises ValueError where the data set isn't what was audited.
    """
    samples = read_table(samples_path)
    names = sample_names(listing, scans_path, len(samples))
    kept = np.flatnonzero(~samples["withheld"].to_numpy(bool))
    root, files = _files(listing) if listing else (None, None)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if files is None:
        synthetic = read_array(synthetic_path)
        images = open_memmap(
            folder / "images.npy", mode="w+", dtype=np.float32, shape=(len(kept), *synthetic.shape[1:])
        )
        images[:] = synthetic[kept]
        images.flush()
    else:
        for file in (file for number in kept for file in files[number]):
            target = folder / "files" / file
            target.parent.mkdir(parents=True, exist_ok=True)
            if how == "links":
                os.symlink((root / file).resolve(), target)
            else:
                shutil.copyfile(root / file, target)
    listed = pd.DataFrame({"sample": samples["sample"], "file": [harmless(name) for name in names]})
    write_table(listed.assign(withheld=samples["withheld"]), folder / "list.tsv")


def sample_names(listing: dict | None, scans_path: Path | None, n: int) -> list[str]:
    """What each of `n` samples is called where it comes from: its file, with the number of its part, or its number."""
    if listing is None:
        return [f"sample {number}" for number in range(1, n + 1)]
    scans = listed_scans(listing, scans_path)[1]
    return [scan.source if scan.part is None else f"{scan.source} [{scan.part}]" for scan in scans]


def harmless(cell: str) -> str:
    """A cell of a table that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _files(listing: dict) -> tuple[Path, list[list[str]] | None]:
    """The data set's folder, and each sample's own files below it; None where several samples share one."""
    root, scans = find_scans(listing)
    files_of = getattr(reader_of(listing), "files", lambda root, scan, settings: [scan.source])
    files = [files_of(root, scan, listing) for scan in scans]
    used = [(root / file).resolve() for of_sample in files for file in of_sample]
    alone = len(set(used)) == len(used) and all(scan.part is None for scan in scans)
    return root, files if alone else None
