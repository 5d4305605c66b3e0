"""The three verdicts. A single line's outcome is pass, fail or unable (`copylens.auditing.criteria.Line`)."""

PASS, FAIL, UNABLE = "PASS", "FAIL", "NOT ABLE TO SAY"
