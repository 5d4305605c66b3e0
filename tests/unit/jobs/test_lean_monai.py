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
