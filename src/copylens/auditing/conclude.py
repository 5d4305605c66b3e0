"""PASS, FAIL or NOT ABLE TO SAY, from the outcomes of the verdict's lines."""

from copylens.auditing.criteria import Line
from copylens.auditing.outcomes import FAIL, PASS, UNABLE

# If one of these doesn't pass, no rate can be trusted.
FOUNDATIONS = ("calibration_size", "control_rate", "apart", "shift", "consistency")
# These need no threshold.
SURE = ("identical_files", "membership")


def conclude(lines: list[Line]) -> tuple[str, list[str], list[str]]:
    """The verdict, its reasons, and the changes that could decide the lines that are unable.

    What is needed after a FAIL is what the lines that fail ask for; more images don't undo it.

    FAIL: a line fails. But without trust in the thresholds (a line of `FOUNDATIONS` doesn't pass) only a line of `SURE`
    can make it FAIL. NOT ABLE TO SAY: no line fails, and not all pass. PASS: all lines pass.
    """
    named = {line.name: line for line in lines}
    unable = [line for line in lines if line.outcome == "unable"]
    needed = list(dict.fromkeys(line.needed for line in unable if line.needed))
    untrusted = [named[name] for name in FOUNDATIONS if name in named and named[name].outcome != "pass"]
    other_kind = [named["kind"]] if named["kind"].outcome != "pass" else []
    sure = [named[name] for name in SURE if name in named and named[name].outcome == "fail"]
    failed = sure if untrusted else [line for line in lines if line.outcome == "fail"]
    if failed:
        mended = list(dict.fromkeys(line.mended for line in failed if line.mended))
        return FAIL, [line.explanation for line in failed + untrusted + other_kind], mended
    if untrusted:
        return UNABLE, [line.explanation for line in untrusted + other_kind], needed
    if unable:
        return UNABLE, [line.explanation for line in unable], needed
    return PASS, [named["copies"].explanation, named["patients"].explanation, named["sensitivity"].explanation], []


def distrust(lines: list[Line]) -> list[str]:
    """Explanations of the lines that make every rate untrustworthy; empty if there are none."""
    return [line.explanation for line in lines if line.name in (*FOUNDATIONS, "kind") and line.outcome != "pass"]
