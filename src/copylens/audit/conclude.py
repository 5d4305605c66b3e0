"""PASS, FAIL or NOT ABLE TO SAY, from how the policy's criteria were met."""

from copylens.audit.criteria import Line
from copylens.audit.outcomes import FAIL, PASS, UNABLE

# Without these, nothing that is counted means anything.
FOUNDATIONS = ("calibration_size", "control_rate", "apart")
# These need no threshold.
SURE = ("identical_files", "membership")


def conclude(lines: list[Line]) -> tuple[str, list[str], list[str]]:
    """The verdict, its reasons, and what would be needed to say more."""
    named = {line.name: line for line in lines}
    unable = [line for line in lines if line.outcome == "unable"]
    needed = list(dict.fromkeys(line.needed for line in unable if line.needed))
    shaky = [named[name] for name in FOUNDATIONS if named[name].outcome != "pass"]
    other_kind = [named["kind"]] if named["kind"].outcome != "pass" else []
    sure = [named[name] for name in SURE if name in named and named[name].outcome == "fail"]
    if shaky:
        return FAIL if sure else UNABLE, [line.explanation for line in sure + shaky + other_kind], needed
    failed = [line for line in lines if line.outcome == "fail"]
    if failed:
        return FAIL, [line.explanation for line in failed + other_kind], needed
    if unable:
        return UNABLE, [line.explanation for line in unable], needed
    return PASS, [named["copies"].explanation, named["patients"].explanation, named["sensitivity"].explanation], []


def shaky(lines: list[Line]) -> list[str]:
    """Why nothing that is counted means anything; empty where it does."""
    return [line.explanation for line in lines if line.name in (*FOUNDATIONS, "kind") and line.outcome != "pass"]
