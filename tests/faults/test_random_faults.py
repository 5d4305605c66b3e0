"""Of the trials of `benchmarks/random_faults.py`, one of each disturbance."""

from pathlib import Path

import pytest

from faults.random_faults import Baseline, disturbances, try_one

NAMES = disturbances()


@pytest.fixture(scope="module")
def baseline(tmp_path_factory) -> Baseline:
    return Baseline("audit", tmp_path_factory.mktemp("faults") / "baseline")


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_the_same_command_ends_as_if_nothing_had_happened(number, baseline, tmp_path: Path):
    outcome = try_one(number, baseline, tmp_path, NAMES)
    assert outcome.end == "identical" and not outcome.left, outcome
