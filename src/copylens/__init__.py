"""copylens finds out whether medical image generators copy the patients they were trained on.

`find_copies(synthetic, training, calibration)` compares arrays; the command `copylens audit` judges folders.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from copylens.evaluation.copies import find_copies

__all__ = ["find_copies"]
_PLACES = {"find_copies": "copylens.evaluation.copies"}


def __getattr__(name: str):
    # Imported when asked for: `import copylens` takes no torch.
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'copylens' has no attribute '{name}'")
