"""What the running jobs of a local run say of themselves, for somebody who watches the terminal."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

SECONDS = 15  # between two looks


def watch(logs: Path, say: Callable[[str], None], stopped: threading.Event, seconds: float = SECONDS) -> None:
    """Every few seconds say the last line of each log that has grown; or that the run goes on, where none has.

    logs: the folder of the jobs' logs, <rule>/<wildcards>.log. Returns once `stopped` is set.
    """
    begun, looked = time.monotonic(), time.time()
    while not stopped.wait(seconds):
        grown = [path for path in logs.glob("**/*.log") if path.stat().st_mtime >= looked]
        looked = time.time()
        lines = [line for path in sorted(grown) if (line := _said(path, logs))]
        for line in lines or [f"running for {(time.monotonic() - begun) / 60:.1f} min"]:
            say(line)


def _said(path: Path, logs: Path) -> str | None:
    """The rule, its wildcards, and the last line of a log; None for an empty one."""
    rule, *wildcards = path.relative_to(logs).with_suffix("").parts
    said = path.read_text(errors="backslashreplace", encoding="utf-8").splitlines()[-1:]
    return f"{rule} {'/'.join(wildcards)}: {said[0]}" if said else None


def watch_in_background(logs: Path, say: Callable[[str], None]) -> None:
    """`watch` in a thread that ends with the process."""
    threading.Thread(target=watch, args=(logs, say, threading.Event()), daemon=True).start()
