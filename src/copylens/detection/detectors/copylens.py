"""copylens' own detector: windows near their place, in the poses in which an image looks like the training images.

Local normalisation removes brightness, contrast, bias field and display curve. The poses of a query (turned, mirrored,
zoomed, shifted) and whether it is a negative are found once, against some training images (`copylens.imaging.poses`).
In each pose the query's windows are matched with those of all training images near the same place: the images that
stand out in many windows, or far in a few, are candidates (`copylens.detection.standing`). The likeliest are registered
to the query to subpixel accuracy, and compared as a whole, in place and registered, and window by window. The score is
how far a candidate stands out from the query's other candidates, in the features in which it does most: noise, blur or
a crop affects all candidates alike, and makes no copy. The only statistics learnt are those of non-matching pairs,
training images of different patients.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from copylens.detection.likeness import N_LIKENESSES, likenesses
from copylens.detection.maps import (
    EDGE,
    FINE,
    HALF_STEPS,
    N_CHANNELS,
    SMOOTH,
    STEPS,
    WIDE,
    WINDOWS,
    inside,
    maps_of,
    matched_windows,
)
from copylens.detection.standing import N_STANDING, Matched, Standing, Views, ranked
from copylens.imaging.filters import halve, no_larger
from copylens.imaging.order import ascending
from copylens.imaging.orientation import Orienter
from copylens.imaging.poses import FEW, MEMBERS, Population, laid_anew
from copylens.imaging.registration import align
from copylens.imaging.warps import warp
from copylens.jobs.seeds import derive_seed
from copylens.training.module import TrainedModule

SETTINGS = """
properties:
  seed: {type: integer, minimum: 0, default: 0}
  # Images are compared with at most this many pixels along the longest side.
  size_2d: {type: integer, minimum: 16, default: 64}
  size_3d: {type: integer, minimum: 16, default: 32}
  # Number of poses besides the image's own.
  poses: {type: integer, minimum: 0, default: 6}
  # Number of training images from which the null distribution is learnt.
  examples: {type: integer, minimum: 2, default: 60}
  # Number of candidates of each image, and of those that are registered to it.
  neighbours: {$ref: "#/$defs/count", default: 24}
  registered: {$ref: "#/$defs/count", default: 12}
  # Above this number of training images a coarse search comes first, and leaves this many for the full comparison.
  shortlist: {type: integer, minimum: 2, default: 256}
  batch_size: {$ref: "#/$defs/count", default: 64}
"""

TOGETHER = 8  # queries, for which a coarse search among many training images is faster than for each
SMALLEST = 4  # pixels a side: half of them still have a slope
CANDIDATES = 24  # of each image while `fit` learns the null distribution: the default of `neighbours`
FITTED = 400  # training images, at most, among which `fit` finds candidates
SHARES = (0.06, 0.15, 0.4, 0.7)  # of the registered windows, the best ones, whose mean correlation is a feature
N_FEATURES = N_STANDING + len(SHARES) + 2 * N_LIKENESSES
# A transform spoils some features of a copy and keeps others: this many of the strongest count, each to this height.
BEST, HIGHEST = 10, 15.0
STOOD = 0.05  # weight of how far a candidate stands out where its pose is chosen, beside how well it matches


class Query(NamedTuple):
    """One image: its maps [1, channel, *grid], its poses, its own first, and its windows in each of them."""

    maps: torch.Tensor
    matrices: torch.Tensor  # [pose, dims, dims]
    shifts: torch.Tensor  # [pose, dims]
    views: Views


class Copylens(TrainedModule):
    """Images are [B, 1, *grid] in [0, 1]. An embedding is each channel of the image at half the resolution."""

    members: torch.Tensor
    spread: torch.Tensor

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        self.dims = len(grid)
        # Every side is even, because the registration starts at half the resolution.
        self.grid = no_larger(grid, settings["size_2d" if self.dims == 2 else "size_3d"], multiple=2)
        if min(self.grid) < SMALLEST:
            raise ValueError(
                f"copylens: images of {' x '.join(map(str, grid))} are compared at {' x '.join(map(str, self.grid))} "
                f"pixels, and each side needs {SMALLEST} at least; choose a grid with more pixels along its short side"
            )
        self.halved = [size // 2 for size in self.grid]
        # Some training images' maps; each feature's standard deviation under the null, with few poses and with many.
        self.register_buffer("members", torch.zeros(1, N_CHANNELS, *self.halved))
        self.register_buffer("spread", torch.ones(2, N_FEATURES))

    @functools.cached_property
    def population(self) -> Population:
        return Population(self.members[:, WIDE:])

    def standing(self, maps_TC: torch.Tensor) -> Standing:
        """Training images, given as maps at half the resolution [T, channel, *half], ready to be compared with."""
        return Standing(maps_TC, self.members, self.settings["shortlist"])

    def queries(self, images_BC: torch.Tensor, training: Standing) -> Iterator[Query]:
        """All that training images are compared with of each image [B, 1, *grid]."""
        maps = maps_of(images_BC, self.grid)
        poses = self.population(halve(maps)[:, WIDE:], self.settings["poses"])
        for image_C, of_image, found in zip(images_BC.split(1), maps.split(1), poses, strict=True):
            of_image = maps_of(1 - image_C, self.grid) if found.inverted else of_image
            half = halve(of_image)
            moved = warp(half.expand(len(found.shifts), *half.shape[1:]), found.matrices, found.shifts)
            views = training.views(torch.cat([half, moved]))
            own = torch.eye(self.dims, device=half.device)[None], torch.zeros(1, self.dims, device=half.device)
            yield Query(of_image, torch.cat([own[0], found.matrices]), torch.cat([own[1], found.shifts]), views)

    def listed(self, images_BC: torch.Tensor, training: Standing) -> Iterator[tuple[Query, torch.Tensor]]:
        """Each query, and the positions of the training images [n] that it is compared with."""
        for block in images_BC.split(TOGETHER):
            queries = list(self.queries(block, training))
            yield from zip(queries, training.shortlists([query.views for query in queries]), strict=True)

    def features(self, query: Query, standing: tuple[torch.Tensor, torch.Tensor], candidates) -> torch.Tensor:
        """Features of each candidate less their median over candidates, [k, feature].

        standing: how far candidates stand out in each pose, and how well they match it (`Standing.among_members`), the
        likeliest first; candidates: the maps of those to be registered, [n, channel, *grid]. Features of the others,
        which are unlike the query, are 0 then.
        """
        out, fit = standing
        n, best = len(candidates), (fit + STOOD * out.mean(dim=1)).argmax(dim=0)
        closely = self.closely(query.maps, candidates, query.matrices[best[:n]], query.shifts[best[:n]])
        features = torch.zeros(out.shape[2], N_FEATURES, device=out.device)
        features[:, :N_STANDING] = _apart(out.amax(dim=0).T)
        features[:n, N_STANDING:] = _apart(closely)
        return features

    def closely(self, maps: torch.Tensor, candidates: torch.Tensor, matrix: torch.Tensor, shift: torch.Tensor):
        """Features of a query [1, channel, *grid] in place and registered to candidates [k, channel, *grid]."""
        moved, windows = self.registered(maps, candidates, matrix, shift)
        values = ascending(windows.flatten(1)).flip(1)
        means = [values[:, : max(1, round(share * values.shape[1]))].mean(dim=1) for share in SHARES]
        local = [torch.atanh(mean.clamp(-0.999, 0.999)) for mean in means]
        within = inside(self.grid)
        width = WINDOWS[self.dims - 2][0]
        maps, candidates = maps[:, [FINE, SMOOTH]], candidates[:, [FINE, SMOOTH]]
        in_place = likenesses(maps.expand_as(candidates), candidates, width)
        registered = likenesses(moved[within], candidates[within], width)
        return torch.stack([*local, *in_place, *registered], dim=1)

    def registered(self, maps, candidates, matrix, shift) -> tuple[torch.Tensor, torch.Tensor]:
        """The query registered to each candidate from a pose of its own, [k, fine and smooth, *grid]; windows
        [k, *windows].

        Windows: the correlation of each window of a candidate with its match in the query, registered or posed.
        """
        whole = maps.expand(len(candidates), -1, *self.grid)
        smooth, fixed = maps[:, SMOOTH:], candidates[:, SMOOTH:]
        started = align(halve(smooth), halve(fixed), matrix, shift, EDGE, HALF_STEPS)
        found = align(smooth, fixed, started[0], started[1], EDGE, STEPS)
        moved = warp(whole[:, [FINE, SMOOTH]], found[0], found[1])
        # Registration of the whole image may be worse than the pose for a part of it.
        posed = whole[:, :1].clone()
        others = (matrix != torch.eye(self.dims, device=matrix.device)).flatten(1).any(dim=1) | shift.any(dim=1)
        posed[others] = warp(posed[others], matrix[others], shift[others])
        return moved, matched_windows((posed, moved[:, :1]), candidates)

    def weights(self):
        return {"members": self.members, "spread": self.spread}

    def load_weights(self, weights):
        self.members, self.spread = weights["members"], weights["spread"]


def _apart(features: torch.Tensor) -> torch.Tensor:
    """Features [k, feature] less their median over candidates."""
    return features - features.median(dim=0).values


def build(settings: dict, grid: list[int]) -> Copylens:
    """A detector for images of shape `grid`; `fit` gives it the population and the null distribution.

    Raises ValueError for fewer than `SMALLEST` pixels along a side.
    """
    return Copylens(settings, grid)


@torch.no_grad()
def fit(module: Copylens, images_BC: torch.Tensor) -> None:
    """Keep some training images' maps, and learn the features' spread from training images [B, 1, *grid].

    Of images as they lie, and of the same ones in other poses, each compared with the others.
    """
    settings = module.settings
    generator = torch.Generator().manual_seed(derive_seed(settings["seed"], "examples"))
    images_BC = images_BC[torch.randperm(len(images_BC), generator=generator)[:FITTED]]
    normalised = maps_of(images_BC, module.grid)
    maps = halve(normalised)
    module.members = maps[:MEMBERS].clone()
    training = module.standing(maps)
    examples = images_BC[: settings["examples"]]
    spreads = []
    for some in (examples, laid_anew(examples, generator)):
        features = []
        for number, (query, shortlist) in enumerate(module.listed(some, training)):
            matched = training.match(query.views, shortlist)
            similarity = _similarity(matched, training.n)
            similarity[number] = -torch.inf
            rows = similarity.topk(min(CANDIDATES, len(similarity) - 1)).indices
            standing = training.among_members(query.views, matched, rows)
            features.append(module.features(query, standing, normalised[rows[: settings["registered"]]]))
        found, n = torch.stack(features), settings["registered"]
        parts = found[..., :N_STANDING].flatten(0, 1), found[:, :n, N_STANDING:].flatten(0, 1)
        spreads.append(torch.cat([part.std(dim=0) for part in parts]))
    module.spread = torch.stack(spreads).clamp(min=1e-3)


def lay(training: Iterable[torch.Tensor]) -> Callable[[torch.Tensor], tuple]:
    """Turns volumes to the orientation of training images, given in batches [B, 1, *grid]; 2D images stay as they are.

    `copylens.imaging.poses` finds turns, but not slices that are out of order.
    """
    batches = iter(training)
    first = next(batches)
    if first.ndim == 5:
        return Orienter(itertools.chain([first], batches))
    return lambda images_BC: (images_BC,)


@torch.no_grad()
def embed(module: Copylens, images_BC: torch.Tensor) -> torch.Tensor:
    """Embeddings [B, d], on the CPU."""
    chunks = images_BC.split(module.settings["batch_size"])
    return torch.cat([halve(maps_of(chunk.to(module.device), module.grid)).flatten(1).cpu() for chunk in chunks])


@torch.no_grad()
def index(module: Copylens, embeddings: np.ndarray) -> Standing:
    """Training images, given by their embeddings [T, d], ready for `search`."""
    maps = torch.from_numpy(np.asarray(embeddings)).to(module.device)
    return module.standing(maps.unflatten(1, (N_CHANNELS, *module.halved)))


@torch.no_grad()
def search(
    module: Copylens, images_BC: torch.Tensor, training: Standing, choose: Callable, pixels: Callable
) -> tuple[np.ndarray, np.ndarray]:
    """How far each candidate of images [B, 1, *grid] stands out as the source, and its position, both [B, k].

    choose: the positions [k] of candidates, the likeliest first, from similarities [T]; pixels: training images
    [n, 1, *grid] by position.
    """
    found = []
    for query, shortlist in module.listed(images_BC.to(module.device), training):
        matched = training.match(query.views, shortlist)
        position = choose(_similarity(matched, training.n).cpu().numpy())
        candidates = maps_of(pixels(position[: module.settings["registered"]]).to(module.device), module.grid)
        rows = torch.from_numpy(position).to(module.device)
        spread = module.spread[int(query.views.n > FEW)]
        standing = training.among_members(query.views, matched, rows)
        apart = (module.features(query, standing, candidates) / spread).clamp(max=HIGHEST)
        found.append((apart.topk(BEST, dim=1).values.sum(dim=1).cpu().numpy(), position))
    score, position = (np.stack(parts) for parts in zip(*found, strict=True))
    return score, position


def _similarity(matched: Matched, n: int) -> torch.Tensor:
    """Similarity of one query to each of `n` training images, [n], for ranking; those off its shortlist come last."""
    similarity = torch.full((n,), -2.0 * n, device=matched.rows.device)
    similarity[matched.rows] = ranked(matched.out(slice(len(matched.rows))))
    return similarity


@torch.no_grad()
def where(module: Copylens, image_C: torch.Tensor, candidates_BC: torch.Tensor) -> np.ndarray:
    """Correlation of each pixel of the candidates [k, 1, *grid] with its match in an image [1, *grid], [k, *grid]."""
    image, candidates = image_C[None].to(module.device), maps_of(candidates_BC.to(module.device), module.grid)
    training = module.standing(halve(candidates))
    (query,) = module.queries(image, training)
    rows = torch.arange(len(candidates), device=image.device)
    best = training.match(query.views, rows).fit(rows).argmax(dim=0)
    windows = module.registered(query.maps, candidates, query.matrices[best], query.shifts[best])[1][:, None]
    mode = ("bilinear", "trilinear")[candidates.ndim - 4]
    return functional.interpolate(windows, candidates_BC.shape[2:], mode=mode)[:, 0].cpu().numpy()
