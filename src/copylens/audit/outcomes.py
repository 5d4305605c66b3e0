"""The words of a verdict."""

PASS, FAIL, UNABLE = "PASS", "FAIL", "NOT ABLE TO SAY"
