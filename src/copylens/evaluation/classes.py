"""What samples of several classes are worth: a classifier that learns from them alone, tested on patients outside T.

Each data set of a study is a class, with generators of its own. One network learns to tell the classes apart from S of
all of them, and for comparison another one from T; both are tested on V and H of all of them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from copylens.data.splits import rows_of
from copylens.jobs.files import read_array, read_table
from copylens.jobs.lean_monai import nets
from copylens.jobs.seeds import derive_seed, generator_of
from copylens.training.module import device
from copylens.training.tensors import as_batch

BATCH, LEARNING_RATE, WEIGHT_DECAY = 32, 1e-3, 1e-2
CHANNELS = (16, 32, 64, 64)
DRAWS, LEVEL = 500, 0.95  # of the bootstrap over patients


def score_classes(runs: list[dict], paths: list[dict[str, Path]], settings: dict) -> pd.DataFrame:
    """A row per network: area, area_low, area_high and area_of_training, of its model, variant and seed.

    Arguments as of `copylens.evaluation.usefulness.score_usefulness`.
    """
    recipes = [(run["model"], run["variant"], run["seed"]) for run in runs]
    found: dict[tuple, dict[str, float]] = {}
    of_training: dict[tuple, float] = {}
    for recipe in recipes:
        if recipe in found:
            continue
        files = [each for each, other in zip(paths, recipes, strict=True) if other == recipe]
        rows = [tuple(read_table(each["training_rows"])["row"]) for each in files]
        images = [read_array(each["images"]) for each in files]
        tested, labels, patients = _held_out(files, images)
        if tuple(rows) not in of_training:
            training = [part[list(of_class)] for part, of_class in zip(images, rows, strict=True)]
            of_training[tuple(rows)] = area(probabilities_of(training, tested, settings), labels)
        probabilities = probabilities_of([read_array(each["samples"])[-1] for each in files], tested, settings)
        low, high = area_interval(probabilities, labels, patients)
        areas = {"area": area(probabilities, labels), "area_low": low, "area_high": high}
        found[recipe] = areas | {"area_of_training": of_training[tuple(rows)]}
    return pd.DataFrame([found[recipe] for recipe in recipes])


def _held_out(files: list[dict[str, Path]], images: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images of V and H of all classes, the class of each, and its patient's pseudonym in that class."""
    tested, labels, patients = [], [], []
    for number, (each, part) in enumerate(zip(files, images, strict=True)):
        splits = read_table(each["splits"])
        rows = np.concatenate([rows_of(splits, role) for role in ("calibration", "control")])
        tested.append(part[rows])
        labels.append(np.full(len(rows), number))
        patients.append(splits["patient"].to_numpy()[rows])
    return np.concatenate(tested), np.concatenate(labels), np.concatenate(patients)


def probabilities_of(learnt_from: list[np.ndarray], tested: np.ndarray, settings: dict) -> np.ndarray:
    """The probability of each class, [n, class], of images `tested` [n, *grid].

    learnt_from: images of each class; each step takes as many of one as of another. settings: steps and seed.
    """
    torch.manual_seed(derive_seed(settings["seed"], "classes"))
    dims = tested.ndim - 1
    network = nets.ResNet(
        "basic",
        [1] * len(CHANNELS),
        list(CHANNELS),
        spatial_dims=dims,
        n_input_channels=1,
        conv1_t_size=3,
        conv1_t_stride=1,
        no_max_pool=True,
        num_classes=len(learnt_from),
    ).to(device())
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings["steps"])
    classes_BC = [as_batch(images) for images in learnt_from]
    share = -(-BATCH // len(classes_BC))
    labels = torch.arange(len(classes_BC)).repeat_interleave(share).to(device())
    for _ in range(settings["steps"]):
        batch = torch.cat([images[torch.randint(len(images), (share,))] for images in classes_BC]).to(device())
        optimizer.zero_grad()
        functional.cross_entropy(network(batch), labels).backward()
        optimizer.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        parts = [network(batch.to(device())).softmax(dim=1).cpu() for batch in as_batch(tested).split(BATCH)]
    return torch.cat(parts).numpy().astype(np.float64)


def area(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The area under the ROC curve, 0.5 for guessing; of several classes the mean over each against the others."""
    return float(roc_auc_score(np.eye(probabilities.shape[1])[labels], probabilities))


def area_interval(probabilities: np.ndarray, labels: np.ndarray, patients: np.ndarray) -> tuple[float, float]:
    """The interval of `area` by a bootstrap over the patients of each class. labels, patients: of each image, [n]."""
    generator, found = generator_of("classes"), []
    by_class = []
    for number in range(probabilities.shape[1]):
        rows = np.flatnonzero(labels == number)
        by_class.append([rows[patients[rows] == name] for name in np.unique(patients[rows])])
    for _ in range(DRAWS):
        drawn = [rows[i] for rows in by_class for i in generator.integers(len(rows), size=len(rows))]
        chosen = np.concatenate(drawn)
        found.append(area(probabilities[chosen], labels[chosen]))
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
