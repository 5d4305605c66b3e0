"""Scans resampled to one grid and one intensity scale, as one array."""

from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from copylens.files import read_table, whole
from copylens.scans import find_scans, load_scan, reader_of


def gather_images(listing: dict, imaging: dict, table_path: Path, array_path: Path) -> None:
    """Write images.npy: float32 [scan, *grid] in [0, 1], rows as in scans.tsv.

    Raises ValueError for a scan of the wrong dimension and for a source that changed since it was listed.
    """
    reader = reader_of(listing)
    root, scans = find_scans(listing)
    table = read_table(table_path)
    if len(scans) != len(table):
        raise ValueError(f"{table_path}: lists {len(table)} scans, but {len(scans)} are there now; list them again")
    grid = tuple(imaging["grid"])
    resample = _resampler(grid, imaging["fit"])
    with whole(array_path) as temporary:
        images = open_memmap(temporary, mode="w+", dtype=np.float32, shape=(len(scans), *grid))
        for row, (scan, expected) in enumerate(zip(scans, table["checksum"], strict=True)):
            if reader.checksum(root, scan, listing) != expected:
                raise ValueError(f"{scan.source}: changed since {table_path} was written; list the scans again")
            image = load_scan(reader, root, scan, listing)
            if image.ndim != len(grid):
                raise ValueError(
                    f"{scan.source}: has {image.ndim} axes {image.shape}, but the grid {list(grid)} has {len(grid)}; "
                    "one data set holds either 2D or 3D images"
                )
            images[row] = scale(resample(image), imaging["scaling"])
        images.flush()
        del images


def scale(image: np.ndarray, scaling: dict) -> np.ndarray:
    """Intensities to [0, 1]: by the image's own range (minmax), its own percentiles, or a fixed window (HU for CT)."""
    if scaling["kind"] == "minmax":
        low, high = image.min(), image.max()
    elif scaling["kind"] == "percentile":
        low, high = np.percentile(image, [scaling["low"], scaling["high"]])
    else:
        low, high = scaling["low"], scaling["high"]
    return np.clip((image - low) / max(high - low, np.finfo(np.float32).tiny), 0, 1).astype(np.float32)


def _resampler(grid: tuple[int, ...], fit: str):
    """[*any shape] -> [*grid] by MONAI. `pad` and `crop` keep the proportions, `stretch` doesn't."""
    import torch
    from monai.transforms import CenterSpatialCrop, Resize, SpatialPad

    resize = Resize(grid, mode="trilinear" if len(grid) == 3 else "bilinear", anti_aliasing=True)

    def resample(image: np.ndarray) -> np.ndarray:
        channel_first = torch.from_numpy(np.ascontiguousarray(image))[None]
        ratios = [size / target for size, target in zip(image.shape, grid, strict=True)]
        if fit == "pad":
            shape = [round(max(ratios) * target) for target in grid]
            channel_first = SpatialPad(shape, value=float(image.min()))(channel_first)
        elif fit == "crop":
            shape = [max(1, round(min(ratios) * target)) for target in grid]
            channel_first = CenterSpatialCrop(shape)(channel_first)
        return np.asarray(resize(channel_first)[0], dtype=np.float32)

    return resample
