"""What a command needs of its surroundings and finds a way without: text in UTF-8, a home folder for caches."""

import locale
import os
import sys
import tempfile
from pathlib import Path

from copylens.jobs.forks import own_folder

UTF8 = "PYTHONUTF8"
# Variables that name a folder for caches, and where it is without them: Snakemake's and Matplotlib's.
CACHES = {"XDG_CACHE_HOME": "~/.cache", "MPLCONFIGDIR": "~/.config/matplotlib"}


def speak_utf8() -> None:
    """Begin this program again where its locale has another encoding than UTF-8: file names would be other ones."""
    if {sys.getfilesystemencoding(), locale.getencoding().lower()} == {"utf-8"} or os.environ.get(UTF8) == "1":
        return
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {UTF8: "1"})


def provide_caches() -> None:
    """Name folders for caches among the temporary files where those of the home folder can't be written."""
    for variable, usual in CACHES.items():
        if not _can_be_written(Path(os.environ.get(variable) or os.path.expanduser(usual))):
            os.environ[variable] = str(own_folder() / "caches")


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:  # a full disk allows empty files
            file.write(b"1")
    except OSError:
        return False
    return True
