"""From files to one array: images a second and memory, against a plain loop over the files.

    .venv/bin/python benchmarks/preprocessing.py [FILES]

The plain loop opens each file (Pillow, pydicom, nibabel), resizes it by MONAI, brings it to [0, 1], and stacks what it
has. copylens lists the files, with pseudonyms and checksums, and gathers them, on two processes: each file is read
twice and checked. Both get two cores. Drawn noise in FILES files of each format (default 600), of which 60 differ;
repetitions in turn, each in a process of its own. Writes benchmarks/preprocessing.tsv: images a second (medians), their
ratio, and the most memory beyond that of the libraries, in MiB, of all processes together; and for PNG of 64 x 64 the
memory at 1,000 and at 100,000 files.
"""

import os

THREADS = 2
os.environ["OMP_NUM_THREADS"] = str(THREADS)

import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pydicom
import torch
from monai.transforms import Resize
from PIL import Image
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from copylens.config import checks, spec
from copylens.data.images import gather_images
from copylens.data.listing import list_scans
from copylens.jobs.files import read_array

N_DIFFERENT, REPETITIONS = 60, 3
STUDY = {"datasets": ["files"], "models": ["copycat"], "detectors": ["pixel_correlation"]}
FORK = multiprocessing.get_context("fork")


def write_png(path: Path, image: np.ndarray) -> None:
    Image.fromarray(image).save(path)


def write_nifti(path: Path, image: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti1Image(image, np.diag([1.0, 1.0, 1.0, 1.0])), path)


def write_dicom(path: Path, image: np.ndarray) -> None:
    file = pydicom.Dataset()
    file.file_meta = pydicom.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, generate_uid()
    file.SeriesInstanceUID, file.PatientID = generate_uid(), path.stem
    file.Rows, file.Columns = image.shape
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 16
    file.HighBit, file.PixelRepresentation = 15, 0
    file.PixelData = image.astype("<u2").tobytes()
    file.save_as(path, enforce_file_format=True)


def read_png(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("L"), dtype=np.float32)


def read_nifti(path: Path) -> np.ndarray:
    return nibabel.load(path).get_fdata(dtype=np.float32)


def read_dicom(path: Path) -> np.ndarray:
    return pydicom.dcmread(path).pixel_array.astype(np.float32)


# Of each format: reader, pattern, the files' shape, the grid, and how a file is written and read.
FORMATS: dict[str, tuple[str, str, list[int], list[int], Callable, Callable]] = {
    "PNG, 1024 x 1024": ("image_folder", "png", [1024, 1024], [128, 128], write_png, read_png),
    "DICOM, 512 x 512": ("dicom_series", "dcm", [512, 512], [128, 128], write_dicom, read_dicom),
    "NIfTI, 96 x 96 x 64": ("nifti_folder", "nii.gz", [96, 96, 64], [32, 32, 32], write_nifti, read_nifti),
}
SMALL = ("image_folder", "png", [64, 64], [64, 64], write_png, read_png)


def write_files(folder: Path, way: tuple, n: int) -> None:
    """`n` files, of which the first are written and the others are links to them."""
    generator, suffix = np.random.default_rng(0), way[1]
    folder.mkdir()
    for number in range(n):
        path = folder / f"{number:06d}.{suffix}"
        if number < N_DIFFERENT:
            # Blocks of noise compress about as well as scans do.
            blocks = generator.integers(0, 200, [size // 8 for size in way[2]], np.uint8)
            image = np.kron(blocks, np.ones([8] * len(way[2]), np.uint8))
            way[4](path, image + generator.integers(0, 8, image.shape, np.uint8))
        else:
            path.hardlink_to(folder / f"{number % N_DIFFERENT:06d}.{suffix}")


def plain(folder: Path, way: tuple, out: Path) -> None:
    _, suffix, _, grid, _, read = way
    resize = Resize(grid, mode="trilinear" if len(grid) == 3 else "bilinear", anti_aliasing=True)
    images = []
    for path in sorted(folder.glob(f"*.{suffix}")):
        image = np.asarray(resize(torch.from_numpy(np.ascontiguousarray(read(path)))[None])[0])
        images.append((image - image.min()) / (image.max() - image.min()))
    np.save(out, np.stack(images))


def ours(folder: Path, way: tuple, out: Path) -> None:
    reader, suffix, _, grid, _, _ = way
    patient = {} if reader == "dicom_series" else {"patient": r"(\d+)\."}
    entry = {"reader": reader, "root": str(folder), "pattern": f"*.{suffix}", "grid": grid, "fit": "stretch"} | patient
    entry |= {"split": {"train": 20, "calibration": 20, "control": 20}}
    config = checks.check(
        {"datasets": {"files": entry}, "models": {"copycat": {"kind": "copycat", "sampling": {"n_samples": 2}}}}
        | {"detectors": {"pixel_correlation": {"kind": "pixel_correlation"}}, "studies": {"one": STUDY}}
    )
    listing, table = spec.listing_settings(config, "files"), out.with_suffix(".tsv")
    list_scans(listing, table, "", THREADS)
    gather_images(listing, spec.image_settings(config, "files"), table, out, THREADS)


def measured(way: Callable, *arguments) -> tuple[float, float]:
    """Seconds, and the most MiB of memory beyond this process's that a fork and its own forks have at once."""
    receiver, sender = FORK.Pipe(duplex=False)

    def run() -> None:
        most, done = [0.0], threading.Event()

        def watch() -> None:
            while not done.wait(0.02):
                most[0] = max(most[0], _own_memory(os.getpid()))

        watcher = threading.Thread(target=watch, daemon=True)
        before = _own_memory(os.getpid())
        watcher.start()
        start = time.perf_counter()
        way(*arguments)
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
        sender.send((seconds, most[0] - before))

    process = FORK.Process(target=run)
    process.start()
    sender.close()
    found = receiver.recv()
    process.join()
    return found


def _own_memory(process: int) -> float:
    """MiB that a process and its children share with nobody else."""
    total = 0.0
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Private_Dirty", "Private_Clean")):
                total += int(line.split()[1]) / 1024
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:  # it has ended
        return total
    return total + sum(_own_memory(int(child)) for child in children)


def compared(folder: Path, name: str, way: tuple, n: int) -> dict:
    write_files(folder / "files", way, n)
    outs = [folder / f"{each}.npy" for each in ("ours", "plain")]
    found = [[measured(each, folder / "files", way, out) for each, out in zip((ours, plain), outs, strict=True)]
             for _ in range(REPETITIONS)]  # fmt: skip
    one, other = (read_array(out) for out in outs)
    if way[0] == "image_folder" and not np.allclose(one, other, atol=1e-3):
        raise AssertionError(f"{name}: the arrays differ")
    (fast, fast_mib), (slow, slow_mib) = (
        [statistics.median(pair[place][value] for pair in found) for value in (0, 1)] for place in (0, 1)
    )
    return {
        "files": name,
        "n": n,
        "copylens_images_a_second": round(n / fast, 1),
        "plain_images_a_second": round(n / slow, 1),
        "times_faster": round(statistics.median(pair[1][0] / pair[0][0] for pair in found), 2),
        "copylens_mib": round(fast_mib),
        "plain_mib": round(slow_mib),
    }


def main(n: int) -> None:
    rows = []
    for name, way in FORMATS.items():
        with tempfile.TemporaryDirectory() as folder:
            rows.append(compared(Path(folder), name, way, n))
    for many in (1_000, 100_000):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write_files(folder / "files", SMALL, many)
            seconds, mib = measured(ours, folder / "files", SMALL, folder / "ours.npy")
            row = {"files": "PNG, 64 x 64", "n": many, "copylens_images_a_second": round(many / seconds, 1)}
            rows.append(row | {"copylens_mib": round(mib)})
    table = pd.DataFrame(rows)
    table.to_csv(Path(__file__).with_suffix(".tsv"), sep="\t", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 600)
