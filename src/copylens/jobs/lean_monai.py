"""The parts of MONAI that copylens uses, imported in a third of the time.

MONAI imports whatever it could make use of, if it is installed: plots, image filters, statistics. Nothing that is taken
from it here needs them, and a job that computes for a second shouldn't import for two.
"""

import sys
from typing import Any

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

# A module that is None can't be imported: MONAI takes it for one that isn't installed.
_hidden = [name for name in UNUSED if name not in sys.modules]
_nothing: dict[str, Any] = dict.fromkeys(_hidden)
sys.modules.update(_nothing)
try:
    from monai import losses, metrics, transforms
    from monai.networks import layers, nets, schedulers
finally:
    for _name in _hidden:
        del sys.modules[_name]

__all__ = ["layers", "losses", "metrics", "nets", "schedulers", "transforms"]
