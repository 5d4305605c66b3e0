"""Volumes in the body's own directions, from any storage order; their slices as 2D images."""

import nibabel
import numpy as np

from copylens.data.scan import Image


def canonical(image: nibabel.Nifti1Image) -> tuple[np.ndarray, tuple[float, ...]]:
    """Values [left to right, back to front, feet to head] or closest to it, and spacing in the image's own unit."""
    image = nibabel.as_closest_canonical(image)
    return np.asarray(image.dataobj, dtype=np.float32), tuple(map(float, image.header.get_zooms()[:3]))


def check_affine(affine: np.ndarray) -> None:
    """Raise ValueError if an affine [4, 4] gives no orientation of a volume in the body."""
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) == 0:
        raise ValueError("its affine holds NaN or infinity, or leaves out a direction; mend its sform or qform")


def check_axes(shape: tuple[int, ...]) -> None:
    """Raise ValueError unless it is a volume's shape; a fourth axis may have one value."""
    if len(shape) != 3 and not (len(shape) == 4 and shape[3] == 1):
        raise ValueError(f"has {len(shape)} axes {shape}; a volume with 3 is needed")
    if 0 in shape:
        raise ValueError(f"is empty, of shape {shape}")


def head_up(volume: np.ndarray, spacing: tuple[float, ...], slices: dict | None, part: int | None) -> Image:
    """A volume of `canonical` as [D, H, W] feet to head, front to back, left to right; or its slice `part` [H, W].

    A part of the body then lies the same way in every image. `slices` has the axis (0 left-right, 1 back-front,
    2 feet-head) and, from 0 to 1, the positions along it. Raises ValueError if it isn't a volume.
    """
    check_axes(volume.shape)
    volume = volume.reshape(volume.shape[:3])
    # np.array, since np.ascontiguousarray leaves an axis of one pixel with a negative stride, which torch refuses.
    if part is None:
        return Image(np.array(volume.transpose(2, 1, 0)[:, ::-1], order="C"), spacing[::-1])
    assert slices is not None  # a part is one of its positions
    axis = slices["axis"]
    plane = np.take(volume, index(slices, part, volume.shape[axis]), axis=axis)
    # The remaining axes point right or to the front, then to the front or the head: up is the second one.
    in_plane = spacing[:axis] + spacing[axis + 1 :]
    return Image(np.array(plane.T[::-1], order="C"), in_plane[::-1])


def stacked(volume: np.ndarray, spacing: tuple[float, ...], slices: dict | None, part: int | None) -> Image:
    """A volume [D, H, W] of unknown orientation, unchanged, or the slice [H, W] at slices['positions'][part] of it."""
    if part is None:
        return Image(np.ascontiguousarray(volume, dtype=np.float32), spacing)
    assert slices is not None  # a part is one of its positions
    return Image(np.ascontiguousarray(volume[index(slices, part, len(volume))], dtype=np.float32), spacing[1:])


def parts(slices: dict | None) -> list[int | None]:
    """The parts of each volume: one per slice position, or None, the whole."""
    return list(range(len(slices["positions"]))) if slices else [None]


def index(slices: dict, part: int, size: int) -> int:
    """Which of `size` slices a part is."""
    return round(slices["positions"][part] * (size - 1))
