"""Files are written whole: under a temporary name in the same folder, then renamed."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import yaml


@contextmanager
def whole(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its name when the body ends and is removed when the body fails."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def file_checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_table(table: pd.DataFrame, path: Path | str) -> None:
    """A table as .csv or .tsv, by the name's ending."""
    with whole(path) as temporary:
        table.to_csv(temporary, sep=_separator(path), index=False, lineterminator="\n")


def read_table(path: Path | str) -> pd.DataFrame:
    """A table written by `write_table`."""
    return pd.read_csv(path, sep=_separator(path))


def write_array(array: np.ndarray, path: Path | str) -> None:
    """A float32 .npy file."""
    with whole(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.ascontiguousarray(array, dtype=np.float32), allow_pickle=False)


def read_array(path: Path | str) -> np.ndarray:
    """A .npy file, memory-mapped; raises ValueError with its name for one that is cut short or no array."""
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
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def write_yaml(value: dict, path: Path | str) -> None:
    """A map as YAML, with sorted keys."""
    with whole(path) as temporary:
        temporary.write_text(yaml.safe_dump(value, sort_keys=True))


def read_yaml(path: Path | str) -> dict:
    """A YAML file."""
    return yaml.safe_load(Path(path).read_text())


def _separator(path: Path | str) -> str:
    return "\t" if Path(path).suffix == ".tsv" else ","
