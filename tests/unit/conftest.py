"""What the unit tests share."""

import pytest


@pytest.fixture(autouse=True)
def few_halvings(request, monkeypatch):
    """A verdict is made once more, not ten times, with other calibration patients; test_consistency.py makes all."""
    if request.path.name != "test_consistency.py":
        monkeypatch.setattr("copylens.auditing.consistency.HALVINGS", 1)
