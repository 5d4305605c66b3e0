"""A candidate's features, set against those of pairs that don't match, added up to one score."""

import torch

# A transform spoils some features of a copy and keeps others: this many of the strongest count, each to this height.
BEST, HIGHEST = 12, 15.0
RARE = 0.9  # quantile of training images' scores at which the two ways of adding up count alike


def deviations(features: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """Features [.., feature] in standard deviations of those of pairs that don't match, each to `HIGHEST`."""
    return (features / spread).clamp(max=HIGHEST)


def added(apart: torch.Tensor, whole: tuple[int, ...], weight: torch.Tensor) -> torch.Tensor:
    """The score of candidates, [..], from their `deviations`: the sum of the strongest ones.

    Or, where it is rarer, the mean of the features `whole`: a blurred copy in place, as generators make them, stands
    out as a whole if anywhere. weight: that of the mean, from `weight_of_whole`.
    """
    return torch.maximum(_strongest(apart), weight * apart[..., list(whole)].mean(dim=-1))


def weight_of_whole(apart: torch.Tensor, whole: tuple[int, ...]) -> torch.Tensor:
    """The weight at which both ways of adding up give the same high score to pairs that don't match.

    apart: `deviations` of queries' candidates, [query, candidate, feature].
    """
    ways = _strongest(apart), apart[..., list(whole)].mean(dim=-1)
    usual, mean = (way.amax(dim=1).quantile(RARE) for way in ways)
    return usual / mean.clamp(min=1e-3)


def _strongest(apart: torch.Tensor) -> torch.Tensor:
    return apart.topk(BEST, dim=-1).values.sum(dim=-1)
