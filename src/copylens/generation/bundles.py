"""MONAI bundles, a folder or a zip, as untrusted files: configuration is parsed and never evaluated.

Raises ValueError that begins with the file's place in the bundle, or the place in its configuration.
"""

import io
import json
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from copylens.generation import saved

DEEPEST = 32  # references that lead to references
MOST_FILES = 10_000  # in a zip
OLD = {"num_channels": "channels", "use_checkpointing": "use_checkpoint"}  # keys of MONAI Generative Models
NETWORKS = ("monai.networks.nets", "generative.networks.nets")
SCHEDULERS = ("monai.networks.schedulers", "generative.networks.schedulers")
# Where a checkpoint may hold its network's tensors.
INNER = ("model", "network", "state_dict", "diffusion", "autoencoder", "unet", "net")


class Bundle:
    """The files of a bundle, by their paths in it."""

    def __init__(self, path: Path):
        self.path, self.archive, self.top = path, None, ""
        if path.is_dir():
            return
        if not zipfile.is_zipfile(path):
            raise ValueError(f"{path.name}: is neither a folder nor a zip")
        self.archive = zipfile.ZipFile(path)
        names = self.archive.infolist()
        if len(names) > MOST_FILES:
            raise ValueError(f"{path.name}: holds more than {MOST_FILES} files")
        for member in names:
            parts = PurePosixPath(member.filename.replace("\\", "/")).parts
            if ".." in parts or member.filename.startswith(("/", "\\")) or ":" in member.filename:
                raise ValueError(f"{path.name}: holds a file whose path leads out of it; make the zip anew")
            if stat.S_ISLNK(member.external_attr >> 16):
                raise ValueError(f"{path.name}: holds a link; make the zip of the files themselves")
        tops = {PurePosixPath(member.filename).parts[0] for member in names if member.filename.strip("/")}
        if len(tops) == 1 and f"{next(iter(tops))}/" not in ("configs/", "models/"):
            self.top = f"{next(iter(tops))}/"

    def read(self, name: str, most: int) -> bytes:
        """A file's bytes, at most so many."""
        if self.archive is None:
            path = saved.inside(self.path, name)
            _refuse_large(name, path.stat().st_size, most)
            return path.read_bytes()
        try:
            member = self.archive.getinfo(f"{self.top}{name}")
            _refuse_large(name, member.file_size, most)
            with self.archive.open(member) as file:
                content = file.read(most + 1)
        except KeyError:
            raise ValueError(f"{name}: isn't in the bundle {self.path.name}") from None
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
            raise ValueError(f"{name}: can't be read from the bundle {self.path.name}") from error
        _refuse_large(name, len(content), most)  # a header may lie
        return content

    def config(self, name: str) -> dict:
        """The map in a JSON file."""
        try:
            config = json.loads(self.read(name, saved.MOST_BYTES).decode())
        except (UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
            raise ValueError(f"{name}: is no JSON file that can be read") from error
        if not isinstance(config, dict):
            raise ValueError(f"{name}: must hold a map of settings")
        return config


def part(config: dict, family: str, places: tuple[str, ...], name: str, required: bool = True) -> dict:
    """The settings of the only entry of `config` whose `_target_` is a class of `family`, without references.

    family: the class's name or, of schedulers, its end. Raises ValueError where there are several, where one of them
    is a class from elsewhere, and for what would have to be evaluated.
    """
    found = {}
    for key, entry in config.items():
        target = entry.get("_target_") if isinstance(entry, dict) else None
        if isinstance(target, str) and target.rsplit(".", 1)[-1].endswith(family):
            found[key] = target
    if not found:
        raise ValueError(f"{name}: has no entry whose _target_ is {family}, as unconditional latent diffusion needs")
    if len(found) > 1:
        raise ValueError(f"{name}: has several entries whose _target_ is {family} ({', '.join(sorted(found))})")
    ((key, target),) = found.items()
    place = target.rpartition(".")[0]
    if place and not any(place == allowed or place.startswith(f"{allowed}.") for allowed in places):
        raise ValueError(f"{name}: {key}._target_ is {target!r}; only classes of {places[0]} are used")
    settings = resolved(config, config[key], f"{name}: {key}")
    settings = {OLD.get(each, each): value for each, value in settings.items() if each != "_requires_"}
    settings["_target_"] = target.rsplit(".", 1)[-1]
    return settings


def resolved(config: dict, value, place: str, depth: int = 0):
    """A value with its references (`@name`, `@name::key`, `@name#key`) replaced by what they lead to."""
    if depth > DEEPEST:
        raise ValueError(f"{place}: refers to itself, or through more than {DEEPEST} others")
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if key != "_requires_"}
        return {key: resolved(config, each, f"{place}.{key}", depth + 1) for key, each in kept.items()}
    if isinstance(value, list):
        if len(value) > saved.MOST_PARTS:
            raise ValueError(f"{place}: has more than {saved.MOST_PARTS} entries; no network has so many levels")
        return [resolved(config, each, f"{place}[{number}]", depth + 1) for number, each in enumerate(value)]
    if not isinstance(value, str):
        return value
    if value.startswith("$") or value.startswith("%"):
        raise ValueError(f"{place}: {value[:60]!r} would have to be evaluated; write its value instead")
    if value.startswith("@"):
        target: Any = config
        for step in value[1:].replace("#", "::").split("::"):
            try:
                target = target[int(step) if isinstance(target, list) else step]
            except (KeyError, ValueError, IndexError, TypeError):
                raise ValueError(f"{place}: refers to {value[:60]!r}, which isn't in the configuration") from None
        return resolved(config, target, place, depth + 1)
    return value


def tensors_of(bundle: Bundle, name: str, network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint, in float32, if they are those of `network`, under old names or new ones."""
    expected = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    numbers = sum(torch.Size(shape).numel() for shape in expected.values())
    most = 16 * numbers + 2**24  # in double precision, and twice
    content = bundle.read(name, most)
    if zipfile.is_zipfile(io.BytesIO(content)):  # torch's own format, which may be compressed
        with zipfile.ZipFile(io.BytesIO(content)) as records:
            _refuse_large(name, sum(record.file_size for record in records.infolist()), most)
    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's errors over damaged files are of every kind
        raise ValueError(f"{name}: is no checkpoint of tensors alone that torch can read") from error
    tensors = _inner(loaded)
    if not tensors or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise ValueError(f"{name}: must hold a network's tensors by name, as state_dict() gives them")
    tensors = _renamed(tensors, expected)
    saved.refuse_other_shapes({key: tuple(tensor.shape) for key, tensor in tensors.items()}, expected, name)
    return {key: tensors[key].float().contiguous() for key in expected}


def _inner(loaded) -> dict:
    for _ in range(2):
        named = [key for key in INNER if isinstance(loaded, dict) and isinstance(loaded.get(key), dict)]
        loaded = loaded[named[0]] if named else loaded
    return dict(loaded) if isinstance(loaded, dict) else {}


def _renamed(tensors: dict, expected: dict) -> dict:
    """Tensors under the names that MONAI has given these layers since they moved from MONAI Generative Models."""
    tensors = {key.removeprefix("module."): tensor for key, tensor in tensors.items() if isinstance(key, str)}
    for key in expected:
        olds = (
            key.replace(".attn.out_proj.", ".proj_attn."),
            key.replace(".attn.", "."),
            key.replace("postconv", "conv"),
            key.replace(".out_proj.", ".to_out.0."),
        )
        if key not in tensors:
            old = next((name for name in olds if name in tensors and name not in expected), None)
            if old is not None:
                tensors[key] = tensors.pop(old)
    return tensors


def _refuse_large(name: str, size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"{name}: has {size} bytes, and {most} are the most that it can need")
