"""A checked configuration, resolved to the settings of one audit. Imports neither torch nor numpy."""

from copylens.config.spec import listing_settings, with_autoencoder, with_sorted_keys

# What an audit takes of a network's samples.
SAMPLED = {"synthetic": "images", "decoded": "reconstructed"}


def datasets(config: dict, audit: str) -> dict[str, str]:
    """The data sets that an audit opens, by what they are to it: training, held_out, synthetic."""
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
    """The arrays and tables that an audit's images come from, by what they are to it."""
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
    """scans.tsv of the data set of synthetic images, where they are one."""
    named = datasets(config, audit).get("synthetic")
    return [f"results/data/{named}/scans.tsv"] if named else []


def records(config: dict, audit: str) -> dict[str, str]:
    """The records of the data sets' files, which lie beside what is declared of them."""
    named = datasets(config, audit)
    return {part: f"results/data/{name}/restricted/files.json" for part, name in named.items()}


def weights(config: dict, audit: str) -> list[str]:
    """The weights of the autoencoder that an audited network works on, and of the network."""
    generator = network(config, audit)
    assert generator is not None, f"{audit} audits no network"
    named = with_autoencoder(config, generator["model"], generator["variant"])
    folder = f"results/models/{generator['dataset']}/{{}}/{{}}/seed{generator['seed']}/weights.safetensors"
    return [folder.format(*names) for names in named]


def comparisons(config: dict, audit: str) -> list[str]:
    """What each detector of an audit finds, the deciding one first."""
    return [f"results/audits/{audit}/restricted/nearest/{name}.npz" for name in config["audits"][audit]["detectors"]]


def membership(config: dict, audit: str) -> list[str]:
    """The losses that give away who was trained on, where weights are to be released."""
    tested = config["audits"][audit]["weights"]
    return [f"results/audits/{audit}/restricted/membership.npz"] if tested else []


def shown(config: dict, audit: str) -> dict:
    """An audit's entry, as its report shows it: no folder and no file of the data sets that it names."""
    return with_sorted_keys(config["audits"][audit])


def sources(config: dict, audit: str) -> dict:
    """What an audit's images are gathered from: how each data set is listed, and the seed of the held-out split."""
    listed = {part: listing_settings(config, name) for part, name in datasets(config, audit).items()}
    return with_sorted_keys({"listing": listed, "seed": config["audits"][audit]["seed"]})


def planted(config: dict, audit: str) -> dict:
    """Which copies are planted among an audit's own images."""
    entry = config["audits"][audit]
    return with_sorted_keys({**entry["planted"], "transforms": entry["policy"]["transforms"], "round_trip": None})


def policy(config: dict, audit: str) -> dict:
    """What an audit may say yes to, and which detectors say it."""
    entry = config["audits"][audit]
    return with_sorted_keys(entry["policy"]) | {"detectors": entry["detectors"], "seed": entry["seed"]}


def files(config: dict, audit: str) -> list[str]:
    """What an audit makes."""
    folder = f"results/audits/{audit}"
    return [f"{folder}/public/report.html", f"{folder}/restricted/report.html", f"{folder}/restricted/rest"]
