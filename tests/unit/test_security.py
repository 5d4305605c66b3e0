"""No file that somebody else wrote can run code here: what the library's own code calls, and hostile files."""

import ast
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from try_dependencies import permits

from copylens.data.arrays import read_numbers
from copylens.generation.bundles import Bundle, tensors_of
from copylens.jobs.files import read_array, read_arrays
from copylens.training.checkpoints import newest

CODE = [*(ROOT / "src").rglob("*.py"), *(ROOT / "workflow").rglob("*.py")]
# Calls that run what they are given, and what makes some of them harmless.
FORBIDDEN = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.hub.load"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "joblib.load", "marshal.loads", "shelve.open"),
    *("yaml.load", "yaml.full_load", "yaml.unsafe_load", "pandas.read_pickle", "pd.read_pickle"),
}
NEEDED = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "np.save": ("allow_pickle", False),
    "np.savez": ("allow_pickle", False),
}
# Run programs where it's meant: one that the configuration names, and a job's own script.
PROGRAMS = {"torch.jit.load": "detection/detectors/torchscript.py", "runpy.run_path": "jobs/forks.py"}


def calls_of(path: Path) -> list[tuple[str, dict[str, object]]]:
    """(name, keyword arguments that are constants) of every call in a file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            constants = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
            found.append((ast.unparse(node.func), constants))
    return found


def test_no_call_runs_what_a_file_holds():
    calls = [(path, *call) for path in CODE for call in calls_of(path)]
    assert len(calls) > 5000
    for path, name, constants in calls:
        where = f"{path.relative_to(ROOT)}: {name}"
        assert name not in FORBIDDEN, where
        assert constants.get("shell") is not True, f"{where} with a shell"
        if name in NEEDED:
            key, value = NEEDED[name]
            assert constants.get(key) is value, f"{where} without {key}={value}"
        if name in PROGRAMS:
            assert str(path).endswith(PROGRAMS[name]), where


def test_the_rules_call_nothing_of_that_kind_either():
    for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        assert not re.search(r"\b(eval|exec)\(|pickle|os\.system|yaml\.load\(", path.read_text()), path


class Trap:
    """Leaves a file behind if it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def pickled(path: Path, trap: Trap) -> None:
    path.write_bytes(pickle.dumps({"state_dict": trap}))


def saved_by_torch(path: Path, trap: Trap) -> None:
    torch.save({"state_dict": {"weight": trap}}, path)


def object_array(path: Path, trap: Trap) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([trap], dtype=object), allow_pickle=True)


def object_arrays(path: Path, trap: Trap) -> None:
    with path.open("wb") as file:
        np.savez(file, images=np.array([trap], dtype=object))


READERS = {
    "checkpoint.ckpt": (saved_by_torch, lambda path: _resume(path)),
    "pickle.ckpt": (pickled, lambda path: _resume(path)),
    "weights.pt": (saved_by_torch, lambda path: _of_a_bundle(path)),
    "pickle.pt": (pickled, lambda path: _of_a_bundle(path)),
    "array.npy": (object_array, lambda path: read_numbers(path.parent, path.name, (1,), {"seconds": 10})),
    "result.npy": (object_array, read_array),
    "result.npz": (object_arrays, read_arrays),
}


def _of_a_bundle(path: Path) -> None:
    tensors_of(Bundle(path.parent), path.name, torch.nn.Linear(1, 1))


def _resume(path: Path) -> None:
    path.rename(path.with_name("last.ckpt"))
    assert newest(path.parent) is None
    raise ValueError("left aside")


@pytest.mark.parametrize("name", READERS)
def test_a_file_with_a_program_in_it_is_refused_and_doesnt_run(name, tmp_path):
    write, read = READERS[name]
    sprung = tmp_path / "sprung"
    write(tmp_path / name, Trap(sprung))
    with pytest.raises(ValueError):
        read(tmp_path / name)
    assert not sprung.exists()
    pickle.loads(pickle.dumps(Trap(sprung)))  # the trap works
    assert sprung.exists()


def test_every_test_that_the_threat_model_names_is_there():
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "security.md").read_text())
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 15 and not [name for name in named if f"def {name}(" not in tests]


@pytest.mark.parametrize("licence", ["MIT", "BSD License", "Apache-2.0 AND MIT", "MPL-2.0", "PSF-2.0"])
def test_a_licence_that_permits_is_known(licence):
    assert permits(licence)


@pytest.mark.parametrize("licence", ["", "Proprietary", "AGPL-3.0", "BSD License; GNU General Public License (GPL)"])
def test_a_licence_that_may_not_permit_is_looked_at(licence):
    assert not permits(licence)
