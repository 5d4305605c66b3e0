"""A generator that runs elsewhere: any program, in an environment or a container of its own, that writes images.

It runs without a shell, in the folder $COPYLENS_DATA if there is one, once for each batch, so that an interruption
loses one batch. The program is the user's: use none that you wouldn't run.
"""

import contextlib
import hashlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from copylens.config.spec import data_root, named_files
from copylens.data.entries import entry_of, files_below, scans_of
from copylens.data.images import scale
from copylens.data.listing import load_scan, reader_of
from copylens.jobs.checksums import file_checksum
from copylens.jobs.files import write_array
from copylens.jobs.job import one_line
from copylens.jobs.seeds import derive_seed
from copylens.training.module import TrainedModule

SETTINGS = """
required: [command, sampling]
properties:
  n_train: {$ref: "#/$defs/n_train", default: null}
  # The program and its arguments, in which {n}, {seed}, {grid} and {out} stand for the number of images, a whole number
  # below 2^32, the data set's grid (such as 64x64), and an empty folder for them: grey images of that grid, one per
  # file, in any format that is read.
  command: {$ref: "#/$defs/command"}
  # Another one that measures denoising losses: {images} is a .npy file, float32 [image, *grid] in [0, 1], {timesteps}
  # whole numbers with commas between, {out} the .npy file to be written, [image, timestep].
  losses: {oneOf: [{type: "null"}, {$ref: "#/$defs/command"}], default: null}
  # Number of the noise levels of its training; those that are asked for lie below.
  timesteps: {type: integer, minimum: 2, default: 1000}
  # Further files, relative to $COPYLENS_DATA, that the images depend on, beside those that the commands name.
  files: {type: array, items: {type: string, minLength: 1}, uniqueItems: true, default: []}
  # From the files' grey values to [0, 1].
  scaling: {$ref: "#/$defs/scaling", default: {}}
  # Longest time of one call, in seconds.
  seconds: {$ref: "#/$defs/positive", default: 86400}
  sampling: {$ref: "#/$defs/sampling"}
"""

# Of the environment, what leads to this process' own Python.
OWN = {"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"}


class Command(TrainedModule):
    """The program. Its weights are a checksum of its command and of the files that this names."""

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        self.grid = grid
        self.denoises = settings["losses"] is not None
        self.register_buffer("fingerprint", torch.zeros(0, dtype=torch.uint8))

    def prepare(self, images_BC):
        """Nothing is trained: note which program it is."""
        self.fingerprint = _fingerprint(self.settings)
        return (images_BC,)

    def weights(self):
        return {"fingerprint": self.fingerprint}

    def load_weights(self, weights):
        self.fingerprint = weights["fingerprint"]

    def refuse_changed(self) -> None:
        """Raise ValueError if the program isn't the one that was noted."""
        if not torch.equal(_fingerprint(self.settings), self.fingerprint.cpu()):
            raise ValueError("models: a file that the model's command names has changed meanwhile; run again")


def build(settings: dict, grid: list[int], upstream: TrainedModule | None = None) -> Command:
    """The program for images of shape `grid`; it has no upstream network."""
    return Command(settings, grid)


def sample(module: Command, n: int, seed: int, sampling: dict, first: int) -> Iterator[torch.Tensor]:
    """The program's images, in the order of their names; each call gets a seed of its own.

    Raises ValueError where it fails, and for images that aren't n, grey, finite and of the grid's shape.
    """
    module.refuse_changed()
    for start in range(first, n, sampling["batch_size"]):
        wanted = min(sampling["batch_size"], n - start)
        with tempfile.TemporaryDirectory() as folder:
            values = {"n": wanted, "seed": derive_seed(seed, "sample", start) % 2**32, "out": folder}
            _run(module, "command", values)
            yield torch.from_numpy(_images(Path(folder), wanted, module.grid, module.settings["scaling"]))[:, None]


def losses_by_noise(module: Command, images_BC: torch.Tensor, timesteps: list[int], seed: int) -> torch.Tensor:
    """The program's loss of each image at each of `timesteps`, [B, timestep]; ValueError if it gives anything else."""
    module.refuse_changed()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_array(images_BC[:, 0].numpy(), folder / "images.npy")
        values = {"images": folder / "images.npy", "out": folder / "losses.npy", "seed": seed % 2**32}
        _run(module, "losses", values | {"timesteps": ",".join(map(str, timesteps))})
        losses = _array(folder / "losses.npy")
    expected = (len(images_BC), len(timesteps))
    if losses.shape != expected or not np.issubdtype(losses.dtype, np.floating) or not np.isfinite(losses).all():
        raise ValueError(
            f"models: the command losses wrote {losses.dtype} {list(losses.shape)}"
            f"{', not all finite' if np.issubdtype(losses.dtype, np.floating) else ''}; it must write finite numbers "
            f"with a point, [image, timestep], here {list(expected)}"
        )
    return torch.from_numpy(losses.astype(np.float32))


def errors_by_noise(
    module: Command, images_BC: torch.Tensor, timesteps: list[int], seed: int
) -> dict[str, torch.Tensor]:
    """Losses alone; attacks by other errors need the network itself."""
    return {"loss": losses_by_noise(module, images_BC, timesteps, seed)}


def _fingerprint(settings: dict) -> torch.Tensor:
    """SHA-256 of the commands and of the files that they name, uint8 [32]; ValueError if a named file isn't there."""
    checksum = hashlib.sha256(repr([settings[key] for key in ("command", "losses", "scaling")]).encode())
    for path in named_files(settings):
        if not Path(path).is_file():
            raise ValueError(f"models.files: there is no file {path}; paths are relative to COPYLENS_DATA")
        checksum.update(file_checksum(Path(path)).encode())
    return torch.frombuffer(bytearray(checksum.digest()), dtype=torch.uint8)


def _run(module: Command, key: str, values: dict) -> None:
    """Run a command of the settings, its output in the log; ValueError if it fails."""
    settings, values = module.settings, values | {"grid": "x".join(map(str, module.grid))}
    arguments = [_filled(argument, values) for argument in settings[key]]
    environment = {name: value for name, value in os.environ.items() if name not in OWN}
    folder = data_root() if data_root().is_dir() else None
    with tempfile.TemporaryFile() as file:
        try:
            process = subprocess.Popen(
                arguments,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that what it starts ends with it
            )
        except OSError as error:
            raise ValueError(f"models: the model's {key} can't be started: {one_line(str(error))}") from None
        try:
            status = process.wait(settings["seconds"])
        except subprocess.TimeoutExpired:
            raise ValueError(
                f"models: the model's {key} took longer than {settings['seconds']:g} s; raise its seconds, or lower "
                "sampling.batch_size"
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        file.seek(0)
        output = file.read().decode(errors="replace").strip()
    if output:
        print(output, flush=True)
    if status:
        last = one_line(output.splitlines()[-1]) if output else "it said nothing"
        raise ValueError(f"models: the model's {key} ended with exit status {status}: {last}")


def _filled(argument: str, values: dict) -> str:
    """An argument with its placeholders filled in; other braces stay."""
    for name, value in values.items():
        argument = argument.replace(f"{{{name}}}", str(value))
    return argument


def _images(folder: Path, n: int, grid: list[int], scaling: dict) -> np.ndarray:
    """The `n` images in a folder, float32 [n, *grid]; ValueError for others."""
    if not files_below(folder):
        raise ValueError(f"models: the model's command wrote no image; it must write {n} into the folder {{out}}")
    try:
        settings, root, scans = scans_of(entry_of(folder, None))
    except ValueError as error:
        raise ValueError(f"models: the model's command wrote what can't be read: {_local(error, folder)}") from None
    if len(scans) != n:
        raise ValueError(f"models: the model's command wrote {len(scans)} images, not the {n} that it was asked for")
    reader, images = reader_of(settings), np.empty((n, *grid), np.float32)
    for number, scan in enumerate(scans):
        try:
            image = load_scan(reader, root, scan, settings)
        except ValueError as error:
            raise ValueError(f"models: the model's command wrote a broken image: {_local(error, folder)}") from None
        if list(image.pixels.shape) != grid:
            shape = " x ".join(map(str, image.pixels.shape))
            raise ValueError(
                f"models: the model's command writes images of {shape} pixels, and the data set's grid is "
                f"{' x '.join(map(str, grid))}; have it resample them, or set the data set's grid to its shape"
            )
        if image.colourful:
            raise ValueError(f"models: the model's command writes colours ({scan.source}); it must write grey images")
        images[number] = scale(np.asarray(image.pixels), scaling)
    return images


def _local(error: ValueError, folder: Path) -> str:
    """An error's text without the temporary folder's name."""
    return str(error).replace(f"{folder.resolve()}/", "").replace(f"{folder}/", "").replace(str(folder), "{out}")


def _array(path: Path) -> np.ndarray:
    """The array in a .npy file that a program wrote; pickles are refused."""
    if not path.is_file():
        raise ValueError("models: the command losses wrote no file {out}; it must write a .npy file [image, timestep]")
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError("models: the command losses wrote no .npy file that can be read without pickle") from error
