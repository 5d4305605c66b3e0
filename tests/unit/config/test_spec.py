"""A configuration is refused with the path of the key that is wrong, and resolves to sorted settings."""

import copy
import math

import pytest
import yaml
from conftest import ROOT

from copylens.config import checks, spec
from copylens.config.dependencies import code_of
from copylens.config.kinds import PACKAGE, kinds, settings_schema
from copylens.config.schema import validate


def test_every_shipped_configuration_is_valid():
    for path in [ROOT / "config.yaml", *(ROOT / "configs").glob("*.yaml")]:
        checks.load_config(path)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("studys", {}, "studys: unknown key; did you mean 'studies'"),
        ("datasets.chest.gird", [8, 8], "datasets.chest.gird: unknown key; did you mean 'grid'"),
        ("datasets.chest.split.trian", 3, "datasets.chest.split.trian: unknown key"),
        ("datasets.chest.scaling.kindd", "minmax", "datasets.chest.scaling.kindd: unknown key"),
        ("models.ldm.trainig", {}, "models.ldm.trainig: unknown key; did you mean 'training'"),
        ("models.ldm.training.step", 3, "models.ldm.training.step: unknown key; did you mean 'steps'"),
        ("models.ldm.autoencoder.modle", "x", "models.ldm.autoencoder.modle: unknown key"),
        ("models.ldm.sampling.stepz", 3, "models.ldm.sampling.stepz: unknown key"),
        ("detectors.ntxent.temprature", 1, "detectors.ntxent.temprature: unknown key"),
        ("studies.tiny.modles", [], "studies.tiny.modles: unknown key"),
        ("variants.wide.chanels", [1], "chanels: unknown key; did you mean 'channels'"),
        ("models.ldm.training.steps", "many", "models.ldm.training.steps: must be integer, not 'many'"),
        ("models.ldm.training.learning_rate", "1e-4", "write a number like 1.0e-4"),
        ("datasets.chest.grid", "16x16", "datasets.chest.grid: must be array"),
        ("models.ldm.prediction", "noise", "models.ldm.prediction: must be one of epsilon, v_prediction"),
        (
            "models.ldm.kind",
            "latent_difusion",
            "models.ldm.kind: unknown model 'latent_difusion'; there are autoenc",
        ),
        (
            "detectors.ntxent.kind",
            "siamese",
            "detectors.ntxent.kind: unknown detector 'siamese'; there are aligned",
        ),
        (
            "datasets.chest.reader",
            "dcm",
            "datasets.chest.reader: unknown reader 'dcm'; there are dicom_series",
        ),
        (
            "models.ldm.autoencoder.model",
            "vqgan",
            "models.ldm.autoencoder.model: no entry 'vqgan'; there are auto",
        ),
        ("models.ldm.autoencoder.model", "ldm", "models.ldm.autoencoder.model: 'ldm' has no latent space"),
        ("models.ldm.autoencoder.variant", "big", "models.ldm.autoencoder.variant: no entry 'big'"),
        (
            "studies.tiny.datasets",
            ["chst"],
            "studies.tiny.datasets[0]: no entry 'chst'; there are chest, knee",
        ),
        (
            "studies.tiny.figures",
            ["pie"],
            "studies.tiny.figures[0]: unknown figure 'pie'; there are copied_regions",
        ),
        (
            "studies.tiny.figures",
            ["severity_curves"],
            "studies.tiny.figures: severity_curves needs datasets.chest.planted.families, such as {}",
        ),
        (
            "datasets.chest.planted",
            {"families": {"names": ["zomo"]}},
            "datasets.chest.planted.families.names.0: must be one of turn, zoom",
        ),
        (
            "datasets.chest.planted",
            {"families": {"severities": [2]}},
            "datasets.chest.planted.families.severities.0: 2 is greater",
        ),
        ("studies.tiny.more_variants", {"lmd": ["base"]}, "studies.tiny.more_variants: no entry 'lmd'; there are ldm"),
        ("studies.tiny.more_variants", {"ldm": ["big"]}, "studies.tiny.more_variants.ldm[0]: no entry 'big'"),
        ("audits.release.training", "chst", "audits.release.training: no entry 'chst'; there are chest, knee"),
        ("audits.release.held_out", "chest", "audits.release.held_out: is the training set"),
        ("audits.release.held_out", "knee", "datasets.knee.grid: must be that of datasets.chest, because"),
        (
            "audits.replay.synthetic",
            {"dataset": "chest"},
            "datasets.chest.grid: must be that of datasets.knee, because",
        ),
        ("audits.release.synthetic", {"model": "autoencoder"}, "'autoencoder' can't be sampled"),
        (
            "audits.release.synthetic",
            {"model": "gan"},
            "audits.release.weights: membership is tested on a model of one of these kinds only: command, ",
        ),
        (
            "audits.release.synthetic",
            {"model": "elsewhere"},
            "audits.release.weights: give models.elsewhere.losses, the command that measures denoising losses",
        ),
        ("models.elsewhere.command", [], "models.elsewhere.command: "),
        (
            "audits.release.detectors",
            ["random", "windows"],
            "audits.release.detectors: needs at least 3 entries, not 2",
        ),
        ("audits.replay.policy", {"transforms": ["jpeg"]}, "audits.replay.policy.transforms: jpeg is for 2D images"),
        ("audits.release.policy", {"copys": 0.1}, "audits.release.policy.copys: unknown key; did you mean 'copies'"),
        ("studies.tiny.quality", "radimagenet", "studies.tiny.quality: no entry 'radimagenet'"),
        ("studies.tiny.models", ["autoencoder"], "studies.tiny.models[0]: 'autoencoder' can't be sampled"),
        ("datasets.chest.grid", [16, 18], "for example 16x16"),
        ("datasets.knee.grid", [16, 16], "datasets.knee.grid: the mr phantom needs 3 sizes"),
        ("datasets.chest.scaling", {"kind": "window", "low": 5, "high": 5}, "low (5) must be below high (5)"),
        ("datasets.chest.scaling", {"kind": "window"}, "datasets.chest.scaling: missing low, high"),
        ("datasets.chest.scaling", {"low": 5, "high": 9}, "low and high need a kind"),
        ("datasets.chest.split.train", 900, "datasets.chest.n_patients is"),
        ("models.ldm.training.steps", 10.0, "models.ldm.training.steps: must be integer, not 10.0"),
        ("models.ldm.attention_levels", [True], "models.ldm.attention_levels: needs 2 entries"),
        ("models.ldm.channels", [8, 12], "models.ldm.channels: every width must be a multiple of norm_groups (8)"),
        ("models.ldm.sampling.steps", 2000, "models.ldm.sampling.steps: at most timesteps"),
        ("detectors.ntxent.channels_2d", [8, 8], "detectors.ntxent.channels_2d: needs 4 entries, not 2"),
        ("audits.release.policy", {"sensitivity": math.nan}, "policy.sensitivity: must be number, not nan"),
        ("models.ldm.training.learning_rate", math.inf, "training.learning_rate: must be number, not inf"),
        ("models.ldm.kind", "two\nlines", r"models.ldm.kind: unknown model 'two\nlines'; there are"),
        ("datasets.chest.two\nlines", 1, r"datasets.chest.'two\nlines': unknown key"),
        ("studies.tiny.variants", ["base\n"], r"studies.tiny.variants.0: 'base\n' does not match"),
    ],
)
def test_a_wrong_key_is_named_with_what_would_be_right(path, value, message):
    config = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    place = config
    *parents, last = path.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    with pytest.raises(ValueError) as error:
        checks.check(config)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_entries_that_share_a_part_by_an_alias_get_defaults_of_their_own(tiny):
    tiny["models"]["ldm"]["sampling"] = tiny["models"]["elsewhere"]["sampling"] = {"n_samples": 4}
    assert tiny["models"]["ldm"]["sampling"] is tiny["models"]["elsewhere"]["sampling"]
    models = checks.check(tiny)["models"]
    assert "sampler" in models["ldm"]["sampling"] and "sampler" not in models["elsewhere"]["sampling"]


@pytest.mark.parametrize("key", [True, 1, None])
def test_a_key_that_yaml_reads_as_something_else_is_named(tiny, key):
    tiny["variants"]["wide"][key] = 1
    with pytest.raises(ValueError, match=rf"^variants\.wide\.{key}: a key must be text; write it in quotes$"):
        checks.check(tiny)
    detector = ("properties", "detectors", "additionalProperties")
    with pytest.raises(ValueError, match=rf"^detector\.{key}: unknown key; known keys: kind, "):
        validate({"kind": "copylens", key: 1}, "detector", detector)


def test_a_patient_expression_without_a_group_is_refused(tiny):
    chest = {"reader": "image_folder", "root": "x", "patient": r"\d+", "grid": [16, 16]}
    chest["split"] = {"train": 1, "calibration": 20, "control": 1}
    tiny["datasets"]["chest"] = chest
    with pytest.raises(ValueError, match=r"datasets\.chest\.patient: needs a group"):
        checks.check(tiny)


@pytest.mark.parametrize("patient", ["(a", "(a{99999999999999999999})", "(" * 3000 + "a" + ")" * 3000])
def test_an_expression_that_python_refuses_is_named(tiny, patient):
    tiny["datasets"]["chest"] = folder_of_images(patient=patient)
    with pytest.raises(ValueError, match=r"^datasets\.chest\.patient: .*is not a 'regex'"):
        checks.check(tiny)


def folder_of_images(**changes) -> dict:
    return {"reader": "image_folder", "root": "x", "grid": [16, 16]} | changes


def test_a_set_of_synthetic_images_has_neither_patients_nor_a_split(tiny, monkeypatch):
    monkeypatch.delenv("COPYLENS_DATA", raising=False)
    tiny["datasets"]["synthetic"] = folder_of_images()
    config = checks.check(tiny)
    assert spec.listing_settings(config, "synthetic") == {
        "limits": {"bytes": 512000000, "padded": 1000000000, "pixels": 64000000, "seconds": 8},
        "patient": None,
        "pattern": "**/*.*",
        "reader": "image_folder",
        "root": "x",
    }
    assert spec.split_settings(config, "synthetic") == {"duplicates": "list"}
    config["studies"]["tiny"]["datasets"] = ["synthetic"]
    with pytest.raises(ValueError, match=r"datasets\.synthetic\.split: studies\.tiny needs it"):
        checks.check(config)
    config["datasets"]["synthetic"] |= {"table": "patients.csv"}
    assert spec.table_files(checks.check(config), "synthetic") == ["data/x/patients.csv"]


def test_only_data_sets_of_files_have_tables(tiny):
    tiny["datasets"]["chest"]["table"] = "patients.csv"
    with pytest.raises(ValueError, match=r"datasets\.chest\.table: the reader phantom opens no files"):
        checks.check(tiny)
    tiny["datasets"]["chest"] = folder_of_images(table="patients.csv", patient="(.+)")
    with pytest.raises(ValueError, match=r"datasets\.chest\.patient: the table patients\.csv gives the patients"):
        checks.check(tiny)


def test_classes_are_named_by_columns_and_are_several(tiny):
    tiny["datasets"]["chest"] = folder_of_images(table="patients.csv", about=["site"], only={"sex": "F"})
    with pytest.raises(ValueError, match=r"datasets\.chest\.only: no column 'sex' in datasets\.chest\.about"):
        checks.check(tiny)
    tiny["datasets"]["chest"]["only"] = {"site": "Bern"}
    tiny["datasets"]["basel"] = tiny["datasets"]["chest"] | {"only": {"site": "Basel"}}
    tiny["studies"]["tiny"] |= {"usefulness": {"classes": True}, "datasets": ["chest", "basel"]}
    checks.check(tiny)
    for changes, message in (
        ({"only": {"site": "Bern"}}, r"datasets\.basel\.only: must name another value than datasets\.chest\.only"),
        ({"about": ["sex"], "only": {"sex": "F"}}, r"datasets\.basel\.only: must name another value"),
        ({"grid": [32, 32]}, r"datasets\.basel\.grid: must be that of datasets\.chest"),
        ({"grid": [18, 18]}, r"datasets\.basel\.grid \(for studies\.tiny\.usefulness\): 18x18 can't be halved"),
    ):
        wrong = tiny | {"datasets": tiny["datasets"] | {"basel": tiny["datasets"]["basel"] | changes}}
        with pytest.raises(ValueError, match=message):
            checks.check(wrong)
    tiny["studies"]["tiny"]["datasets"] = ["chest"]
    with pytest.raises(ValueError, match=r"tiny\.usefulness\.classes: studies\.tiny\.datasets names one class only"):
        checks.check(tiny)


def test_what_every_data_set_may_say_is_said_by_no_reader():
    for reader in kinds("readers"):
        assert not {"grid", "fit", "scaling", "split", "planted", "duplicates", "table", "about"} & set(
            settings_schema("readers", reader)["properties"]
        )


def test_a_variant_is_laid_over_its_model_key_by_key(tiny):
    tiny["variants"]["long"] = {"training": {"steps": 9}}
    settings = spec.resolve(tiny, "ldm", "long")
    assert settings["training"]["steps"] == 9
    assert settings["training"]["batch_size"] == tiny["models"]["ldm"]["training"]["batch_size"]


def test_the_order_of_keys_does_not_matter(tiny):
    def reversed_keys(value):
        return {k: reversed_keys(value[k]) for k in reversed(value)} if isinstance(value, dict) else value

    turned = reversed_keys(copy.deepcopy(tiny))
    for settings in (
        lambda config: spec.training_settings(config, "ldm", "wide"),
        lambda config: spec.detector_settings(config, "ntxent"),
        lambda config: spec.listing_settings(config, "chest"),
        lambda config: spec.image_settings(config, "chest"),
        lambda config: spec.split_settings(config, "chest"),
    ):
        assert repr(settings(checks.check(turned))) == repr(settings(tiny))


def test_how_a_network_is_used_is_no_part_of_its_training(tiny):
    before = spec.training_settings(tiny, "ldm", "base")
    tiny["models"]["ldm"]["sampling"]["steps"] = 7
    assert spec.training_settings(tiny, "ldm", "base") == before
    assert spec.sampling_settings(tiny, "ldm", "base")["steps"] == 7


def test_a_study_looks_at_more_variants_of_single_models(tiny):
    tiny["studies"]["tiny"] |= {"variants": ["base"], "more_variants": {"ldm": ["wide"]}}
    networks = [(network["model"], network["variant"]) for network in spec.networks(checks.check(tiny), "tiny")]
    assert networks == [("ldm", "base"), ("ldm", "wide"), ("copycat", "base"), ("unseen", "base")]


def test_more_scans_than_there_are_is_refused_before_anything_runs(tiny):
    tiny["variants"]["scans_0099"] = {"n_train": 99}
    tiny["studies"]["tiny"]["more_variants"] = {"ldm": ["scans_0099"]}
    tiny["datasets"]["chest"]["split"]["scans_per_patient"] = 1
    message = (
        r"models.ldm with variants.scans_0099.n_train: asks for 99 training images, but .*chest.split.train has 16"
    )
    with pytest.raises(ValueError, match=message):
        checks.check(tiny)


def test_a_kinds_file_says_what_its_results_depend_on():
    """Its own file and what that imports, so that an edit reruns what it must; not what only reads and writes."""
    names = {path.relative_to(PACKAGE).as_posix() for path in code_of("models", "latent_diffusion", "training/loop")}
    assert names == {
        "generation/models/latent_diffusion.py",
        "generation/denoising.py",
        "generation/diffusion.py",
        "generation/ambient.py",
        "generation/avoidance.py",
        "imaging/correlation.py",
        "training/stopping.py",
        "training/privacy.py",
        "training/batches.py",
        "training/module.py",
        "imaging/augment.py",
        "training/callbacks.py",
        "training/loop.py",
        "training/checkpoints.py",
        "imaging/warps.py",
        "jobs/seeds.py",
        "config/grids.py",
    }
    assert PACKAGE / "generation" / "autoencoders.py" in code_of("models", "autoencoder_vq")
