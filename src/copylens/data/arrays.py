"""Arrays of numbers in untrusted .npy and .npz files."""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from copylens.data.limits import check_bytes, check_pixels, reading

UNREADABLE = "can't be read as a {}; it is damaged, cut short or something else"


def array_checksum(array: np.ndarray) -> str:
    """SHA-256 of an array's type, shape and bytes."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def read_numbers(root: Path, path: str, axes: tuple[int, ...], limits: dict) -> np.memmap:
    """The array of a .npy file, memory-mapped: its shape; `values_of` reads its values.

    Raises ValueError naming the file if it is damaged or pickled, or holds no numbers along one of these counts of
    `axes`.
    """
    with reading(path, limits, UNREADABLE.format(".npy file")):
        with refuse_pickles(path):
            array = np.load(root / path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.memmap):
            raise ValueError(f"{path}: holds several arrays, like a .npz file; a .npy file with one is needed")
        check_numbers(array, path, axes)
        return array


@contextmanager
def refuse_pickles(path: str) -> Iterator[None]:
    """Raise ValueError naming the file where NumPy refuses its pickled objects."""
    try:
        yield
    except ValueError as error:
        if "pickle" not in str(error) and "Python objects" not in str(error):
            raise
        raise ValueError(
            f"{path}: holds pickled objects, which could run any code and are never loaded; save it as an array of "
            "numbers"
        ) from error


def check_numbers(array: np.ndarray, name: str, axes: tuple[int, ...]) -> None:
    """Raise ValueError unless `array` holds numbers, at least one, along one of these counts of `axes`."""
    if array.dtype.kind not in "buif":
        raise ValueError(f"{name}: holds {array.dtype}; whole or decimal numbers are needed")
    if array.ndim not in axes:
        raise ValueError(f"{name}: has {array.ndim} axes {array.shape}; {' or '.join(map(str, axes))} are needed")
    if not array.size:
        raise ValueError(f"{name}: is empty, of shape {array.shape}")


def values_of(array: np.memmap, name: str, part: int | None, limits: dict) -> np.ndarray:
    """The values of `read_numbers`, or a part along the first axis, read from the file `name`.

    In a memory map they would end the process by a signal if the file was cut off since. Raises ValueError for that.
    """
    with reading(name, limits, UNREADABLE.format(".npy file")):
        view = array if part is None else array[part]
        if not array.flags.c_contiguous and part is not None:
            return np.array(view)  # strewn over the whole file
        start = array.offset + (part or 0) * view.nbytes
        values = np.fromfile(str(array.filename), array.dtype, view.size, offset=start)
        return values.reshape(view.shape, order="C" if array.flags.c_contiguous else "F")


def check_image(name: str, shape: tuple[int, ...], itemsize: int, limits: dict) -> None:
    """Raise ValueError if an image of that shape is larger than the limits."""
    check_pixels(name, shape, limits)
    check_bytes(name, math.prod(shape) * itemsize, limits)
