"""Files are written whole, under a temporary name beside them, then renamed; checksums are compared on reading."""

import errno
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from numpy.lib.format import open_memmap

from copylens.jobs.checksums import checked, whole

CANT_RESERVE = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)  # of a file system without posix_fallocate


def write_table(table: pd.DataFrame, path: Path | str) -> None:
    """A table as .csv or .tsv, by the name's ending. A file's name needn't be UTF-8: its bytes are written."""
    with whole(path) as temporary:
        table.to_csv(temporary, sep=_separator(path), index=False, lineterminator="\n", errors="surrogateescape")


def read_table(path: Path | str) -> pd.DataFrame:
    """A table written by `write_table`."""
    return pd.read_csv(checked(path), sep=_separator(path), encoding_errors="surrogateescape")


def read_given(path: Path | str) -> pd.DataFrame:
    """A table as .csv or .tsv that people fill in."""
    return pd.read_csv(path, sep=_separator(path))


def write_array(array: np.ndarray, path: Path | str) -> None:
    """A float32 .npy file."""
    with new_array(path, array.shape) as new:
        new[...] = array


@contextmanager
def new_array(path: Path | str, shape: tuple[int, ...]) -> Iterator[np.memmap]:
    """The float32 .npy file `path` to be filled in the body, memory-mapped; see `reserve`."""
    with whole(path) as temporary:
        array = reserve(temporary, shape, path)
        yield array
        array.flush()


def reserve(path: Path, shape: tuple[int, ...], name: Path | str | None = None) -> np.memmap:
    """A float32 .npy file of zeros at `path`, memory-mapped, with its space on the disk allocated.

    Otherwise a full disk would end the process by a signal when a page is written. Raises OSError, which calls the file
    `name`.
    """
    try:
        array = open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        with Path(path).open("r+b") as file:
            _reserve(file)
    except OSError as error:
        Path(path).unlink(missing_ok=True)
        size, why = 4 * math.prod(shape) / 2**20, error.strerror or error
        raise OSError(f"{name or path}: needs {size:,.1f} MiB of disk space ({why}); make room") from error
    return array


def _reserve(file) -> None:
    size = os.fstat(file.fileno()).st_size
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in CANT_RESERVE:
            raise
        file.seek(0)
        while left := size - file.tell():
            block = file.read(min(left, 2**20))
            file.seek(-len(block), os.SEEK_CUR)
            file.write(block)


def read_array(path: Path | str) -> np.ndarray:
    """A .npy file, memory-mapped; raises ValueError with its name for one that is cut short or no array."""
    checked(path)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: not a whole .npy file, perhaps cut short ({error}); make it again") from error


def write_arrays(arrays: dict[str, np.ndarray], path: Path | str) -> None:
    """Several named arrays as one .npz file, always with the same bytes."""
    with whole(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """All arrays of a .npz file."""
    with np.load(checked(path), allow_pickle=False) as arrays:
        return dict(arrays)


def write_yaml(value: dict, path: Path | str) -> None:
    """A map as YAML, with sorted keys."""
    with whole(path) as temporary:
        temporary.write_text(yaml.safe_dump(value, sort_keys=True), encoding="utf-8")


def read_yaml(path: Path | str) -> dict:
    """A YAML file."""
    return yaml.safe_load(checked(path).read_text(encoding="utf-8"))


def _separator(path: Path | str) -> str:
    return "\t" if Path(path).suffix == ".tsv" else ","
