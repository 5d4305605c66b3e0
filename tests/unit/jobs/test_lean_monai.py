"""MONAI without imports that no job needs."""

import subprocess
import sys

from conftest import ROOT

# What is hidden while MONAI is imported can be told from what MONAI then takes for missing.
SCRIPT = """
import sys
sys.path.insert(0, {source!r})
from copylens.jobs import job
job.own_process = {own}
from copylens.jobs import lean_monai
print("skimage" in sys.modules)
"""


def loads_everything(own: bool) -> bool:
    command = [sys.executable, "-c", SCRIPT.format(source=str(ROOT / "src"), own=own)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "True"


def test_only_a_jobs_process_hides_what_monai_needs_not():
    assert loads_everything(False) and not loads_everything(True)


JUDGED = """
import sys
sys.path.insert(0, {source!r})
import copylens.auditing.publish
print(sorted({{"torch", "monai"}} & set(sys.modules)))
import copylens.auditing.nearest, copylens.auditing.pool
print(sorted({{"monai", "scipy.signal", "lightning"}} & set(sys.modules)))
"""


def test_an_audit_that_trains_nothing_loads_no_library_of_networks():
    """A verdict needs no torch, a comparison no MONAI: an audit of a study has thirteen such jobs."""
    command = [sys.executable, "-c", JUDGED.format(source=str(ROOT / "src"))]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert said == ["[]", "[]"]
