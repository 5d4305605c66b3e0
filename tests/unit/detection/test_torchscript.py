"""A user's own feature network, as a TorchScript file."""

import hashlib

import numpy as np
import pytest
import torch

from copylens.config.kinds import settings_schema
from copylens.detection.embed import Embedder
from copylens.detection.train import train_detector
from copylens.jobs.files import read_array
from copylens.jobs.workdir import Unfinished

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.* is deprecated:DeprecationWarning")


@pytest.fixture
def settings(tmp_path, monkeypatch) -> dict:
    """A detector's settings, its file made by an average over channels and quarters of the image."""
    monkeypatch.setenv("COPYLENS_DATA", str(tmp_path))
    quarters = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
    torch.jit.save(torch.jit.script(quarters), tmp_path / "features.pt")
    properties = settings_schema("detectors", "torchscript")["properties"]
    defaults = {key: entry["default"] for key, entry in properties.items() if "default" in entry}
    return defaults | {"kind": "torchscript", "file": "features.pt", "batch_size": 5}


def embedded(settings: dict, data) -> np.ndarray:
    files = {"images": data / "images.npy", "splits": data / "splits.tsv"}
    train_detector(settings, files, data / "detector", Unfinished(data / "work"))
    return Embedder(data / "detector")(read_array(files["images"]))


@pytest.mark.parametrize("grid", [[16, 16]])
def test_features_are_those_of_the_users_network(settings, data):
    features = embedded(settings, data)
    images = read_array(data / "images.npy")
    quarters = images.reshape(len(images), 2, 8, 2, 8).mean(axis=(2, 4)).reshape(len(images), 4)
    # Three equal channels, from -1 (black) to 1 (white).
    np.testing.assert_allclose(features, np.tile(2 * quarters - 1, 3), atol=1e-4)
    np.testing.assert_allclose(embedded(settings | {"size": 8}, data), features, atol=0.05)


@pytest.mark.parametrize("grid", [[16, 16]])
def test_a_file_that_is_no_torchscript_is_named(settings, data, tmp_path):
    (tmp_path / "text.pt").write_text("not a network")
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "weights.pt")
    for name in ("text.pt", "weights.pt"):
        with pytest.raises(ValueError, match=rf"{name}: isn't a TorchScript file; write one with torch.jit.save"):
            embedded(settings | {"file": name}, data)
    with pytest.raises(ValueError, match=r"none.pt: there is no such file"):
        embedded(settings | {"file": "none.pt"}, data)


@pytest.mark.parametrize("grid", [[16, 16]])
def test_features_of_the_wrong_shape_are_refused(settings, data, tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.AdaptiveAvgPool2d(2)), tmp_path / "maps.pt")
    with pytest.raises(ValueError, match=r"maps.pt: must give features \[image, d\]"):
        embedded(settings | {"file": "maps.pt"}, data)


@pytest.mark.parametrize("grid", [[8, 12, 16]])
def test_a_2d_network_sees_three_slices_across_each_axis_of_a_volume(settings, data):
    features = embedded(settings | {"planes": True, "black": 0.0, "channels": 1}, data)
    images = np.array(read_array(data / "images.npy"))
    wanted = []
    for axis in (1, 2, 3):
        slices = [np.take(images, int(share * images.shape[axis]), axis=axis) for share in (0.25, 0.5, 0.75)]
        n, h, w = slices[0].shape
        wanted.append(np.mean([part.reshape(n, 2, h // 2, 2, w // 2).mean(axis=(2, 4)) for part in slices], axis=0))
    np.testing.assert_allclose(features, np.concatenate([part.reshape(n, 4) for part in wanted], axis=1), atol=1e-4)


@pytest.mark.parametrize("grid", [[16, 16]])
def test_images_have_no_planes(settings, data):
    with pytest.raises(ValueError, match="planes: 2D images have no slices; leave it out"):
        embedded(settings | {"planes": True}, data)


@pytest.mark.parametrize("grid", [[16, 16]])
def test_another_file_than_the_one_named_by_its_checksum_is_refused(settings, data, tmp_path):
    known = hashlib.sha256((tmp_path / "features.pt").read_bytes()).hexdigest()
    embedded(settings | {"checksum": known}, data)
    with pytest.raises(ValueError, match=r"features.pt: isn't the file whose checksum the configuration names"):
        embedded(settings | {"checksum": known[::-1]}, data)
