"""Features of candidates, added up to one score."""

import torch

from copylens.detection.scores import BEST, HIGHEST, added, deviations, weight_of_whole

WHOLE = (2, 3, 4)


def of_null(n: int, seed: int = 0) -> torch.Tensor:
    """Deviations of candidates that don't match, [query, candidate, feature]."""
    return torch.randn(n, 24, 25, generator=torch.Generator().manual_seed(seed))


def test_a_candidate_that_stands_out_as_a_whole_counts_as_one_that_does_in_parts():
    null = of_null(200)
    weight = weight_of_whole(null, WHOLE)
    high = added(null, WHOLE, weight).amax(dim=1).quantile(0.95)
    blurred, part = of_null(2, seed=1)[:, 0]
    blurred[list(WHOLE)] = 6.0
    part[10:20] = 6.0
    assert added(blurred, WHOLE, weight) > 1.5 * high and added(part, WHOLE, weight) > 1.5 * high
    # By the strongest features alone it would stand out far less.
    assert added(blurred, WHOLE, weight) > 1.5 * added(blurred, WHOLE, torch.zeros(()))


def test_both_ways_give_pairs_that_do_not_match_the_same_high_scores():
    null, more = of_null(400), of_null(400, seed=1)
    weight = weight_of_whole(null, WHOLE)
    by_parts = added(more, WHOLE, torch.zeros(())).amax(dim=1)
    by_whole = weight * more[..., list(WHOLE)].mean(dim=-1).amax(dim=1)
    torch.testing.assert_close(by_parts.quantile(0.9), by_whole.quantile(0.9), rtol=0.05, atol=0)


def test_one_feature_alone_cannot_carry_a_score():
    features = torch.zeros(25)
    features[7] = 1e6
    spread = torch.full((25,), 2.0)
    assert added(deviations(features, spread), WHOLE, torch.ones(())) == HIGHEST
    assert added(deviations(torch.ones(25), spread), WHOLE, torch.zeros(())) == BEST / 2
