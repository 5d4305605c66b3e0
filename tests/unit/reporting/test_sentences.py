"""Numbers in sentences."""

import pytest

from copylens.reporting.sentences import percent


@pytest.mark.parametrize(
    ("share", "beside", "said"),
    [
        (0.0504, 0.05, "5.04 %"),
        (0.05, 0.05, "5.0 %"),
        (0.0496, 0.05, "4.96 %"),
        (0.062, 0.05, "6.2 %"),
        (0.0504, None, "5.0 %"),
        (0.05 + 1e-9, 0.05, "5.0000 %"),
        (float("nan"), 0.05, "an unknown share"),
    ],
)
def test_a_share_is_never_rounded_to_the_limit_that_it_misses(share, beside, said):
    assert percent(share, beside) == said
