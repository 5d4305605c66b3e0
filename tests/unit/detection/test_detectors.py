"""What every detector must do, whatever its kind, on drawn patients in 2D and 3D; a new file in `detectors/` is found.

A kind with a training, or with a file of the user's, has tests of its own.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from copylens.config.kinds import kinds, settings_schema
from copylens.config.schema import validate
from copylens.data.images import scale
from copylens.data.readers import phantom
from copylens.detection.detectors import aligned_correlation, copylens
from copylens.detection.embed import Embedder, embed_file, family_of_detector, load_detector
from copylens.detection.nearest import Comparer, all_of
from copylens.detection.train import train_detector
from copylens.evaluation import families, transforms
from copylens.evaluation.benchmark import METRICS, benchmark_detector
from copylens.evaluation.duplicates import find_duplicates
from copylens.evaluation.planted import plant_copies
from copylens.imaging.registration import match
from copylens.jobs.files import read_array, read_table, write_array, write_table
from copylens.jobs.workdir import Unfinished
from copylens.training.tensors import as_batch

UNTRAINED = [
    kind
    for kind in kinds("detectors")
    if not {"training", "file"} & set(settings_schema("detectors", kind)["properties"])
]
SETS = {"train": 30, "calibration": 30, "control": 30}


def settings_of(kind: str) -> dict:
    settings = {"kind": kind}
    validate(settings, "a detector", ("properties", "detectors", "additionalProperties"))
    return {key: value for key, value in settings.items() if key != "neighbours"}


@pytest.fixture(scope="module", params=["xray", "mr"])
def data(request, tmp_path_factory):
    """Images of one patient each, and their splits."""
    folder = tmp_path_factory.mktemp(request.param)
    anatomy = {"anatomy": request.param, "size": 32 if request.param == "xray" else 16, "noise": 0.02, "seed": 0}
    settings = anatomy | {"n_patients": sum(SETS.values()), "repeat_share": 0.0}
    scans = phantom.list_scans(folder, settings)
    images = [scale(phantom.load(folder, scan, settings).pixels, {"kind": "minmax"}) for scan in scans]
    write_array(np.stack(images), folder / "images.npy")
    splits = pd.DataFrame({"scan": [scan.source for scan in scans], "patient": [scan.patient for scan in scans]})
    write_table(splits.assign(role=np.repeat(list(SETS), list(SETS.values()))), folder / "splits.tsv")
    return folder


@pytest.fixture(scope="module")
def detector(data):
    """A function that builds a detector of a kind and returns its folder, with the embeddings of all images."""

    def build(kind: str):
        folder = data / kind
        files = {"images": data / "images.npy", "splits": data / "splits.tsv"}
        train_detector(settings_of(kind), files, folder, Unfinished(data / "work"))
        embed_file(Embedder(folder), data / "images.npy", folder / "scans.npy", Unfinished(data / "work_embedding"))
        return SimpleNamespace(folder=folder, scans=folder / "scans.npy")

    return build


def rows(role: str) -> slice:
    start = dict(zip(SETS, np.cumsum([0, *SETS.values()]), strict=False))[role]
    return slice(start, start + SETS[role])


@pytest.mark.parametrize("kind", UNTRAINED)
def test_replayed_patients_are_found_and_others_are_not(data, detector, kind):
    built = detector(kind)
    real = all_of(read_array(data / "images.npy"), read_array(built.scans))
    comparer = Comparer(built.folder, real[np.arange(30)])
    nearest = {role: comparer.nearest(real[np.arange(*rows(role).indices(90))], 10) for role in SETS}
    tau = np.percentile(nearest["calibration"][0][:, 0], 95)
    similarity, position = nearest["train"]
    assert (position[:, 0] == np.arange(30)).all(), "the nearest training image of a replay is its source"
    assert (similarity[:, 0] > tau).mean() >= 0.9
    assert (nearest["control"][0][:, 0] > tau).mean() <= 0.2
    for similarity, position in nearest.values():
        assert np.isfinite(similarity).all() and (np.diff(similarity, axis=1) <= 1e-6).all()
        assert all(len(set(row)) == len(row) for row in position)


@pytest.mark.parametrize("kind", ["copylens", "aligned_correlation", "ssim"])
def test_the_number_of_threads_changes_no_bit(data, detector, kind, monkeypatch):
    built = detector(kind)
    real = all_of(read_array(data / "images.npy"), read_array(built.scans))
    monkeypatch.setattr("copylens.detection.nearest.QUERIES", 3)
    found = []
    for n_threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda n_threads=n_threads: n_threads)
        found.append(Comparer(built.folder, real[np.arange(30)]).nearest(real[np.arange(30, 41)], 5))
    monkeypatch.undo()
    torch.set_num_threads(1)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_patient_with_many_like_images_is_found(data, detector, tmp_path):
    built = detector("copylens")
    images = read_array(data / "images.npy")
    generator = np.random.default_rng(0)

    def noisy(image: np.ndarray) -> np.ndarray:
        return (image + 0.02 * generator.normal(size=image.shape)).clip(0, 1).astype(np.float32)

    # The first of thirty patients has 25 images; the query is a copy of one of them.
    write_array(np.stack([*images, *(noisy(images[0]) for _ in range(25))]), tmp_path / "images.npy")
    embed_file(Embedder(built.folder), tmp_path / "images.npy", tmp_path / "scans.npy", Unfinished(tmp_path / "work"))
    real = all_of(read_array(tmp_path / "images.npy"), read_array(tmp_path / "scans.npy"))
    trained, patients = np.r_[0:30, 90:114], np.r_[0:30, [0] * 24]
    comparer = Comparer(built.folder, real[trained], patients=patients)
    control = comparer.nearest(real[np.arange(30, 90)], 20)[0][:, 0]
    similarity, position = comparer.nearest(real[[114]], 20)
    assert patients[position[0, 0]] == 0 and len(set(patients[position[0]])) == 20
    assert similarity[0, 0] > control.max()


@pytest.mark.parametrize("kind", UNTRAINED)
def test_comparing_again_gives_the_same_bits(data, detector, kind):
    built = detector(kind)
    real = all_of(read_array(data / "images.npy"), read_array(built.scans))
    first, again = (Comparer(built.folder, real[np.arange(30)]).nearest(real[np.arange(30, 35)], 5) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_shortlist_keeps_the_source_and_what_is_said_of_it(data, detector):
    module = load_detector(detector("aligned_correlation").folder)
    images = as_batch(read_array(data / "images.npy"))
    training, queries = images[:60], images[:12].flip(-1)
    embeddings = aligned_correlation.embed(module, training).numpy()
    whole = aligned_correlation.compare(module, queries, embeddings)
    module.settings["shortlist"] = 25
    short = aligned_correlation.compare(module, queries, embeddings)
    sources = np.arange(12)
    assert (short.argmax(axis=1) == sources).all()
    np.testing.assert_allclose(short[sources, sources], whole[sources, sources], rtol=1e-4)
    assert np.isfinite(short).all()
    # The rest of the shortlist is compared exactly too; those off it rank in the coarse search's order.
    closely = np.isclose(short, whole, rtol=1e-4, atol=1e-4).sum(axis=1)
    assert (closely >= 25).all() and closely.mean() < 35


@pytest.mark.parametrize(
    "change", [lambda images: images, lambda images: images.flip(-1)], ids=["as it is", "mirrored"]
)
def test_a_shortlist_leaves_the_proof_as_it_was(data, detector, change):
    module = load_detector(detector("copylens").folder)
    images = as_batch(read_array(data / "images.npy"))
    training, queries, scores = images[:60], change(images[:12]), []
    for n in (60, 25):
        module.settings["shortlist"] = n
        found = search_of(module, training, queries, 10)
        first = found[0].argmax(axis=1)
        assert (found[1][np.arange(12), first] == np.arange(12)).mean() > 0.8
        scores.append(found[0].max(axis=1))
    assert np.median(np.abs(scores[1] / scores[0] - 1)) < 0.15


def search_of(module, training: torch.Tensor, queries: torch.Tensor, k: int) -> tuple[np.ndarray, np.ndarray]:
    """`copylens.search` of queries among training images, both [B, 1, *grid]."""
    index = copylens.index(module, copylens.embed(module, training).numpy())

    def choose(similarity: np.ndarray) -> np.ndarray:
        assert np.isfinite(similarity).all()
        return np.argsort(-similarity, kind="stable")[:k]

    return copylens.search(module, queries, index, choose, lambda rows: training[rows])


@pytest.fixture(scope="module")
def planted(data):
    """A few planted copies: the files of `plant_copies`."""
    chosen = ["identity", "flip", "rotation_10", "halves", "noise"]
    settings = {"copies": 20, "transforms": chosen, "round_trip": None, "families": None, "seed": 0}
    paths = [data / "planted.npy", data / "sources.tsv", data / "transforms.tsv"]
    plant_copies(settings, data / "images.npy", data / "splits.tsv", [], *paths)
    return dict(zip(("planted", "sources", "transforms"), paths, strict=True))


def test_planted_copies_are_of_training_patients_among_controls_under_the_same_transform(data, planted):
    sources, splits = read_table(planted["sources"]), read_table(data / "splits.tsv")
    assert (splits["role"].to_numpy()[sources["row"]] == sources["role"]).all()
    assert sources["role"].value_counts().to_dict() == {"train": 20, "control": 20}
    assert sources["row"].is_unique
    images = read_array(planted["planted"])
    np.testing.assert_allclose(images[0], read_array(data / "images.npy")[sources["row"]], atol=1e-5)
    assert list(read_table(planted["transforms"])["group"]) == ["rigid", "rigid", "rigid", "hard", "rigid"]


@pytest.mark.parametrize("kind", ["pixel_correlation", "copylens"])
def test_the_benchmark_tells_detectors_apart(data, detector, planted, kind):
    built = detector(kind)
    files = {name: data / f"{name}.{end}" for name, end in (("images", "npy"), ("splits", "tsv"))}
    paths = data / "benchmark.csv", data / "planted.npz"
    benchmark_detector({**files, **planted, "scans": built.scans}, built.folder, kind, *paths)
    table = read_table(data / "benchmark.csv").set_index("transform")
    assert table.loc["identity", ["auroc", "sensitivity", "top1", "recall_at_20"]].tolist() == [1, 1, 1, 1]
    for metric in METRICS:
        assert (table[f"{metric}_low"] <= table[metric]).all() and (table[metric] <= table[f"{metric}_high"]).all()
    finds_flips = table.loc["flip", "sensitivity"] > 0.9
    assert finds_flips == (kind == "copylens")


@pytest.mark.parametrize("kind", ["pixel_correlation", "copylens"])
def test_near_duplicates_are_found_and_nobody_else(data, tmp_path, kind):
    images = read_array(data / "images.npy")
    noise = 0.02 * np.random.default_rng(0).standard_normal(images[:2].shape)
    again = np.concatenate([images[:2], images[5:7] + noise, images[9:10]])
    write_array(np.concatenate([images, np.clip(again, 0, 1)]), tmp_path / "images.npy")
    names = [*range(len(images)), 1000, 1001, 1002, 1003, 9]  # the last one is patient 9 once more
    table = pd.DataFrame({"scan": [f"scan_{n}" for n in range(len(names))], "patient": [f"p{n}" for n in names]})
    write_table(table, tmp_path / "scans.tsv")
    find_duplicates(settings_of(kind), 5, tmp_path / "images.npy", tmp_path / "scans.tsv", tmp_path / "duplicates.csv")
    pairs = read_table(tmp_path / "duplicates.csv")
    found = set(zip(pairs["patient"], pairs["other_patient"], strict=True))
    exact, noisy = {("p0", "p1000"), ("p1", "p1001"), ("p9", "p9")}, {("p5", "p1002"), ("p6", "p1003")}
    assert exact <= found <= exact | noisy and found & noisy
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("grid", [(40, 32), (16, 20, 12)])
@pytest.mark.parametrize("name", list(transforms.TRANSFORMS))
def test_a_transform_gives_images_of_the_same_shape_and_repeats(grid, name):
    if name not in transforms.names(len(grid)):
        pytest.skip(f"{name} is for 2D")
    images_BC, partners_BC = (torch.rand(3, 1, *grid, generator=torch.Generator().manual_seed(n)) for n in (0, 1))
    before = images_BC.clone()
    first, again = (transforms.apply(name, images_BC, partners_BC, torch.Generator().manual_seed(5)) for _ in range(2))
    assert first.shape == images_BC.shape and first.dtype == torch.float32
    assert first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, again) and torch.equal(images_BC, before)
    assert torch.allclose(first, images_BC, atol=1e-5) == (name == "identity")


def test_a_copied_half_is_shown_where_it_is(data, detector):
    built, images = detector("copylens"), read_array(data / "images.npy")
    module, kind = load_detector(built.folder), family_of_detector(built.folder)
    half = images.shape[-1] // 2
    for number in range(5):
        source, other = (as_batch(images[row : row + 1]) for row in (number, 60 + number))
        query = torch.cat([source[..., :half], other[..., half:]], dim=-1)
        (found,) = kind.where(module, query[0], source)
        assert found.shape == images.shape[1:]
        assert found[..., :half].mean() > 0.05 + found[..., half:].mean()


@pytest.mark.parametrize("grid", [(16, 12), (8, 10, 12)])
def test_a_registration_stays_on_its_device(grid):
    """On the meta device, which refuses a tensor of another one as a GPU does."""
    image = torch.empty(2, 1, *grid, device="meta")
    found = match(image, image, reach=(2, 1), windows=(5, 7), step=2)
    assert found.device.type == "meta" and found.shape == (2, *(size // 2 for size in grid))


def test_the_configuration_knows_every_transform():
    from copylens.config.schema import _schema

    assert _schema()["$defs"]["transform"]["enum"] == list(transforms.TRANSFORMS)


@pytest.mark.parametrize("family", ["turn", "zoom", "shift", "inverted", "organ"])
def test_the_source_of_a_copy_in_another_pose_is_named(data, detector, family):
    images = as_batch(read_array(data / "images.npy"))
    if images.ndim == 5:
        pytest.skip("volumes of 16 voxels a side are too small for it")
    built, train = detector("copylens"), SETS["train"]
    generator = torch.Generator().manual_seed(0)
    copies = families.apply(family, 0.5, images[:12], images[60:72], generator)
    comparer = Comparer(
        built.folder, all_of(read_array(data / "images.npy"), read_array(built.scans))[np.arange(train)]
    )
    array = copies[:, 0].numpy()
    found = comparer.nearest(all_of(array, Embedder(built.folder)(array)), 24)[1][:, 0]
    assert (found == np.arange(12)).mean() > 0.8


@pytest.mark.parametrize("shortlist", [10, 100])
@pytest.mark.parametrize("grid", [[4, 4], [16, 6], [4, 6, 10]])
def test_small_images_have_poses_and_windows_too(grid, shortlist):
    images = torch.rand(30, 1, *grid, generator=torch.Generator().manual_seed(0))
    module = copylens.build(settings_of("copylens") | {"examples": 8, "shortlist": shortlist}, grid)
    copylens.fit(module, images)
    score, position = search_of(module, images, images[:5], 8)
    assert (position[np.arange(5), score.argmax(axis=1)] == np.arange(5)).all()


def test_a_side_of_two_pixels_is_too_small():
    with pytest.raises(ValueError, match=r"copylens: images of 32 x 32 x 2 .* each side needs 4 at least"):
        copylens.build(settings_of("copylens"), [32, 32, 2])
