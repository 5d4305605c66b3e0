"""PNG, JPEG and TIFF images below one folder: 8 or 16 bit, grey or colour."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import PIL.Image
from PIL.ImageFile import ImageFile

from copylens.data.folders import list_files, patients_of
from copylens.data.limits import check_bytes, check_pixels, reading
from copylens.data.scan import Image, Scan
from copylens.jobs.checksums import file_checksum

SETTINGS = """
required: [root]
properties:
  root: {type: string}
  pattern: {type: string, default: "**/*.*"}
  patient: {$ref: "#/$defs/patient", default: null}
"""

FORMATS = ("PNG", "JPEG", "TIFF")
COLOURFUL = 2  # mean difference of red, green and blue, of 255, above which an image is in colour
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R 601)


def list_scans(root: Path, settings: dict) -> list[Scan]:
    """One scan per file that matches `settings['pattern']`; the patient by `settings['patient']`."""
    paths = list_files(root, settings, settings["pattern"])
    return [Scan(*pair) for pair in zip(paths, patients_of(paths, settings), strict=True)]


def load(root: Path, scan: Scan, settings: dict) -> Image:
    """[H, W] grey values in the file's own units; colour becomes luminance, transparency is ignored.

    Raises ValueError if the file can't be read as an image, or is too large.
    """
    path, limits = scan.source, settings["limits"]
    refusal = "can't be read as an image; a whole PNG, JPEG or TIFF is needed"
    with (
        reading(path, limits, refusal),
        _any_size(),
        (root / path).open("rb") as file,  # of a path, Pillow may make a memory map: see copylens.data.arrays.values_of
        PIL.Image.open(file, formats=FORMATS) as image,
    ):
        check_pixels(path, image.size[::-1], limits)
        # At most four bytes a pixel decoded, and four as float32.
        check_bytes(path, 8 * image.width * image.height, limits)
        n_frames = getattr(image, "n_frames", 1)
        if n_frames > 1:
            raise ValueError(f"{path}: holds {n_frames} images; one image per file is needed")
        pixels = _grey(image, root / path)
        if pixels is None:
            raise ValueError(f"{path}: holds colours that can't be turned into grey; save it in grey or RGB")
        return Image(pixels, (1.0, 1.0), _is_colourful(image))


def checksum(root: Path, scan: Scan, settings: dict) -> str:
    """SHA-256 of the file."""
    return file_checksum(root / scan.source)


@contextmanager
def _any_size() -> Iterator[None]:
    """Switch off Pillow's own limit of pixels, which no setting could raise; the data set's replaces it."""
    before, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        PIL.Image.MAX_IMAGE_PIXELS = before


def _is_colourful(image: PIL.Image.Image) -> bool:
    """Whether it shows colours, rather than grey values stored as colours."""
    return len(image.getbands()) >= 3 and float(np.ptp(np.asarray(image.convert("RGB")), axis=2).mean()) > COLOURFUL


def _grey(image: ImageFile, place: Path) -> np.ndarray | None:
    """Grey values, float32 [H, W], or None for an unsupported kind of colour."""
    if image.mode.startswith(("I", "F")):
        return np.asarray(image, dtype=np.float32)
    encodings = {tile.args if isinstance(tile.args, str) else tile.args[0] for tile in image.tile if tile.args}
    if encodings == {"RGB;16B"} and image.format == "PNG":
        return _deep_colour(image, place)
    if any(";16" in str(encoding) for encoding in encodings):
        return None
    try:
        return np.asarray(image.convert("L"), dtype=np.float32)
    except ValueError:
        return None


def _deep_colour(image: ImageFile, place: Path) -> np.ndarray:
    """Luminance of 16-bit colour, of which Pillow decodes 8 bits at a time: first the high bytes, then the low ones."""
    with PIL.Image.open(place) as again:
        again.tile = [tile._replace(args="RGB;16L") for tile in again.tile]
        low = np.asarray(again, dtype=np.float32)
    return (256 * np.asarray(image, dtype=np.float32) + low) @ np.array(LUMINANCE, dtype=np.float32)
