"""copylens' own detector: candidates from locally normalised images in many poses, then window by window.

Local normalisation removes brightness, contrast, bias field and display curve. A query in every pose (flipped, turned,
zoomed, shifted) is correlated with all training images, as a whole and by halves, locally normalised at two scales and
merely smoothed: that finds candidates. Among many training images a coarse search makes a shortlist first. Each
candidate is then compared with the query in three ways: in place, because generators repeat training images in place;
registered to subpixel accuracy; and window by window after elastic registration, because a half, an occluded or a mixed
image still has windows that match far better than another patient's. The score is how far a candidate stands out from
the query's other candidates: noise, blur or a crop affects all candidates alike, and makes no copy. The only statistics
learnt are those of non-matching pairs, training images of different patients.
"""

import functools
import itertools
from collections.abc import Iterable

import numpy as np
import torch
from torch.nn import functional

from copylens.detection.likeness import N_LIKENESSES, likenesses, stretch
from copylens.detection.maps import (
    EDGE,
    FINE,
    HALF_STEPS,
    N_CHANNELS,
    SMOOTH,
    STEPS,
    WINDOWS,
    halve,
    inside,
    maps_of,
    matched_windows,
)
from copylens.detection.shortlist import CoarseSearch, parts, ranked
from copylens.imaging.correlation import standardise
from copylens.imaging.filters import no_larger
from copylens.imaging.orientation import Orienter
from copylens.imaging.registration import align
from copylens.imaging.warps import flips, look, places_of, turns, warp
from copylens.jobs.seeds import derive_seed
from copylens.training.module import TrainedModule

SETTINGS = """
properties:
  seed: {type: integer, minimum: 0, default: 0}
  # Images are compared with at most this many pixels along the longest side.
  size_2d: {type: integer, minimum: 16, default: 64}
  size_3d: {type: integer, minimum: 16, default: 32}
  # Poses of a query, besides flips: turned by these angles about each axis, and shrunk to these shares.
  degrees_2d: {type: array, items: {type: number}, minItems: 1, default: [0, 6, 12, 18, 24, 30]}
  degrees_3d: {type: array, items: {type: number}, minItems: 1, default: [0, 10, 20, 30]}
  shrinking: {type: array, items: {$ref: "#/$defs/positive"}, minItems: 1, default: [1.0, 0.9, 0.8]}
  # Number of best poses from which a candidate is registered.
  registered: {$ref: "#/$defs/count", default: 2}
  # Number of training images from which the null distribution is learnt.
  examples: {type: integer, minimum: 2, default: 200}
  # Number of candidates that each image is compared with.
  neighbours: {$ref: "#/$defs/count", default: 20}
  # Above this number of training images a coarse search comes first, and leaves this many for the full comparison.
  shortlist: {$ref: "#/$defs/count", default: 256}
  batch_size: {$ref: "#/$defs/count", default: 64}
"""

CANDIDATES = 20  # of each image while `fit` learns the null distribution: the default of `neighbours`
POSED = 128  # images in their poses that are compared at a time
MARGIN = 1 / 16  # of each side, left out of the search for candidates, and how far a query is shifted
COARSE_CHANNELS = [FINE, SMOOTH]
COARSE = 14, 7  # pixels a side, or nearly, in the coarse search in 2D and 3D
SHARES = (0.4, 0.6)  # of the windows, the best ones, whose mean correlation is a feature
N_FEATURES = N_CHANNELS + len(SHARES) + 2 * N_LIKENESSES
# A transform spoils some features of a copy and keeps others: this many of the strongest count.
BEST = 7


class Copylens(TrainedModule):
    """Images are [B, 1, *grid] in [0, 1]. An embedding is each channel of the image, pooled."""

    poses: torch.Tensor
    null: torch.Tensor
    spread: torch.Tensor

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        dims = len(grid)
        longest = settings["size_2d" if dims == 2 else "size_3d"]
        # Every side is even, because the registration starts at half the resolution.
        self.grid = no_larger(grid, longest, multiple=2)
        degrees = settings["degrees_2d" if dims == 2 else "degrees_3d"]
        turned = turns(dims, degrees)
        posed = torch.cat([turned / share @ flip for share in settings["shrinking"] for flip in flips(dims)])
        self.register_buffer("poses", posed)
        # Only poses of the first shrinking share are also shifted.
        self.n_shifted = len(turned) * len(flips(dims))
        self.margin = [max(1, round(MARGIN * size / 2)) for size in self.grid]
        self.pooled = [size // 2 - 2 * margin for size, margin in zip(self.grid, self.margin, strict=True)]
        steps = [(-margin, 0, margin) for margin in self.margin]
        self.shifts = [shift for shift in itertools.product(*steps) if any(shift)]
        # Under the null (non-matching pairs): mean and deviation of the likeness, by channel and part of the image.
        self.register_buffer("null", torch.tensor([0.0, 1.0]).repeat(N_CHANNELS, 1 + 2 * dims, 1))
        # Under the null: standard deviation of each feature.
        self.register_buffer("spread", torch.ones(N_FEATURES))

    @functools.cached_property
    def places(self) -> torch.Tensor:
        """Sampling positions of each pose in an image at half the resolution, [pose, *half, dims]."""
        return places_of(torch.Size(size // 2 for size in self.grid), self.poses)

    def normalised(self, images_BC: torch.Tensor) -> torch.Tensor:
        """[B, channel, *grid] at the detector's own resolution."""
        return maps_of(images_BC, self.grid)

    def centre(self, halved: torch.Tensor, shift: tuple[int, ...] | None = None) -> torch.Tensor:
        """The image inside the margin, or shifted by some pixels, [B, channel, *pooled]."""
        for axis, (size, margin) in enumerate(zip(self.pooled, self.margin, strict=True)):
            halved = halved.narrow(axis + 2, margin + (shift[axis] if shift else 0), size)
        return halved

    def similarities(self, normalised: torch.Tensor, pooled_training: torch.Tensor) -> torch.Tensor:
        """Likeness in each pose, as a z-score under the null, [channel, pose, B, T].

        It is the maximum over an image's parts and shifts.
        """
        training = [parts(images) for images in pooled_training.unbind(dim=1)]
        halved, batch = halve(normalised), len(normalised)
        first, rest = self.places[: self.n_shifted], self.places[self.n_shifted :]
        likenesses_by_pose = []
        for places, shifts in [(first, self.shifts)] + [(rest, [])] * (len(rest) > 0):
            for some in places.split(max(1, POSED // batch)):
                images = halved.repeat(len(some), *[1] * (normalised.ndim - 1))
                posed = look(images, some.repeat_interleave(batch, dim=0))
                likeness = self.likeness(posed, shifts, training)
                likenesses_by_pose.append(likeness.view(N_CHANNELS, len(some), batch, -1))
        return torch.cat(likenesses_by_pose, dim=1)

    def likeness(self, posed: torch.Tensor, shifts: list, training: list[list[torch.Tensor]]) -> torch.Tensor:
        """The same for images in one pose each, at half the resolution, [channel, B, T]."""
        shifted = [self.centre(posed, shift) for shift in shifts]
        by_channel = []
        for channel in range(N_CHANNELS):
            queries = parts(self.centre(posed)[:, channel])
            queries[0] = torch.cat([queries[0], *(standardise(images[:, channel].flatten(1)) for images in shifted)])
            by_part = [
                (_alike(query @ candidates.T, channel) - mean) / deviation
                for query, candidates, (mean, deviation) in zip(
                    queries, training[channel], self.null[channel], strict=True
                )
            ]
            by_channel.append(torch.cat(by_part).unflatten(0, (-1, len(posed))).amax(dim=0))
        return torch.stack(by_channel)

    def coarse(self, pooled: torch.Tensor) -> torch.Tensor:
        """Images at half the resolution, brought to the coarse search's, [B, channel, *coarse]."""
        pool = (functional.avg_pool2d, functional.avg_pool3d)[len(self.grid) - 2]
        longest = COARSE[len(self.grid) - 2]
        return pool(pooled, [max(1, round(size / longest)) for size in self.pooled])

    def likely(self, normalised: torch.Tensor, search: CoarseSearch) -> torch.Tensor:
        """How far each training image stands out in likeness to one query [1, channel, *grid], in any pose, [T]."""
        halved = halve(normalised[:, COARSE_CHANNELS])
        posed = look(halved.expand(len(self.poses), *halved.shape[1:]), self.places)
        shifted = [self.coarse(self.centre(posed[: self.n_shifted], shift)) for shift in self.shifts]
        return search(torch.cat([self.coarse(self.centre(posed)), *shifted]), len(posed))

    def features(self, normalised: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        """Features of each candidate less their median over candidates, [k, feature].

        One query [1, channel, *grid] and its candidates [k, channel, *grid], all normalised.
        """
        similar, moved, windows = self.registered(normalised, candidates)
        windows = windows.flatten(1).sort(dim=1, descending=True).values
        best = [windows[:, : max(1, round(share * windows.shape[1]))].mean(dim=1) for share in SHARES]
        local = [torch.atanh(mean.clamp(-0.999, 0.999)) for mean in best]
        within = inside(self.grid)
        channels, width = (FINE, SMOOTH), WINDOWS[len(self.grid) - 2][0]
        in_place = likenesses(normalised.expand_as(candidates), candidates, channels, width)
        registered = likenesses(moved[within], candidates[within], channels, width)
        features = torch.stack([*similar.amax(dim=1), *local, *in_place, *registered], dim=1)
        return features - features.median(dim=0).values

    def registered(self, normalised: torch.Tensor, candidates: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """One query registered to each of its candidates.

        The likeness in each pose [channel, pose, k], the query registered to each candidate [k, channel, *grid], and
        the correlation of each window of the candidates with its match in the query [k, *windows].
        """
        dims, k = len(self.grid), len(candidates)
        similar = self.similarities(normalised, self.centre(halve(candidates)))[:, :, 0]
        n = min(self.settings["registered"], len(self.poses))
        # The best poses of two channels are tried at half the resolution, the best of them is refined.
        starts = similar[[FINE, SMOOTH]].topk(n, dim=1).indices.flatten()  # [2 x pose x k]
        moving, fixed = normalised[:, -1:], candidates[:, -1:]
        half, half_fixed = halve(moving), halve(fixed).repeat(2 * n, *[1] * (dims + 1))
        still = torch.zeros(len(starts), dims, device=moving.device)
        aligned = align(half.expand_as(half_fixed), half_fixed, self.poses[starts], still, EDGE, HALF_STEPS)
        best = aligned[2].view(-1, k).argmax(dim=0) * k + torch.arange(k, device=moving.device)
        matrix, shift, _ = align(moving.expand_as(fixed), fixed, aligned[0][best], aligned[1][best], EDGE, STEPS)
        moved = warp(normalised.expand_as(candidates), matrix, shift)
        # Registration of the whole image may be worse than the best pose of one part of it.
        posed = warp(normalised[:, :1].expand(k, -1, *self.grid), self.poses[similar[0].argmax(dim=0)])
        return similar, moved, matched_windows((posed, moved[:, :1]), candidates)

    def weights(self):
        return {"null": self.null, "spread": self.spread}

    def load_weights(self, weights):
        self.null, self.spread = weights["null"], weights["spread"]


def build(settings: dict, grid: list[int]) -> Copylens:
    """A detector for images of shape `grid`; `fit` gives it the null distribution."""
    return Copylens(settings, grid)


@torch.no_grad()
def fit(module: Copylens, images_BC: torch.Tensor) -> None:
    """Learn the null distributions of likeness and of features from training images [B, 1, *grid]."""
    generator = torch.Generator().manual_seed(derive_seed(module.settings["seed"], "examples"))
    examples = torch.randperm(len(images_BC), generator=generator)[: module.settings["examples"]]
    normalised = module.normalised(images_BC[examples])
    pooled = module.centre(halve(normalised))
    unlike = ~torch.eye(len(pooled), dtype=torch.bool)
    for channel in range(N_CHANNELS):
        for number, part in enumerate(parts(pooled[:, channel])):
            values = _alike(part @ part.T, channel)[unlike]
            module.null[channel, number] = torch.stack([values.mean(), values.std().clamp(min=1e-3)])
    features = []
    for number in range(len(pooled)):
        query, others = normalised[number : number + 1], unlike[number].nonzero()[:, 0]
        similar = module.similarities(query, pooled[others]).amax(dim=1).sum(dim=0)[0]
        candidates = similar.topk(min(CANDIDATES, len(others))).indices
        features.append(module.features(query, normalised[others[candidates]]))
    module.spread = torch.cat(features).std(dim=0).clamp(min=1e-3)


def lay(training: Iterable[torch.Tensor]) -> Orienter:
    """An orienter that turns queries to the orientation of training images, given in batches [B, 1, *grid]."""
    return Orienter(training)


@torch.no_grad()
def embed(module: Copylens, images_BC: torch.Tensor) -> torch.Tensor:
    """Embeddings [B, d], on the CPU."""
    chunks = images_BC.split(module.settings["batch_size"])
    pooled = [module.centre(halve(module.normalised(chunk.to(module.device)))) for chunk in chunks]
    return torch.cat([chunk.flatten(1).cpu() for chunk in pooled])


@torch.no_grad()
def compare(module: Copylens, images_BC: torch.Tensor, embeddings: np.ndarray) -> np.ndarray:
    """Similarity [B, T] of images to training images, given by their embeddings [T, d].

    Training images off an image's shortlist rank below those on it, in the coarse search's order.
    """
    pooled = torch.from_numpy(np.asarray(embeddings)).to(module.device).unflatten(1, (N_CHANNELS, *module.pooled))
    normalised = module.normalised(images_BC.to(module.device))
    n = module.settings["shortlist"]
    if len(pooled) <= n:
        return module.similarities(normalised, pooled).amax(dim=1).sum(dim=0).cpu().numpy()
    search, similarities = CoarseSearch(module.coarse(pooled[:, COARSE_CHANNELS])), []
    for query in normalised.split(1):

        def closely(rows, query=query):
            return module.similarities(query, pooled[rows]).amax(dim=1).sum(dim=0)[0]

        similarities.append(ranked(module.likely(query, search), n, closely))
    return torch.stack(similarities).cpu().numpy()


@torch.no_grad()
def verify(module: Copylens, image_C: torch.Tensor, candidates_BC: torch.Tensor) -> np.ndarray:
    """How far each candidate [k, 1, *grid] stands out as the source of an image [1, *grid], [k]."""
    normalised = [module.normalised(images_BC.to(module.device)) for images_BC in (image_C[None], candidates_BC)]
    apart = module.features(*normalised) / module.spread
    return apart.topk(BEST, dim=1).values.sum(dim=1).cpu().numpy()


@torch.no_grad()
def where(module: Copylens, image_C: torch.Tensor, candidates_BC: torch.Tensor) -> np.ndarray:
    """Correlation of each pixel of the candidates [k, 1, *grid] with its match in an image [1, *grid], [k, *grid]."""
    image, candidates = (module.normalised(images.to(module.device)) for images in (image_C[None], candidates_BC))
    windows = module.registered(image, candidates)[2][:, None]
    mode = ("bilinear", "trilinear")[candidates.ndim - 4]
    return functional.interpolate(windows, candidates_BC.shape[2:], mode=mode)[:, 0].cpu().numpy()


def _alike(correlation: torch.Tensor, channel: int) -> torch.Tensor:
    """Correlations of a channel, on the scale of comparison."""
    return stretch(correlation) if channel == SMOOTH else correlation
