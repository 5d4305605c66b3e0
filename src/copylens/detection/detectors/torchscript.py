"""Embeddings by a network that the user supplies as a TorchScript file, such as Inception or RadImageNet features.

Made for image quality: the usual feature networks can be neither shipped nor downloaded everywhere. A TorchScript file
is a program: use none that you wouldn't run.
"""

import torch
from torch.nn import functional

from copylens.config.spec import data_root
from copylens.detection.planes import features_by_plane
from copylens.jobs.checksums import file_checksum
from copylens.training.module import Untrained

SETTINGS = """
required: [file]
properties:
  # A file below $COPYLENS_DATA, written by torch.jit.save: images [B, channels, *size] to features [B, d].
  file: {type: string}
  # If given, only the file with this SHA-256 is loaded.
  checksum: {type: string, pattern: "^[0-9a-f]{64}$"}
  # Side of the network's input images; null leaves their size.
  size: {type: [integer, "null"], minimum: 4, default: null}
  # Channels of its input: a grey image is repeated.
  channels: {$ref: "#/$defs/count", default: 3}
  # Input values of black (0) and white (1).
  black: {type: number, default: -1.0}
  white: {type: number, default: 1.0}
  # Of volumes: the network is for 2D images, and sees three slices across each axis (`copylens.detection.planes`).
  planes: {type: boolean, default: false}
  neighbours: {$ref: "#/$defs/count", default: 50}
  search: {$ref: "#/$defs/search", default: {}}
  # How many images are embedded at a time.
  batch_size: {$ref: "#/$defs/count", default: 64}
"""


class TorchScriptFeatures(Untrained):
    """Images [B, 1, *grid] in [0, 1] to embeddings [B, d], by planes [B, 3 d]. The weights stay in the user's file."""

    def __init__(self, settings: dict):
        super().__init__(settings)
        self.network = _load(settings["file"], settings.get("checksum"))

    @torch.no_grad()
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return features_by_plane(self._features, image) if self.settings["planes"] else self._features(image)

    def _features(self, image: torch.Tensor) -> torch.Tensor:
        settings = self.settings
        if settings["size"]:
            mode = "bilinear" if image.ndim == 4 else "trilinear"
            size = [settings["size"]] * (image.ndim - 2)
            image = functional.interpolate(image, size, mode=mode, antialias=mode == "bilinear")
        image = settings["black"] + (settings["white"] - settings["black"]) * image
        features = self.network(image.expand(-1, settings["channels"], *image.shape[2:]))
        if not isinstance(features, torch.Tensor) or features.ndim != 2:
            raise ValueError(f"{settings['file']}: must give features [image, d], one row per image")
        return features.float()


def build(settings: dict, grid: list[int]) -> TorchScriptFeatures:
    """The network in the user's file; ValueError if the file is missing or isn't TorchScript."""
    return TorchScriptFeatures(settings)


def embed(module: TorchScriptFeatures, images_BC: torch.Tensor) -> torch.Tensor:
    """Embeddings [B, d], on the CPU."""
    chunks = images_BC.split(module.settings["batch_size"])
    return torch.cat([module(chunk.to(module.device)).cpu() for chunk in chunks])


def _load(name: str, wanted: str | None) -> torch.jit.ScriptModule:
    path = data_root() / name
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file; detectors of kind torchscript need one (file)")
    if wanted is not None and file_checksum(path) != wanted:
        raise ValueError(f"{path}: isn't the file whose checksum the configuration names (checksum)")
    try:
        return torch.jit.load(path, map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        how = "write one with torch.jit.save(torch.jit.script(network), file)"
        raise ValueError(f"{path}: isn't a TorchScript file; {how}") from error
