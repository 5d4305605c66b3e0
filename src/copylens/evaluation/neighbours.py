"""The training images T nearest to each image of another set: the only input of the rules of copying."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Neighbours:
    """Each query's `k` most similar training images, best first: similarity[query, rank], position[query, rank] in T.

    A training image that is among no query's k nearest counts as less similar than every listed pair.
    """

    similarity: np.ndarray  # float32
    position: np.ndarray  # int64
    floor: float  # the similarity of a pair that isn't listed

    def __len__(self) -> int:
        return len(self.similarity)

    @property
    def nearest(self) -> np.ndarray:
        """Each query's similarity to its nearest training image, float32 [query]."""
        return self.similarity[:, 0]

    def of(self, queries: np.ndarray) -> "Neighbours":
        """The same for some of the queries."""
        return Neighbours(self.similarity[queries], self.position[queries], self.floor)

    def to_train(self, groups: np.ndarray) -> np.ndarray:
        """Each group's similarity to the query nearest to any of its training images, float32 [group].

        groups[position] numbers each training image's group (the image itself, or its patient) from 0.
        """
        nearest = np.full(groups.max() + 1, self.floor, np.float32)
        np.maximum.at(nearest, groups[self.position.ravel()], self.similarity.ravel())
        return nearest

    def count_above(self, groups: np.ndarray, taus: np.ndarray) -> np.ndarray:
        """How many queries are nearer than each tau to a group of training images, int64 [group, tau]."""
        order = np.argsort(taus, kind="stable")
        group, similarity = self._pairs(groups)
        # exceeded[pair]: how many of the ascending taus the pair exceeds.
        exceeded = np.searchsorted(taus[order], similarity, side="left")
        n_groups, n_taus = groups.max() + 1, len(taus)
        histogram = np.bincount(group * (n_taus + 1) + exceeded, minlength=n_groups * (n_taus + 1))
        reached = histogram.reshape(n_groups, n_taus + 1)[:, ::-1].cumsum(axis=1)[:, ::-1]
        counts = np.empty((n_groups, n_taus), np.int64)
        counts[:, order] = reached[:, 1:]
        return counts

    def _pairs(self, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(group, similarity) of every listed pair of a query and a group, by the group's nearest image."""
        group, similarity = groups[self.position.ravel()], self.similarity.ravel()
        pair = np.repeat(np.arange(len(self)), self.position.shape[1]) * (groups.max() + 1) + group
        best_first = np.argsort(-similarity, kind="stable")
        kept = best_first[np.unique(pair[best_first], return_index=True)[1]]
        return group[kept], similarity[kept]


def neighbours_of(arrays: dict[str, np.ndarray], rows: np.ndarray, state: int) -> dict[str, Neighbours]:
    """The neighbours in nearest.npz, by set, for one state of a network with training images `rows` of images.npy."""
    position = np.full(rows.max() + 1, -1)
    position[rows] = np.arange(len(rows))
    suffix = "_to_train_similarity"
    names = [key.removesuffix(suffix) for key in arrays if key.endswith(suffix)]
    floor = min(arrays[f"{name}{suffix}"].min(initial=np.inf) for name in names)
    neighbours = {}
    for name in names:
        similarity, index = arrays[f"{name}{suffix}"], arrays[f"{name}_to_train_index"]
        if name == "synthetic":
            similarity, index = similarity[state], index[state]
        neighbours[name] = Neighbours(similarity, position[index], float(floor))
    return neighbours
