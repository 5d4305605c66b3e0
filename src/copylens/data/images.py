"""Scans resampled to one grid and one intensity scale, as one array."""

import math
from pathlib import Path

import numpy as np

from copylens.data.limits import check_padded
from copylens.data.listing import find_scans, load_scan, reader_of
from copylens.data.scan import Image
from copylens.jobs.files import new_array, read_table
from copylens.jobs.parallel import in_order

# Pixels of a long axis that are weighted at a time.
BLOCK = 2**16
# The most products that MONAI may sum in smoothing one axis of an image; it takes 8 bytes of memory for each, and time.
MOST_PRODUCTS = 2**21


def gather_images(listing: dict, imaging: dict, table_path: Path, array_path: Path, n_processes: int = 1) -> None:
    """Write images.npy: float32 [scan, *grid] in [0, 1], rows as in scans.tsv; files are read by `n_processes` at once.

    Raises ValueError for a scan of the wrong dimension, for one that would be too large in the grid's proportions, and
    for a source that changed since it was listed.
    """
    reader = reader_of(listing)
    root, scans = find_scans(listing)
    table = read_table(table_path)
    if len(scans) != len(table):
        raise ValueError(f"{table_path}: lists {len(table)} scans, but {len(scans)} are there now; run again")
    grid = tuple(imaging["grid"])
    resample = _resampler(grid, imaging["fit"])
    checksums = table["checksum"].tolist()

    def gathered(row: int) -> np.ndarray:
        scan = scans[row]
        if reader.checksum(root, scan, listing) != checksums[row]:
            raise ValueError(f"{scan.source}: changed since {table_path} was written; run again")
        image = load_scan(reader, root, scan, listing)
        if reader.checksum(root, scan, listing) != checksums[row]:
            raise ValueError(f"{scan.source}: changed while it was read; run again once nothing writes there")
        if image.pixels.ndim != len(grid):
            raise ValueError(
                f"{scan.source}: has {image.pixels.ndim} axes {image.pixels.shape}, "
                f"but the grid {list(grid)} has {len(grid)}; one data set holds either 2D or 3D images"
            )
        if imaging["fit"] == "pad":
            check_padded(scan.source, padded_shape(image, grid), image.spacing, listing["limits"])
        found = scale(resample(image), imaging["scaling"])
        if found.min() == found.max():
            raise ValueError(f"{scan.source}: nothing is left of it after scaling; the key scaling must suit it")
        return found

    with new_array(array_path, (len(scans), *grid)) as images:

        def fill(row: int) -> None:
            images[row] = gathered(row)

        for _ in in_order(fill, len(scans), n_processes):
            pass


def scale(image: np.ndarray, scaling: dict) -> np.ndarray:
    """Intensities to [0, 1]: by the image's own range (minmax), its own percentiles, or a fixed window (HU for CT)."""
    if scaling["kind"] == "minmax":
        low, high = image.min(), image.max()
    elif scaling["kind"] == "percentile":
        low, high = np.percentile(image, [scaling["low"], scaling["high"]])
    else:
        low, high = scaling["low"], scaling["high"]
    return np.clip((image - low) / max(high - low, np.finfo(np.float32).tiny), 0, 1).astype(np.float32)


def padded_shape(image: Image, grid: tuple[int, ...]) -> list[int]:
    """The image's shape once it has the grid's proportions in millimetres; no axis longer than 2^62 pixels."""
    cell = max(_cells(image, grid))
    axes = zip(image.pixels.shape, image.spacing, grid, strict=True)
    wanted = [(size, cell * target / spacing) for size, spacing, target in axes]
    return [max(size, round(length)) if length < 2**62 else 2**62 for size, length in wanted]


def _cells(image: Image, grid: tuple[int, ...]) -> list[float]:
    """How much of the body a grid cell would hold along each axis, if the image just filled the grid."""
    axes = zip(image.pixels.shape, image.spacing, grid, strict=True)
    return [size * spacing / target for size, spacing, target in axes]


def _resampler(grid: tuple[int, ...], fit: str):
    """Image -> [*grid]. `pad` and `crop` keep the body's proportions, `stretch` doesn't.

    Both treat the grid's cells as cubes: a pixel of 1 x 1 x 4 mm becomes four times as long in the third axis.
    """
    import torch

    from copylens.jobs.lean_monai import transforms

    resize = transforms.Resize(grid, mode="trilinear" if len(grid) == 3 else "bilinear", anti_aliasing=True)

    def resample(image: Image) -> np.ndarray:
        channel_first = torch.from_numpy(np.ascontiguousarray(image.pixels))[None]
        if fit == "crop":
            cell = min(_cells(image, grid))
            axes = zip(image.pixels.shape, image.spacing, grid, strict=True)
            shape = [min(size, max(1, round(min(size, cell * target / spacing)))) for size, spacing, target in axes]
            channel_first = transforms.CenterSpatialCrop(shape)(channel_first)
        shape = padded_shape(image, grid) if fit == "pad" else list(channel_first.shape[1:])
        value = float(image.pixels.min())
        reach = max(4 * size / target for size, target in zip(shape, grid, strict=True))
        if reach * math.prod(shape) > MOST_PRODUCTS:
            return _resize_large(channel_first[0], shape, value, grid)
        if fit == "pad":
            channel_first = transforms.SpatialPad(shape, value=value)(channel_first)
        return np.asarray(resize(channel_first)[0], dtype=np.float32)

    return resample


def _resize_large(image, padded: list[int], value: float, grid: tuple[int, ...]) -> np.ndarray:
    """The result of MONAI's SpatialPad with a `value` and Resize on a tensor, up to rounding.

    MONAI itself takes 72 s and 19 GiB for a volume of 120 x 512 x 512 and a grid of 64; skimage's resize differs at the
    borders. Both steps are sums along one axis after another, so neither the padded nor the smoothed image is needed.
    """
    import torch

    sums = [torch.ones((), dtype=torch.float64)] * 2  # of the weights of all pixels, and of the image's own
    for length, size, target in zip(padded, image.shape, grid, strict=True):
        edges = torch.tensor([0, (length - size) // 2, (length - size) // 2 + size, length], dtype=torch.float64)
        left, own, right = _weights(edges, length, target).T
        sums = [total[..., None] * weights for total, weights in zip(sums, (left + own + right, own), strict=True)]
    # The axis that shrinks most comes first, and leaves little to do for the others.
    for axis in sorted(range(len(grid)), key=lambda axis: grid[axis] / image.shape[axis]):
        before, size, after = image.shape[:axis], image.shape[axis], image.shape[axis + 1 :]
        stacked = image.reshape(before.numel(), size, after.numel())
        image = torch.zeros(before.numel(), grid[axis], after.numel())
        edges = torch.arange(size + 1, dtype=torch.float64) + (padded[axis] - size) // 2
        for first in range(0, size, BLOCK):
            weights = _weights(edges[first : first + BLOCK + 1], padded[axis], grid[axis])
            image += weights.float() @ stacked[:, first : first + BLOCK]
        image = image.reshape(*before, grid[axis], *after)
    return np.asarray(image + value * (sums[0] - sums[1]), dtype=np.float32)


def _weights(edges, length: int, target: int):
    """Weights [target, n] of the n intervals between edges, along an axis of `length` pixels, in each pixel of a grid.

    A Gaussian up to 4 sigma, ends in zeros, then linear interpolation between the pixels' centres; sigma as in
    skimage.transform.resize.
    """
    import torch

    sigma = max(0.0, (length / target - 1) / 2)
    reach = int(max(4 * sigma, 0.5) + 0.5) + 0.5
    centres = ((torch.arange(target, dtype=torch.float64) + 0.5) * length / target - 0.5).clamp(0, length - 1)
    lower = centres.floor()
    weights: torch.Tensor | int = 0
    for pixels, share in ((lower, 1 - centres + lower), ((lower + 1).clamp(max=length - 1), centres - lower)):
        distances = (edges - 0.5 - pixels[:, None]).clamp(-reach, reach)
        # Edges lie half a pixel from centres, so this is never 0 / 0.
        weights = weights + share[:, None] * torch.erf(distances / (sigma * 2**0.5)).diff(dim=1) / 2
    return weights
