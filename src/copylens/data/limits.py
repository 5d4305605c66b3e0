"""Limits on untrusted files: size is checked before reading, time while reading.

`limits` are those of a data set's entry: `pixels` of an image, `padded` of one in its grid's proportions, `bytes` read
at once, `seconds` of computing on a file.
"""

import contextlib
import math
import multiprocessing
import re
import resource
import signal
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
# A process that isn't forked would first import everything again, and run the script again.
FORK = multiprocessing.get_context("fork")


class _OutOfTime(BaseException):
    """Not an Exception, so that no library takes it for a damaged file and continues."""


@contextlib.contextmanager
def reading(name: str, limits: dict, refusal: str) -> Iterator[None]:
    """The body reads the file `name`: any error of a library becomes the ValueError `name: refusal`.

    A ValueError that names the file already is left alone. Also raises ValueError after limits['seconds'] of computing;
    waiting for a slow disk isn't counted. A single call of a library isn't interrupted, so check sizes first.
    """
    try:
        with _alarm(limits["seconds"]):
            yield
    except _OutOfTime:
        raise ValueError(_too_long(name, limits)) from None
    except Exception as error:  # libraries' errors over damaged files are of every kind, MemoryError among them
        if isinstance(error, ValueError) and str(error).startswith(f"{name}: "):
            raise
        raise ValueError(f"{name}: {refusal}") from error


def reading_apart(name: str, limits: dict, refusal: str, read: Callable[[], T]) -> T:
    """The result of `read`, with the errors of `reading`, computed in a forked process.

    For a library that a damaged file can send into an endless loop or to invalid memory, which nothing else stops.
    """

    def attempt() -> tuple[Any, str]:
        try:
            with reading(name, limits, refusal):
                return read(), ""
        except ValueError as error:
            return None, str(error)

    try:
        value, message = _apart(limits["seconds"], attempt)
    except _OutOfTime:
        value, message = None, _too_long(name, limits)
    except EOFError:
        value, message = None, f"{name}: {refusal}"
    if message:
        raise ValueError(message)
    return value


def _apart(seconds: float, function: Callable[[], T]) -> T:
    """The result of `function` in a process of its own; _OutOfTime after `seconds`, EOFError if it dies."""
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_send, args=(sender, seconds, function))
    with receiver:
        process.start()
        sender.close()
        try:
            return receiver.recv()
        except EOFError:
            process.join()
            if process.exitcode == -signal.SIGXCPU:
                raise _OutOfTime from None
            raise
        finally:
            process.join()


def _send(sender, seconds: float, function: Callable) -> None:
    # The kernel counts whole seconds of computing, and ends the process wherever it is.
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds), resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sender.send(function())


def _too_long(name: str, limits: dict) -> str:
    return f"{name}: takes more than {limits['seconds']:g} seconds to read; raise limits.seconds if it's worth them"


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _OutOfTime in the body after `seconds` of computing; has no effect outside a process's main thread."""
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


def check_pixels(name: str, shape: Iterable[int], limits: dict, description: str = "holds an image") -> None:
    """Raise ValueError if an image of that `shape` has more than limits['pixels']."""
    shape = [int(size) for size in shape]
    if math.prod(shape) > limits["pixels"]:
        raise ValueError(
            f"{name}: {description} of {'x'.join(map(str, shape))} pixels, which is more than limits.pixels "
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
    """The same for data compressed by zlib, with its `wbits`."""
    packed = zlib.decompressobj(wbits)
    size = 0
    while block := file.read(2**16):
        while block:
            size += len(packed.decompress(block, 2**20))
            check_bytes(name, size, limits)
            block = packed.unconsumed_tail


def search_all(key: str, expression: str, texts: list[str], limits: dict) -> list[str | None]:
    """The first group of a regular expression in each text; None without a match.

    Raises ValueError, which begins with the expression's `key`, if that takes more than limits['seconds']: an
    expression may backtrack through every way to match, and nothing within Python stops it.
    """
    search = re.compile(expression).search
    try:
        return _apart(limits["seconds"], lambda: [match and match.group(1) for match in map(search, texts)])
    except _OutOfTime:
        raise ValueError(
            f"{key}: the expression '{expression}' takes more than {limits['seconds']:g} seconds on {len(texts)} "
            "files; repeat nothing that repeats, such as (a+)+"
        ) from None
    except EOFError:
        raise ValueError(f"{key}: the expression '{expression}' can't be used; it takes too much memory") from None
