"""A network that learns from another's samples, and never sees the training images."""

import pytest
from tiny_trainings import draw_into, files_of, long, tiny_settings, train_into, weights_of

from copylens.config import checks, upstream
from copylens.generation.train import train_model
from copylens.jobs.files import read_array, read_table, write_array
from copylens.jobs.workdir import Unfinished


@pytest.fixture
def taught(tiny, data):
    """Settings of a student, and its files: the samples are those of a tiny network."""
    train_into(long(tiny["models"]["autoencoder"], 6), data, data / "below", None)
    settings = long(tiny_settings(tiny, "models", "latent_diffusion"), 8)
    train_into(settings, data, data / "teacher", data / "below")
    drawn = draw_into(data / "drawn", data, data / "teacher", data / "below", settings["sampling"])
    files = files_of(data, data / "below") | {"teacher": drawn[0].rename(data / "samples.npy")}
    return settings | {"teacher": {"model": "ldm", "variant": "base"}}, files


def trained(settings: dict, files: dict, folder) -> bytes:
    train_model(settings, 0, files, folder, Unfinished(folder.with_name(f"work_{folder.name}")))
    return weights_of(folder)


def test_a_student_learns_from_samples_alone_and_is_compared_with_training_images(taught, data):
    settings, files = taught
    first = trained(settings, files, data / "student")
    rows = read_table(data / "student" / "training_rows.tsv")
    assert rows.equals(read_table(data / "teacher" / "training_rows.tsv"))
    assert first != weights_of(data / "teacher")

    images = read_array(files["images"]).copy()
    images[rows["row"]] = 0.5  # its own training images don't reach it
    write_array(images, data / "others.npy")
    assert trained(settings, files | {"images": data / "others.npy"}, data / "same") == first
    write_array(1 - read_array(files["teacher"]), data / "other_samples.npy")
    assert trained(settings, files | {"teacher": data / "other_samples.npy"}, data / "other") != first


def student(tiny: dict, **changes) -> dict:
    """The model ldm, in the study `tiny` by itself, which learns from the model `teacher`."""
    tiny["studies"] = {"tiny": tiny["studies"]["tiny"] | {"variants": ["base"], "more_variants": {}}}
    ldm = tiny["models"]["ldm"]
    tiny["models"]["teacher"] = {**ldm}
    training = ldm["training"] | changes.pop("training", {})
    tiny["models"]["ldm"] = ldm | {"teacher": {"model": "teacher"}, "training": training} | changes
    tiny["variants"]["slow"] = {"sampling": {"steps": 5000}}
    return tiny


def test_the_teacher_is_found_by_its_name(tiny):
    config = checks.check(student(tiny))
    assert upstream.teacher_of(config, "ldm", "base") == {"model": "teacher", "variant": "base"}
    assert upstream.teacher_of(config, "teacher", "base") is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher": {"model": "nobody"}}, r"models.ldm.teacher.model: no entry 'nobody'"),
        ({"teacher": {"model": "ldm"}}, r"models.ldm.teacher: learns from samples itself"),
        ({"teacher": {"model": "autoencoder"}}, r"models.ldm.teacher.model: 'autoencoder' isn't trained and sampled"),
        ({"teacher": {"model": "copycat"}}, r"models.ldm.teacher.model: 'copycat' isn't trained and sampled"),
        ({"teacher": {"model": "teacher", "variant": "slow"}}, r"models.teacher with variants.slow.sampling.steps: at"),
        ({"n_train": 4}, r"models.ldm.n_train: must be that of models.ldm.teacher, None"),
        ({"training": {"stop": {}}}, r"models.ldm.training.stop: is about training images, which it never sees"),
    ],
)
def test_what_a_student_cant_be_is_named(tiny, changes, message):
    with pytest.raises(ValueError, match=message):
        checks.check(student(tiny, **changes))
