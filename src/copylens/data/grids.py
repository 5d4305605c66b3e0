"""The grid that images are compared on: the real images' proportions, at the resolution of the detectors."""

from pathlib import Path

import numpy as np

from copylens.data.listing import load_scan, reader_of
from copylens.data.scan import Scan

LONGEST = {2: 64, 3: 32}  # pixels of the grid's longest side: detectors look at no more
SHORTEST = 8
SMALLEST = 4  # as in the configuration
LOOKED_AT = 25  # images of each folder, whose sizes are read
ENLARGED = 10  # times, at which an image is too small for the grid


def shapes_of(entry: dict, root: Path, scans: list[Scan]) -> list[tuple[int, ...]]:
    """Sizes in pixels of some of the images, spread over all of them."""
    positions = np.unique(np.linspace(0, len(scans) - 1, min(LOOKED_AT, len(scans))).round().astype(int))
    return [load_scan(reader_of(entry), root, scans[position], entry).pixels.shape for position in positions]


def grid_of(shapes: dict[str, list[tuple[int, ...]]]) -> tuple[tuple[int, ...], str]:
    """(grid, why): the real images' proportions, at the resolution that detectors look at, and never enlarged."""
    dims = {len(shape) for of_part in shapes.values() for shape in of_part}
    if len(dims) > 1:
        kinds = ", ".join(f"{part}: {len(of_part[0])}D" for part, of_part in shapes.items())
        raise ValueError(f"the folders hold 2D and 3D images ({kinds}); give images of one kind")
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


def refuse_unfit(shapes: dict[str, list[tuple[int, ...]]], grid: tuple[int, ...]) -> None:
    """Raise ValueError for a grid of no size, of other axes than the images', or that would enlarge some tenfold."""
    if min(grid) < SMALLEST:
        raise ValueError(f"--grid: {min(grid)} is too small; at least {SMALLEST} pixels along each axis")
    for part, of_part in shapes.items():
        smallest = min(of_part, key=max)
        if len(smallest) != len(grid):
            raise ValueError(
                f"--grid: has {len(grid)} sizes, but the images of --{part.replace('_', '-')} have {len(smallest)} axes"
            )
        if max(grid) > ENLARGED * max(smallest):
            size = "x".join(map(str, smallest))
            raise ValueError(
                f"--grid: would enlarge {part} images of {size} pixels more than {ENLARGED} times; take less"
            )
