"""Checks of a model's settings beyond the schema: what would fail only when it's built, or after hours of training."""

import math

from copylens.config import spec
from copylens.config.grids import halve
from copylens.config.kinds import can

# What a latent diffusion model shares with the one that it starts from.
SHAPES = (
    *("kind", "autoencoder", "channels", "res_blocks", "attention_levels", "head_channels", "norm_groups"),
    *("prediction", "timesteps", "schedule", "beta_start", "beta_end"),
)


def check_network(config: dict, dataset: str, model: str, variant: str) -> None:
    """Check a network on a data set, and those that it starts or learns from."""
    settings = spec.resolve(config, model, variant)
    both = f"models.{model}" if variant == "base" else f"models.{model} with variants.{variant}"
    check_model(config, both, settings)
    check_halvings(config, dataset, model, settings)
    check_n_train(config, dataset, both, settings)
    check_start(config, dataset, both, settings)
    if settings.get("pretrained"):
        check_network(config, **{key: settings["pretrained"][key] for key in ("dataset", "model", "variant")})
    if settings.get("teacher"):
        check_network(config, dataset, settings["teacher"]["model"], settings["teacher"]["variant"])


def check_model(config: dict, key: str, settings: dict) -> None:
    _check_network(key, settings)
    _check_pretrained(config, key, settings)
    _check_teacher(config, key, settings)
    named = settings.get("autoencoder")
    if named is None:
        return
    check_reference(f"{key}.autoencoder.model", named["model"], config["models"])
    check_reference(f"{key}.autoencoder.variant", named["variant"], config["variants"])
    if "latent_channels" not in config["models"][named["model"]]:
        raise ValueError(f"{key}.autoencoder.model: '{named['model']}' has no latent space (no latent_channels)")
    spec.resolve(config, named["model"], named["variant"])


def _check_pretrained(config: dict, key: str, settings: dict) -> None:
    """What a training starts from, and what differential privacy rules out."""
    start, training = settings.get("pretrained"), settings.get("training", {})
    if settings.get("privacy"):
        excluded = {
            "pretrained: name a network of other images, because the autoencoder isn't private": not start,
            "training.stop: looks at the patients' losses; leave it out": training["stop"],
            "training.compile: must be false": training["compile"],
            "training.precision: must be 32-true": training["precision"] != "32-true",
        }
        looking = {name: settings["sampling"].get(name) for name in ("guidance", "reject")}
        excluded |= {f"sampling.{name}: looks at the patients; leave it out": part for name, part in looking.items()}
        for reason in (reason for reason, is_there in excluded.items() if is_there):
            raise ValueError(f"{key}.{reason} ({key}.privacy)")
    if start is None:
        return
    for name, section in (("dataset", "datasets"), ("model", "models"), ("variant", "variants")):
        check_reference(f"{key}.pretrained.{name}", start[name], config[section])
    other = spec.resolve(config, start["model"], start["variant"])
    if other.get("pretrained"):
        raise ValueError(f"{key}.pretrained: starts from another network itself; name one that starts anew")
    for name in SHAPES:
        if other.get(name) != settings.get(name):
            raise ValueError(
                f"{key}.{name}: is {settings.get(name)}; {key}.pretrained was trained with {other.get(name)}"
            )


def _check_teacher(config: dict, key: str, settings: dict) -> None:
    """A network that learns from another's samples: of the same training images, which it never sees itself."""
    teacher = settings.get("teacher")
    if teacher is None:
        return
    check_reference(f"{key}.teacher.model", teacher["model"], config["models"])
    check_reference(f"{key}.teacher.variant", teacher["variant"], config["variants"])
    other = spec.resolve(config, teacher["model"], teacher["variant"])
    if not {"training", "sampling"} <= other.keys():
        raise ValueError(f"{key}.teacher.model: '{teacher['model']}' isn't trained and sampled here; name one that is")
    if other.get("teacher"):
        raise ValueError(f"{key}.teacher: learns from samples itself; name a network that learns from training images")
    if settings["n_train"] != other.get("n_train"):
        raise ValueError(f"{key}.n_train: must be that of {key}.teacher, {other.get('n_train')}")
    excluded = {"training.stop": settings["training"]["stop"], "privacy": settings["privacy"]}
    for name in (name for name, is_set in excluded.items() if is_set):
        raise ValueError(f"{key}.{name}: is about training images, which it never sees; leave it out ({key}.teacher)")


def _check_network(key: str, settings: dict) -> None:
    """Mistakes that would fail only when the network is built, or when it is sampled after hours of training."""
    channels = settings.get("channels", [])
    levels = settings.get("attention_levels")
    if levels and len(levels) != len(channels):
        raise ValueError(f"{key}.attention_levels: needs {len(channels)} entries, one per channel width")
    groups = settings.get("norm_groups")
    if groups and any(width % groups for width in channels):
        raise ValueError(f"{key}.channels: every width must be a multiple of norm_groups ({groups}), not {channels}")
    if settings.get("training", {}).get("stop") and not can("models", settings["kind"], "losses_by_noise"):
        raise ValueError(f"{key}.training.stop: networks of kind {settings['kind']} don't denoise; leave it out")
    if settings.get("ambient") is not None and settings["augment"]:
        raise ValueError(f"{key}.ambient: gives each image one noise; leave out augment, which changes images anew")
    sampling = settings.get("sampling", {})
    if sampling.get("sampler") == "ddim" and sampling["steps"] > settings.get("timesteps", math.inf):
        raise ValueError(f"{key}.sampling.steps: at most timesteps ({settings['timesteps']}), not {sampling['steps']}")


def check_n_train(config: dict, dataset: str, both: str, settings: dict) -> None:
    """With one image per patient, the number of training images is known before anything is listed."""
    split = config["datasets"][dataset]["split"] or {}
    if split.get("scans_per_patient") == 1 and (settings.get("n_train") or 0) > split["train"]:
        raise ValueError(
            f"{both}.n_train: asks for {settings['n_train']} training images, but datasets.{dataset}.split.train has "
            f"{split['train']} patients with one image each"
        )


def check_start(config: dict, dataset: str, both: str, settings: dict) -> None:
    """The data set of the network that a training starts from."""
    if not settings.get("pretrained"):
        return
    other, key = settings["pretrained"]["dataset"], f"{both}.pretrained.dataset"
    if other == dataset:
        raise ValueError(f"{key}: is the data set that it is trained on; name another one")
    if settings["privacy"] and spec.source_of(config, other) == spec.source_of(config, dataset):
        raise ValueError(f"{key}: has the same source as datasets.{dataset}; name other patients ({both}.privacy)")
    if config["datasets"][other]["split"] is None and "table" not in config["datasets"][other]:
        raise ValueError(f"datasets.{other}.split: {key} needs it, or a table with a column split")
    if config["datasets"][other]["grid"] != config["datasets"][dataset]["grid"]:
        raise ValueError(f"datasets.{other}.grid: must be that of datasets.{dataset}, because of {key}")


def check_halvings(config: dict, dataset: str, model: str, settings: dict) -> None:
    """Every level but a network's first halves: whether the grid allows it must be known before hours of training."""
    named = settings.get("autoencoder")
    below = spec.resolve(config, named["model"], named["variant"]) if named else None
    times = sum(len(network["channels"]) - 1 for network in (settings, below or {}) if "channels" in network)
    both = f"{model} and its autoencoder" if below else model
    halve(config["datasets"][dataset]["grid"], times, f"datasets.{dataset}.grid (for {both})")


def check_reference(key: str, name: str, entries: dict) -> None:
    if name not in entries:
        raise ValueError(f"{key}: no entry '{name}'; there are {', '.join(entries)}")
