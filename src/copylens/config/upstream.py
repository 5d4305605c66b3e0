"""The networks that a network comes from: an autoencoder, one it starts from, one whose samples it learns from."""

from copylens.config.spec import USAGE_KEYS, resolve, runs


def autoencoder_of(config: dict, model: str, variant: str) -> tuple[str, str] | None:
    """(model, variant) of the autoencoder in whose latent space `model` works; None if it has none."""
    named = resolve(config, model, variant).get("autoencoder")
    return (named["model"], named["variant"]) if named else None


def pretrained_of(config: dict, model: str, variant: str) -> dict | None:
    """The network that `model` starts from: dataset, model, variant; None if it starts anew."""
    return resolve(config, model, variant).get("pretrained")


def teacher_of(config: dict, model: str, variant: str) -> dict | None:
    """The network whose samples `model` learns from: model, variant; None if it learns from training images."""
    return resolve(config, model, variant).get("teacher")


def autoencoder_dataset(config: dict, dataset: str, model: str, variant: str) -> str:
    """The data set on which the autoencoder below a model on `dataset` was trained."""
    return (pretrained_of(config, model, variant) or {"dataset": dataset})["dataset"]


def with_autoencoder(config: dict, model: str, variant: str) -> list[tuple[str, str]]:
    """(model, variant) of the autoencoder that a latent diffusion model works on, and of that model."""
    below = autoencoder_of(config, model, variant)
    assert below is not None, f"{model} has no autoencoder"
    return [below, (model, variant)]


def trained_variant(config: dict, variant: str) -> str:
    """The variant whose networks are those of `variant`: base, where it changes only how trained networks are used."""
    return "base" if set(config["variants"][variant]) <= set(USAGE_KEYS) else variant


def reusing_variants(config: dict) -> list[str]:
    """The variants, base left out, that base's networks are used for."""
    return [name for name in config["variants"] if name != "base" and trained_variant(config, name) == "base"]


def round_trip(config: dict, dataset: str) -> list[dict]:
    """Autoencoder and diffusion model that planted copies of `dataset` go through, as their paths' wildcards."""
    named = config["datasets"][dataset]["planted"]["round_trip"]
    if named is None:
        return []
    return [
        {"dataset": place, "model": model, "variant": variant, "seed": named["seed"]}
        for place, (model, variant) in zip(
            (autoencoder_dataset(config, dataset, named["model"], named["variant"]), dataset),
            with_autoencoder(config, named["model"], named["variant"]),
            strict=True,
        )
    ]


def trained_networks(config: dict, study: str) -> list[dict]:
    """Every network that a study trains, each once: dataset, network (its label) and folder in results/."""
    networks = {}
    for run in runs(config, study):
        place = autoencoder_dataset(config, run["dataset"], run["model"], run["variant"])
        below = autoencoder_of(config, run["model"], run["variant"])
        named = [(run["dataset"], run["model"], run["variant"]), *([(place, *below)] if below else [])]
        for dataset, model, variant in named:
            if "training" not in config["models"][model]:
                continue
            folder = f"results/models/{dataset}/{model}/{variant}/seed{run['seed']}"
            label = model if variant == "base" else f"{model} {variant}"
            networks[folder] = {"dataset": dataset, "network": label, "folder": folder}
        if "training" not in config["detectors"][run["detector"]]:
            continue
        folder = f"results/detectors/{run['dataset']}/{run['detector']}"
        networks[folder] = {"dataset": run["dataset"], "network": run["detector"], "folder": folder}
    return list(networks.values())
