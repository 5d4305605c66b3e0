"""A checked configuration, resolved to the settings of one audit. Imports neither torch nor numpy."""

from copylens.config.kinds import can
from copylens.config.spec import listing_settings, networks, with_sorted_keys
from copylens.config.upstream import autoencoder_dataset, autoencoder_of

# The files of a network's samples that an audit uses.
SAMPLED = {"synthetic": "images", "decoded": "reconstructed"}


def of_study(config: dict, study: str) -> dict[str, dict]:
    """The audits of a study's networks by name, as entries of the configuration; none where the study asks for none.

    `weights` asks about the networks that have any that membership can be tested by: controls have none.
    """
    entry = config["studies"][study]
    if entry["audit"] is None:
        return {}
    audits = {
        name_in_study(config, study, network): {
            "training": network["dataset"],
            "held_out": None,
            "synthetic": {key: network[key] for key in ("model", "variant", "seed")},
            **entry["audit"],
            "weights": entry["audit"]["weights"] and tests_membership(config["models"][network["model"]]),
        }
        for network in networks(config, study)
    }
    if len(audits) < len(networks(config, study)):
        raise ValueError(f"studies.{study}.audit: two of its networks' audits would have one name; rename a variant")
    return audits


def tests_membership(model: dict) -> bool:
    """Whether a model's denoising losses can be measured, by which membership is tested."""
    return can("models", model["kind"], "errors_by_noise") and model.get("losses", True) is not None


def name_in_study(config: dict, study: str, network: dict) -> str:
    """The name of the audit of one of a study's networks (`copylens.config.spec.networks`)."""
    several = len(config["studies"][study]["datasets"]) > 1
    named = [network["dataset"]] if several else []
    return "_".join([study, *named, network["model"], network["variant"], str(network["seed"])])


def datasets(config: dict, audit: str) -> dict[str, str]:
    """The data sets that an audit opens, by role: training, held_out, synthetic."""
    entry = config["audits"][audit]
    named = {
        "training": entry["training"],
        "held_out": entry["held_out"],
        "synthetic": entry["synthetic"].get("dataset"),
    }
    return {part: name for part, name in named.items() if name}


def network(config: dict, audit: str) -> dict | None:
    """The network whose samples are audited, as its path's wildcards; None where they are a data set."""
    named = config["audits"][audit]["synthetic"]
    if "model" not in named:
        return None
    return {"dataset": config["audits"][audit]["training"], **{key: named[key] for key in ("model", "variant", "seed")}}


def images(config: dict, audit: str) -> dict[str, str]:
    """The arrays and tables that an audit's images come from, by role."""
    named = datasets(config, audit)
    files = {f"{part}_images": f"results/data/{name}/images.npy" for part, name in named.items()}
    files |= {f"{part}_scans": f"results/data/{name}/scans.tsv" for part, name in named.items()}
    if config["datasets"][named["training"]]["split"]:
        files["training_splits"] = f"results/data/{named['training']}/splits.tsv"
    generator = network(config, audit)
    if generator is None:
        files["synthetic"] = files.pop("synthetic_images")
        return files
    folder = "{dataset}/{model}/{variant}/seed{seed}".format(**generator)
    files["training_rows"] = f"results/models/{folder}/training_rows.tsv"
    return files | {name: f"results/samples/{folder}/{file}.npy" for name, file in SAMPLED.items()}


def synthetic_scans(config: dict, audit: str) -> list[str]:
    """scans.tsv of the synthetic images, if they are a data set."""
    named = datasets(config, audit).get("synthetic")
    return [f"results/data/{named}/scans.tsv"] if named else []


def real_scans(config: dict, audit: str) -> list[str]:
    """scans.tsv of the training images, then of the held-out ones if they are another data set."""
    named = datasets(config, audit)
    return [f"results/data/{named[part]}/scans.tsv" for part in ("training", "held_out") if part in named]


def weights(config: dict, audit: str) -> list[str]:
    """The weights of an audited network, and then of the autoencoder that it works on, if it has one."""
    generator = network(config, audit)
    assert generator is not None, f"{audit} audits no network"
    dataset, model, variant = (generator[key] for key in ("dataset", "model", "variant"))
    below = autoencoder_of(config, model, variant)
    named = [(dataset, model, variant)]
    named += [(autoencoder_dataset(config, dataset, model, variant), *below)] if below else []
    folder = f"results/models/{{}}/{{}}/{{}}/seed{generator['seed']}/weights.safetensors"
    return [folder.format(*names) for names in named]


def comparisons(config: dict, audit: str) -> list[str]:
    """The nearest training images by each detector of an audit, the deciding detector first."""
    return [f"results/audits/{audit}/restricted/nearest/{name}.npz" for name in config["audits"][audit]["detectors"]]


def other_audit(config: dict, audit: str) -> str | None:
    """The first audit of the same study, data set and seed, which shares real images with this one; None for itself."""
    for study, entry in config["studies"].items():
        named = {name_in_study(config, study, each): each for each in networks(config, study)} if entry["audit"] else {}
        if audit in named:
            alike = {(each["dataset"], each["seed"]): name for name, each in reversed(named.items())}
            first = alike[named[audit]["dataset"], named[audit]["seed"]]
            return None if first == audit else first
    return None


def membership(config: dict, audit: str) -> list[str]:
    """The losses of the membership test, if weights are to be released."""
    tested = config["audits"][audit]["weights"]
    return [f"results/audits/{audit}/restricted/membership.npz"] if tested else []


def shown(config: dict, audit: str) -> dict:
    """An audit's entry as its report shows it, without the folders and files of its data sets."""
    return with_sorted_keys(config["audits"][audit])


def sources(config: dict, audit: str) -> dict:
    """The sources of an audit's images: how each data set is listed, and the seed of the held-out split."""
    listed = {part: listing_settings(config, name) for part, name in datasets(config, audit).items()}
    return with_sorted_keys({"listing": listed, "seed": config["audits"][audit]["seed"]})


def planted(config: dict, audit: str) -> dict:
    """Settings of the copies planted among an audit's own images."""
    entry = config["audits"][audit]
    return with_sorted_keys(
        {**entry["planted"], "transforms": entry["policy"]["transforms"], "round_trip": None, "families": None}
    )


def policy(config: dict, audit: str) -> dict:
    """An audit's policy, with its detectors and seed."""
    entry = config["audits"][audit]
    return with_sorted_keys(entry["policy"]) | {"detectors": entry["detectors"], "seed": entry["seed"]}


def files(config: dict, audit: str) -> list[str]:
    """An audit's outputs."""
    folder = f"results/audits/{audit}"
    return [f"{folder}/public/report.html", f"{folder}/restricted/report.html", f"{folder}/restricted/rest"]
