"""copylens finds out whether medical image generators copy the patients they were trained on.

`audit(training, held_out, synthetic)` says whether synthetic images can be released, `find_copies(synthetic, training,
calibration)` which of them are copies; arrays, tensors or folders. The command `copylens audit` does it for folders.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from copylens.auditing.interface import Verdict, audit
    from copylens.evaluation.copies import find_copies

__all__ = ["Verdict", "audit", "find_copies"]
_PLACES = {
    "Verdict": "copylens.auditing.interface",
    "audit": "copylens.auditing.interface",
    "find_copies": "copylens.evaluation.copies",
}


def __getattr__(name: str):
    # Imported when asked for: `import copylens` takes no torch.
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'copylens' has no attribute '{name}'")
