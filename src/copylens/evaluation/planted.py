"""Planted copies: training images under known transforms, and control images under the same transforms.

The share of planted copies that a detector finds is its sensitivity, the share of control images its false positive
rate.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from copylens.config.kinds import implementation
from copylens.data.splits import rows_of
from copylens.evaluation import families, transforms
from copylens.generation.load import load_autoencoder, load_model
from copylens.generation.sample import reconstruct
from copylens.jobs.files import new_array, read_array, read_table, write_table
from copylens.jobs.job import timed
from copylens.jobs.seeds import derive_seed, generator_of
from copylens.training.tensors import as_batch

ROUND_TRIPS = "round trip"


def plant_copies(
    settings: dict,
    images_path: Path,
    splits_path: Path,
    network: list[Path],
    planted_path: Path,
    sources_path: Path,
    transforms_path: Path,
) -> None:
    """Write the planted images, float32 [transform, source, *grid], and tables of the first two axes.

    sources: row (of images.npy), patient, role (train or control); at most `copies` of each role, one per patient as
    long as they last. transforms: transform, group (of `transforms` or of `families`, or round trip). `network` is
    empty, or the folders of an autoencoder and of a diffusion model on its latents, whose round trips are planted too:
    decode(encode(x)), without and with noise that is added to the latents and removed again.
    """
    images, splits = read_array(images_path), read_table(splits_path)
    sources = _sources(splits, settings["copies"], settings["seed"])
    images_BC = as_batch(images[sources["row"]])
    partners_BC = images_BC[_partners(sources, settings["seed"])]
    changes = _changes(settings, images.ndim - 1)
    table = [{"transform": change.name, "group": change.group} for change in changes]
    strengths = settings["round_trip"]["strengths"] if network else []
    table += [{"transform": round_trip_name(strength), "group": ROUND_TRIPS} for strength in strengths]
    with new_array(planted_path, (len(table), *images_BC[:, 0].shape)) as planted, timed("planting"):
        for number, change in enumerate(changes):
            generator = torch.Generator().manual_seed(derive_seed(settings["seed"], change.name))
            planted[number] = change.apply(images_BC, partners_BC, generator)[:, 0].numpy()
        for number, strength in enumerate(strengths, start=len(changes)):
            planted[number] = _round_trip(network, images_BC, strength, settings["seed"])[:, 0].numpy()
    write_table(sources, sources_path)
    write_table(pd.DataFrame(table, columns=["transform", "group"]), transforms_path)


class Change(NamedTuple):
    """One change of the images: its name in the tables, its group, and what it does."""

    name: str
    group: str
    apply: transforms.Transform


def _changes(settings: dict, dims: int) -> list[Change]:
    """The named transforms, all where neither they nor families are named, then each family at each severity."""
    drawn = settings["families"]
    names = settings["transforms"] or ([] if drawn else transforms.names(dims))
    group_of = {name: group for group, names in transforms.GROUPS.items() for name in names}
    changes = [Change(name, group_of[name], functools.partial(transforms.apply, name)) for name in names]
    if drawn is None:
        return changes
    chosen = drawn["names"] or list(families.FAMILIES)
    return changes + [
        Change(families.family_name(name, severity), group, functools.partial(families.apply, name, severity))
        for group, names in families.GROUPS.items()
        for name in names
        if name in chosen
        for severity in sorted(drawn["severities"])
    ]


def round_trip_name(strength: float) -> str:
    """`autoencoder`, or `denoised_30` for 30 % of the noise levels."""
    return "autoencoder" if strength == 0 else f"denoised_{round(100 * strength):02d}"


def _sources(splits: pd.DataFrame, copies: int, seed: int) -> pd.DataFrame:
    """The rows to plant: of each role, patients in random order, every patient's first image before any second."""
    tables = []
    for role in ("train", "control"):
        rows = rows_of(splits, role)
        table = pd.DataFrame({"row": rows, "patient": splits["patient"].to_numpy()[rows], "role": role})
        shuffled = table.sample(frac=1, random_state=generator_of("planted sources", seed))
        order = shuffled.groupby("patient").cumcount()
        tables.append(shuffled.loc[order.sort_values(kind="stable").index][:copies])
    return pd.concat(tables, ignore_index=True)


def _partners(sources: pd.DataFrame, seed: int) -> np.ndarray:
    """For each source another patient's control image, as its position among the sources."""
    controls = np.flatnonzero(sources["role"] == "control")
    patients = sources["patient"].to_numpy()
    drawn = generator_of("planted controls", seed).choice(controls, len(sources))
    for number in np.flatnonzero(patients[drawn] == patients):
        others = controls[patients[controls] != patients[number]]
        drawn[number] = others[number % len(others)] if len(others) else number
    return drawn


def _round_trip(network: list[Path], images_BC: torch.Tensor, strength: float, seed: int) -> torch.Tensor:
    """The images through an autoencoder, with noise of `strength` added to their latents and removed again."""
    upstream, folder = network
    if strength == 0:
        return reconstruct(load_autoencoder(upstream), images_BC)
    module = load_model(folder, upstream)
    return implementation("models", module.settings["kind"]).round_trip(module, images_BC, strength, seed)
