"""Scans resampled to one grid and one intensity scale, as one array."""

from pathlib import Path

import numpy as np

from copylens.files import new_array, read_table
from copylens.readers import Image
from copylens.scans import find_scans, load_scan, reader_of


def gather_images(listing: dict, imaging: dict, table_path: Path, array_path: Path) -> None:
    """Write images.npy: float32 [scan, *grid] in [0, 1], rows as in scans.tsv.

    Raises ValueError for a scan of the wrong dimension and for a source that changed since it was listed.
    """
    reader = reader_of(listing)
    root, scans = find_scans(listing)
    table = read_table(table_path)
    if len(scans) != len(table):
        raise ValueError(f"{table_path}: lists {len(table)} scans, but {len(scans)} are there now; run again")
    grid = tuple(imaging["grid"])
    resample = _resampler(grid, imaging["fit"])
    with new_array(array_path, (len(scans), *grid)) as images:
        for row, (scan, expected) in enumerate(zip(scans, table["checksum"], strict=True)):
            if reader.checksum(root, scan, listing) != expected:
                raise ValueError(f"{scan.source}: changed since {table_path} was written; run again")
            image = load_scan(reader, root, scan, listing)
            if image.pixels.ndim != len(grid):
                raise ValueError(
                    f"{scan.source}: has {image.pixels.ndim} axes {image.pixels.shape}, "
                    f"but the grid {list(grid)} has {len(grid)}; one data set holds either 2D or 3D images"
                )
            images[row] = scale(resample(image), imaging["scaling"])
            if images[row].min() == images[row].max():
                raise ValueError(f"{scan.source}: nothing is left of it after scaling; the key scaling must suit it")


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
    """Image -> [*grid] by MONAI. `pad` and `crop` keep the body's proportions, `stretch` doesn't.

    The grid's cells are cubes to them: what was 1 x 1 x 4 mm a pixel is four times as long in the third axis.
    """
    import torch

    from copylens.lean_monai import transforms

    resize = transforms.Resize(grid, mode="trilinear" if len(grid) == 3 else "bilinear", anti_aliasing=True)

    def resample(image: Image) -> np.ndarray:
        channel_first = torch.from_numpy(np.ascontiguousarray(image.pixels))[None]
        # How much of the body a grid cell would hold along each axis, if the image just filled the grid.
        axes = list(zip(image.pixels.shape, image.spacing, grid, strict=True))
        cells = [size * spacing / target for size, spacing, target in axes]
        if fit == "pad":
            shape = [max(size, round(max(cells) * target / spacing)) for size, spacing, target in axes]
            channel_first = transforms.SpatialPad(shape, value=float(image.pixels.min()))(channel_first)
        elif fit == "crop":
            shape = [min(size, max(1, round(min(cells) * target / spacing))) for size, spacing, target in axes]
            channel_first = transforms.CenterSpatialCrop(shape)(channel_first)
        return np.asarray(resize(channel_first)[0], dtype=np.float32)

    return resample
