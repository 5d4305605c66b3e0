"""Regions of training images that a detector finds again in samples."""

from pathlib import Path

import numpy as np

from copylens.detection.embed import family_of_detector, load_detector
from copylens.jobs.files import read_array, read_arrays, write_arrays
from copylens.training.tensors import as_batch

SHOWN = 8  # samples of a network


def locate_copies(nearest_path: Path, samples_path: Path, images_path: Path, folder: Path, path: Path) -> None:
    """Write the regions that the samples most similar to training images repeat, one sample per training image: sample,
    row (of images.npy), rank, similarity, and regions [pair, *grid], the correlation of each pixel of the training
    image with its match in the sample.

    folder: a detector whose kind has `where`. Samples are those of the network's last state.
    """
    arrays = read_arrays(nearest_path)
    similarity, row = (arrays[f"synthetic_to_train_{column}"][-1, :, 0] for column in ("similarity", "index"))
    order = np.argsort(-similarity, kind="stable")
    _, first = np.unique(row[order], return_index=True)
    places = np.sort(first)[:SHOWN]
    samples = order[places]
    module, kind = load_detector(folder), family_of_detector(folder)
    pairs = zip(
        as_batch(read_array(samples_path)[-1][samples]), as_batch(read_array(images_path)[row[samples]]), strict=True
    )
    columns = {"sample": samples, "row": row[samples], "rank": places + 1, "similarity": similarity[samples]}
    regions = []
    for sample, image in pairs:
        laid = kind.lay([image[None]])(sample[None])[0][0] if hasattr(kind, "lay") else sample
        regions.append(kind.where(module, laid, image[None])[0])
    write_arrays({**columns, "regions": np.stack(regions).astype(np.float32)}, path)
