"""What a stranger's file may cost: its size is looked at before it's read, and time while it is.

`limits` are those of a data set's entry: `pixels` of an image, `padded` of one in its grid's proportions, `bytes` of
what is read at once, `seconds` of computing on a file.
"""

import contextlib
import json
import math
import signal
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator

# Searches in a process of its own: nothing else stops an expression that tries every way to match.
SEARCH = """
import json, re, sys
expression, texts = json.load(sys.stdin)
search = re.compile(expression).search
json.dump([match and match.group(1) for match in map(search, texts)], sys.stdout)
"""


class _OutOfTime(BaseException):
    """No Exception, so that no library takes it for a damaged file and goes on."""


@contextlib.contextmanager
def reading(name: str, limits: dict, refusal: str) -> Iterator[None]:
    """The body reads the file `name`: whatever a library raises over it becomes the ValueError `name: refusal`.

    A ValueError that names the file already is left alone. Raises ValueError after limits['seconds'] of computing, too:
    waiting for a slow disk isn't counted. What one call of a library does isn't interrupted, so look at sizes first.
    """
    try:
        with _alarm(limits["seconds"]):
            yield
    except _OutOfTime:
        raise ValueError(
            f"{name}: takes more than {limits['seconds']:g} seconds to read; raise limits.seconds if it's worth them"
        ) from None
    except Exception as error:  # libraries' errors over damaged files are of every kind, MemoryError among them
        if isinstance(error, ValueError) and str(error).startswith(f"{name}: "):
            raise
        raise ValueError(f"{name}: {refusal}") from error


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _OutOfTime in the body after so many seconds of computing; nothing outside a process's main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number, frame):
        raise _OutOfTime

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def check_pixels(name: str, shape: Iterable[int], limits: dict, what: str = "holds an image") -> None:
    """Raise ValueError if an image of that `shape` has more than limits['pixels']."""
    shape = [int(size) for size in shape]
    if math.prod(shape) > limits["pixels"]:
        raise ValueError(
            f"{name}: {what} of {'x'.join(map(str, shape))} pixels, which is more than limits.pixels "
            f"({limits['pixels']}); raise that if it's right"
        )


def check_padded(name: str, shape: Iterable[int], spacing: Iterable[float], limits: dict) -> None:
    """Raise ValueError if an image would have more than limits['padded'] pixels in its grid's proportions."""
    if math.prod(shape) > limits["padded"]:
        sizes = " x ".join(f"{size:g}" for size in spacing)
        raise ValueError(
            f"{name}: has pixels of {sizes} mm, so that it would be padded to {math.prod(shape):.2g} of them, which is "
            f"more than limits.padded ({limits['padded']}); correct its spacing, or raise that"
        )


def check_bytes(name: str, size: int, limits: dict) -> None:
    """Raise ValueError if a file would take more than limits['bytes'] of memory."""
    if size > limits["bytes"]:
        raise ValueError(
            f"{name}: would take {size} bytes of memory or more, and limits.bytes is {limits['bytes']}; "
            "raise that if it's right"
        )


def check_unpacked(name: str, file, limits: dict) -> None:
    """Read an open compressed file to its end, keeping nothing; ValueError once it's longer than limits['bytes']."""
    size = 0
    while block := file.read(2**20):
        size += len(block)
        check_bytes(name, size, limits)


def check_inflated(name: str, file, wbits: int, limits: dict) -> None:
    """The same of data that zlib packed, with its own `wbits`."""
    packed = zlib.decompressobj(wbits)
    size = 0
    while block := file.read(2**16):
        while block:
            size += len(packed.decompress(block, 2**20))
            check_bytes(name, size, limits)
            block = packed.unconsumed_tail


def search_all(key: str, expression: str, texts: list[str], limits: dict) -> list[str | None]:
    """What the first group of a regular expression finds in each text: None where there's no match.

    Raises ValueError, which begins with the expression's `key`, if that takes more than limits['seconds'].
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", SEARCH],
            input=json.dumps([expression, texts]),
            capture_output=True,
            text=True,
            timeout=limits["seconds"],
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(
            f"{key}: the expression '{expression}' takes more than {limits['seconds']:g} seconds on {len(texts)} "
            "files; repeat nothing that repeats, such as (a+)+"
        ) from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.splitlines()[-1] if error.stderr else "it takes too much memory"
        raise ValueError(f"{key}: the expression '{expression}' can't be used; {reason}") from None
    return json.loads(done.stdout)
