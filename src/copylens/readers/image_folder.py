"""PNG, JPEG and TIFF images below one folder: 8 or 16 bit, grey or colour."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from copylens.readers import Scan, file_checksum, list_files


def list_scans(root: Path, settings: dict) -> list[Scan]:
    """One scan per file that matches `settings['pattern']`; the patient by `settings['patient']`."""
    return [Scan(*found) for found in list_files(root, settings["pattern"], settings["patient"])]


def load(root: Path, scan: Scan, settings: dict) -> np.ndarray:
    """float32 [H, W] grey values in the file's own units; colour becomes luminance (ITU-R 601).

    Raises ValueError if the file can't be read as an image.
    """
    try:
        with Image.open(root / scan.source) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise ValueError(f"{scan.source}: holds {image.n_frames} images; one image per file is needed")
            has_depth = image.mode.startswith(("I", "F"))
            grey = image if has_depth else image.convert("L")
            return np.asarray(grey, dtype=np.float32)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{scan.source}: can't be read as an image; a whole PNG, JPEG or TIFF is needed") from error


def checksum(root: Path, scan: Scan, settings: dict) -> str:
    """SHA-256 of the file."""
    return file_checksum(root / scan.source)
