"""The parts of MONAI that copylens uses, in a job imported in a third of the time.

MONAI imports every optional package that is installed: plots, image filters, statistics. The parts used here need none
of them, and a job that computes for a second shouldn't import for two. A process that isn't a job's is left as it is.
"""

import sys
from typing import Any

from copylens.jobs import job

UNUSED = (
    "matplotlib",
    "scipy.ndimage",
    "scipy.optimize",
    "scipy.signal",
    "scipy.spatial",
    "scipy.stats",
    "skimage",
    "tifffile",
)

# A module that is None can't be imported, so MONAI treats it as not installed.
_hidden = [name for name in UNUSED if job.own_process and name not in sys.modules]
_nothing: dict[str, Any] = dict.fromkeys(_hidden)
sys.modules.update(_nothing)
try:
    from monai import losses, metrics, transforms
    from monai.networks import blocks, layers, nets, schedulers
finally:
    for _name in _hidden:
        del sys.modules[_name]

__all__ = ["blocks", "layers", "losses", "metrics", "nets", "schedulers", "transforms"]
