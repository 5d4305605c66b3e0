"""PNG, JPEG and TIFF images below one folder: 8 or 16 bit, grey or colour."""

from pathlib import Path

import numpy as np
import PIL.Image

from copylens.files import file_checksum
from copylens.readers import Image, Scan, list_files, patients_of

SETTINGS = """
required: [root]
properties:
  root: {type: string}
  pattern: {type: string, default: "**/*.*"}
  patient: {$ref: "#/$defs/patient", default: null}
"""

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R 601)


def list_scans(root: Path, settings: dict) -> list[Scan]:
    """One scan per file that matches `settings['pattern']`; the patient by `settings['patient']`."""
    paths = list_files(root, settings, settings["pattern"])
    return [Scan(*found) for found in zip(paths, patients_of(paths, settings), strict=True)]


def load(root: Path, scan: Scan, settings: dict) -> Image:
    """[H, W] grey values in the file's own units; colour becomes luminance, transparency is ignored.

    Raises ValueError if the file can't be read as an image.
    """
    try:
        with PIL.Image.open(root / scan.source) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise ValueError(f"{scan.source}: holds {image.n_frames} images; one image per file is needed")
            pixels = _grey(image)
    except (PIL.UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{scan.source}: can't be read as an image; a whole PNG, JPEG or TIFF is needed") from error
    if pixels is None:
        raise ValueError(f"{scan.source}: holds colours that can't be turned into grey; save it in grey or RGB")
    return Image(pixels, (1.0, 1.0))


def checksum(root: Path, scan: Scan, settings: dict) -> str:
    """SHA-256 of the file."""
    return file_checksum(root / scan.source)


def _grey(image: PIL.Image.Image) -> np.ndarray | None:
    """Grey values, float32 [H, W], or None for a kind of colour that isn't read."""
    if image.mode.startswith(("I", "F")):
        return np.asarray(image, dtype=np.float32)
    encodings = {tile.args if isinstance(tile.args, str) else tile.args[0] for tile in image.tile}
    if encodings == {"RGB;16B"} and image.format == "PNG":
        return _deep_colour(image)
    if any(";16" in str(encoding) for encoding in encodings):
        return None
    try:
        return np.asarray(image.convert("L"), dtype=np.float32)
    except ValueError:
        return None


def _deep_colour(image: PIL.Image.Image) -> np.ndarray:
    """Luminance of 16-bit colour, of which Pillow decodes 8 bits at a time: first the high bytes, then the low ones."""
    with PIL.Image.open(image.filename) as again:
        again.tile = [tile._replace(args="RGB;16L") for tile in again.tile]
        low = np.asarray(again, dtype=np.float32)
    return (256 * np.asarray(image, dtype=np.float32) + low) @ np.array(LUMINANCE, dtype=np.float32)
