"""Networks that other programs saved, read without running anything of theirs. Files are untrusted.

Raises ValueError that begins with the file's place in its folder and says what would be right.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from copylens.config.spec import data_root

MOST_BYTES = 2**20  # of a file of settings
MOST_NUMBERS = 2**33  # of a network's parameters
MOST_PARTS = 64  # of any list of settings, such as a network's levels


def folder_of(name: str, key: str) -> Path:
    """A folder that the configuration names under `key`, below $COPYLENS_DATA."""
    folder = data_root() / name
    if not folder.is_dir():
        raise ValueError(f"{key}: there is no folder {folder}; paths are relative to COPYLENS_DATA")
    return folder


def inside(folder: Path, name: str) -> Path:
    """The file `name` of a folder; ValueError if it isn't there or lies elsewhere, by a link or by `..`."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{name}: leads out of the generator's folder; copy the file into it")
    if not path.is_file():
        raise ValueError(f"{name}: isn't in the generator's folder {folder.name}")
    return path


def read_settings(folder: Path, name: str) -> dict:
    """The map in a JSON file of a folder, of at most `MOST_BYTES` bytes, its lists of at most `MOST_PARTS` entries."""
    path = inside(folder, name)
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{name}: has more than {MOST_BYTES // 2**20} MiB, so it is no file of settings")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: is no JSON file that can be read") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{name}: must hold a map of settings")
    lists = {key: value for key, value in settings.items() if isinstance(value, list) and key != "trained_betas"}
    long = [key for key, value in lists.items() if len(value) > MOST_PARTS]
    if long:
        raise ValueError(f"{name}: {long[0]} has more than {MOST_PARTS} entries; no network has so many levels")
    return settings


def whole_number(settings: dict, key: str, name: str, least: int = 1, most: int = 2**20) -> int:
    """A setting that must be a whole number."""
    value = settings.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name}: {key} is {value!r}; it must be a whole number from {least} to {most}")
    return value


def built(build: Callable[[], torch.nn.Module], name: str) -> torch.nn.Module:
    """A network without memory for its weights; ValueError for settings from which none can be made."""
    try:
        with torch.device("meta"):
            network = build()
    except Exception as error:  # a library's errors over wrong settings are of every kind
        raise ValueError(f"{name}: no network can be made of these settings ({_first_line(error)})") from error
    numbers = sum(parameter.numel() for parameter in network.parameters())
    if numbers > MOST_NUMBERS:
        raise ValueError(f"{name}: describes a network of {numbers:.1e} parameters; {MOST_NUMBERS:.1e} are allowed")
    return network


def read_tensors(folder: Path, name: str, network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, in float32, if they are those of `network`: compared before any is read."""
    expected = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    try:
        with safe_open(inside(folder, name), "pt") as file:
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            refuse_other_shapes(shapes, expected, name)
            return {key: _as_float(file.get_tensor(key)) for key in expected}
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: is no safetensors file that can be read ({_first_line(error)})") from error


def refuse_other_shapes(shapes: dict[str, tuple], expected: dict[str, tuple], name: str) -> None:
    """Raise ValueError if tensors aren't those of the network that the settings describe."""
    lacking, further = sorted(expected.keys() - shapes.keys()), sorted(shapes.keys() - expected.keys())
    other = [key for key in expected if key in shapes and shapes[key] != expected[key]]
    if lacking or further or other:
        first = (
            f"'{other[0]}' has the shape {list(shapes[other[0]])}, not {list(expected[other[0]])}"
            if other
            else f"it lacks '{lacking[0]}'"
            if lacking
            else f"it has '{further[0]}' besides"
        )
        raise ValueError(f"{name}: holds another network than its settings describe: {first}")


def loaded(network: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> torch.nn.Module:
    """A network made by `built` with its tensors, ready to be used."""
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def as_tensor(settings: dict) -> torch.Tensor:
    """Settings as bytes, uint8 [n], which can lie beside weights."""
    return torch.frombuffer(bytearray(json.dumps(settings, sort_keys=True).encode()), dtype=torch.uint8)


def from_tensor(settings: torch.Tensor) -> dict:
    """The settings that `as_tensor` was given."""
    return json.loads(bytes(settings.cpu().tolist()).decode())


def with_prefix(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def of_prefix(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(f"{prefix}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}/")
    }


def refuse_another_grid(makes: list[int], grid: list[int], what: str) -> None:
    """Raise ValueError if a generator makes images of another grid than the data set has."""
    if list(makes) != list(grid):
        made, wanted = (" x ".join(map(str, sizes)) for sizes in (makes, grid))
        raise ValueError(
            f"{what}: draws images of {made} pixels, and the data set's grid is {wanted}; set the data set's grid to "
            f"{list(makes)}, to which its images are resampled, or have a program resample the others (kind command)"
        )


def _as_float(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
