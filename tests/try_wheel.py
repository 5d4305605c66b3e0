"""The built wheel in environments of its own, without the checkout: an audit by the command, and the notebook.

    .venv/bin/python tests/try_wheel.py dist torch==...

The core alone, without Snakemake and Lightning, on the oldest Python; the notebook on the newest one that is there.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
OLDEST, OTHERS = "python3.11", ("python3.13", "python3.12")
NOTEBOOK = """
import sys
import nbformat
from nbclient import NotebookClient

NotebookClient(nbformat.read(sys.argv[1], 4), timeout=1200, kernel_name="python3").execute()
"""
DRAW = """
import numpy as np, PIL.Image
from pathlib import Path
from copylens.data.phantoms import xray

for name, patients in (("real", range(24)), ("others", range(24, 68)), ("made", range(8))):
    Path(name).mkdir()
    for patient in patients:
        image = xray.draw(np.random.default_rng([0, patient]), np.random.default_rng([1, patient]), 32)
        PIL.Image.fromarray((image / image.max() * 255).astype(np.uint8)).save(Path(name, f"{patient}.png"))
"""


def python_of(names: tuple[str, ...]) -> str | None:
    """The first interpreter of these names that runs."""
    places = [str(path) for path in Path.home().glob(".pyenv/versions/*/bin")]
    for name in names:
        for place in (os.environ["PATH"], os.pathsep.join(places)):
            found = shutil.which(name, path=place)
            if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
                return found
    return None


def environment(python: str, wheel: Path, folder: Path, torch: str, *more: str) -> Path:
    """A new environment with the wheel, the locked versions and `more`; its folder of programs."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    programs = folder / "bin"
    if python.endswith(OLDEST):  # pip takes a local build where it is told of one; uv then leaves it
        subprocess.run([programs / "pip", "install", "--quiet", "--no-compile", "--no-deps", torch], check=True)
    uv = Path(sys.executable).with_name("uv")
    locked = [line.split(" ")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line]
    (folder / "locked.txt").write_text("\n".join(line for line in locked if not line.startswith(" ")))
    install = [uv, "pip", "install", "--quiet", "--python", programs / "python"]
    subprocess.run([*install, "--constraint", folder / "locked.txt", torch, wheel, *more], check=True)
    return programs


def run(*command, folder: Path) -> subprocess.CompletedProcess:
    """A command in an empty folder, with nothing of the checkout in reach."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    begun = time.monotonic()
    done = subprocess.run([*map(str, command)], cwd=folder, env=clean, capture_output=True, text=True)
    print(f"{Path(command[0]).name} {' '.join(map(str, command[1:2]))}: {time.monotonic() - begun:.0f} s", flush=True)
    return done


def try_audit(programs: Path, folder: Path) -> None:
    """Replayed images FAIL, with the core alone; nothing that isn't installed is asked for."""
    assert run(programs / "python", "-c", DRAW, folder=folder).returncode == 0
    arguments = ["--training", "real", "--held-out", "others", "--synthetic", "made", "--one-file-per-patient"]
    done = run(programs / "copylens", "audit", *arguments, "-o", "out", folder=folder)
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and done.stderr == "", done.stdout + done.stderr
    assert len(lines) <= 25, done.stdout
    assert any(line.startswith("FAIL: 8 of 8 synthetic images are, pixel by pixel") for line in lines), done.stdout
    missing = run(programs / "python", "-c", "import lightning", folder=folder)
    assert missing.returncode == 1, "the core has Lightning"


def main(dist: Path, torch: str) -> None:
    (wheel,) = dist.glob("*.whl")
    newest = python_of((*OTHERS, OLDEST))
    oldest = python_of((OLDEST,))
    assert newest and oldest, f"{OLDEST} is needed"
    with tempfile.TemporaryDirectory() as place:
        folders = {name: Path(place, name) for name in ("oldest", "newest", "audit", "notebook")}
        folders["audit"].mkdir()
        folders["notebook"].mkdir()
        try_audit(environment(oldest, wheel, folders["oldest"], torch), folders["audit"])
        print(f"core on {oldest}: an audit FAILs what is replayed", flush=True)
        programs = environment(newest, wheel, folders["newest"], torch, "nbclient", "ipykernel")
        done = run(programs / "python", "-c", NOTEBOOK, ROOT / "docs" / "notebook.ipynb", folder=folders["notebook"])
        assert done.returncode == 0, done.stdout + done.stderr
        print(f"docs/notebook.ipynb runs on {newest}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
