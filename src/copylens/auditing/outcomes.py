"""The three verdicts. A single line's outcome is pass, fail or unable (`copylens.auditing.criteria.Line`)."""

PASS, FAIL, UNABLE = "PASS", "FAIL", "NOT ABLE TO SAY"


def may_be_released(verdict: dict) -> bool:
    """Whether the samples that aren't withheld may be released: of a set that passes, or as a rest that does."""
    quarantine = verdict["quarantine"]
    return verdict["verdict"] == PASS or (quarantine is not None and quarantine["verdict"] == PASS)
