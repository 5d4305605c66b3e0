"""Jobs of a workflow on one machine begin as forks of a process that has imported the libraries.

Most jobs compute for a second and would import for three. The first job starts that process, the server; it has
imported nothing of copylens, whose code may change between two jobs, and ends after `IDLE_S` seconds without one. A
job's own process then only waits for its fork, which ends with it. Linux alone: elsewhere libraries don't bear forking.

    python -m copylens.jobs.forks SOCKET    is the server
"""

import array
import contextlib
import fcntl
import gc
import hashlib
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from copylens.jobs.parallel import end_with_parent

OFF = "COPYLENS_FORKS"  # "0" in this variable: every job imports by itself
IDLE_S = 30.0
STARTED, N_STREAMS = b"started", 3
LIBRARIES = (
    *("numpy", "pandas", "yaml", "scipy.stats", "scipy.optimize", "scipy.ndimage", "sklearn.metrics"),
    *("sklearn.linear_model", "sklearn.neighbors", "sklearn.cluster", "matplotlib.backends.backend_pdf"),
    *("torch", "safetensors.torch", "snakemake.logging", "snakemake.iocontainers"),
    *("monai.networks.nets", "monai.networks.schedulers", "monai.metrics", "monai.losses", "monai.transforms"),
)
# Variables that libraries read when they are imported begin with these.
READ_BY_LIBRARIES = ("CUDA", "LD_", "MKL", "MPL", "NUMEXPR", "OMP", "OPENBLAS", "PYTHON", "PYTORCH", "TORCH")


def run_as_fork(libraries: tuple[str, ...] = ()) -> int | None:
    """Run this process's script in a fork of the server; its exit status, or None where it must run here.

    The server is started if there is none, and imports `libraries` beside its own before the fork. Variables that
    libraries read must be set before.
    """
    if sys.platform != "linux" or os.environ.get(OFF) == "0" or not Path(sys.argv[0]).is_file():
        return None
    try:
        place = _place()
        with _connected(place) as connection:
            return _ask(connection, libraries)
    except OSError:  # no server and no way to start one
        return None


def own_folder() -> Path:
    """A folder of this user alone, among the temporary files."""
    folder = Path(tempfile.gettempdir()) / f"copylens-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or folder.is_symlink():
        raise PermissionError(f"{folder}: isn't this user's alone; set TMPDIR to another folder")
    return folder


def _place() -> Path:
    """The socket of the server for processes like this one."""
    folder = own_folder()
    read = {name: value for name, value in os.environ.items() if name.startswith(READ_BY_LIBRARIES)}
    places = filter(None, read.pop("PYTHONPATH", "").split(os.pathsep))
    elsewhere = [place for place in places if not (Path(place) / "copylens").is_dir()]  # checkouts share a server
    alike = [sys.executable, sorted(read.items()), elsewhere, sorted(os.sched_getaffinity(0))]
    text = json.dumps([*alike, Path(__file__).read_text(encoding="utf-8")])
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.socket"


@contextlib.contextmanager
def _short(place: Path) -> Iterator[str]:
    """Another name of `place`: that of a socket has at most 107 bytes, and a folder for temporary files may be deep."""
    folder = os.open(place.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{place.name}"
    finally:
        os.close(folder)


def _connect(place: Path, connection: socket.socket) -> None:
    with _short(place) as name:
        connection.connect(name)


@contextlib.contextmanager
def _connected(place: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            _connect(place, connection)
        except OSError:
            with place.with_suffix(".lock").open("w", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # of several jobs that find no server, one starts it
                _start(place, connection)
        yield connection


def _start(place: Path, connection: socket.socket) -> None:
    """Start the server, unless another job did in the meantime, and connect to it. OSError if it can't be started."""
    with contextlib.suppress(OSError):
        return _connect(place, connection)
    nowhere = subprocess.DEVNULL
    command = [sys.executable, "-m", __name__, str(place)]
    server = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)
    while server.poll() is None:
        with contextlib.suppress(OSError):
            return _connect(place, connection)
        time.sleep(0.02)
    raise ConnectionError("the server ended by itself")


def _ask(connection: socket.socket, libraries: tuple[str, ...]) -> int | None:
    """Have the script run; its exit status, or None if it wasn't begun."""
    umask = os.umask(0o077)
    os.umask(umask)
    job = {"argv": sys.argv, "folder": os.getcwd(), "environment": dict(os.environ), "path": sys.path, "umask": umask}
    job["libraries"] = libraries
    message = json.dumps(job).encode()
    streams = array.array("i", range(N_STREAMS))
    header = struct.pack("!I", len(message))
    connection.sendmsg([header], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    connection.sendall(message)
    if _received(connection, len(STARTED)) != STARTED:
        return None
    status = _received(connection, 4)
    return struct.unpack("!i", status)[0] if len(status) == 4 else 1  # the server died, and its forks with it


def _received(connection: socket.socket, n: int) -> bytes:
    """`n` bytes, or fewer where the other side ended."""
    content = b""
    while len(content) < n and (part := connection.recv(n - len(content))):
        content += part
    return content


class Server:
    """Forks a process for each connection, and tells it the exit status. One thread, so that forking is safe."""

    def __init__(self, place: Path):
        self.place, self.listener = place, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        place.unlink(missing_ok=True)
        with _short(place) as name:
            self.listener.bind(name)
        self.listener.listen(64)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.jobs: dict[int, socket.socket] = {}  # by the fork's number
        self.woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(self.woken, selectors.EVENT_READ)

    def serve(self) -> None:
        while True:
            events = self.selector.select(None if self.jobs else IDLE_S)
            if not events and not self.jobs:
                self.place.unlink(missing_ok=True)
                return
            for key, _ in events:
                if key.fileobj is self.listener:
                    self._begin(self.listener.accept()[0])
                elif key.fileobj == self.woken:
                    os.read(self.woken, 4096)
                    self._reap()
                else:
                    self._end_of(key.data)

    def _begin(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        try:
            header, streams = _header(connection)
            job = json.loads(_received(connection, header))
        except (OSError, ValueError):  # a process that was killed while it asked
            connection.close()
            return
        load(job["libraries"])
        number = os.fork()
        if not number:
            self._leave()
            connection.close()
            _run(job, streams)
        for stream in streams:
            os.close(stream)
        connection.setblocking(True)
        with contextlib.suppress(OSError):
            connection.sendall(STARTED)
        self.jobs[number] = connection
        self.selector.register(connection, selectors.EVENT_READ, number)

    def _leave(self) -> None:
        """In a fork: nothing of the server's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.selector.close()
        self.listener.close()
        for connection in self.jobs.values():
            connection.close()

    def _end_of(self, number: int) -> None:
        """Whoever asked for a fork has ended: so does the fork, and what it started."""
        self.selector.unregister(self.jobs[number])
        try:
            os.killpg(number, signal.SIGKILL)
        except ProcessLookupError:  # it has no group of its own yet; it's there until it's reaped
            os.kill(number, signal.SIGKILL)

    def _reap(self) -> None:
        while self.jobs:
            try:
                number, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not number:
                return
            connection = self.jobs.pop(number)
            code = os.waitstatus_to_exitcode(status)
            with contextlib.suppress(OSError):
                connection.sendall(struct.pack("!i", 128 - code if code < 0 else code))
            with contextlib.suppress(KeyError):
                self.selector.unregister(connection)
            connection.close()


def _header(connection: socket.socket) -> tuple[int, list[int]]:
    """The length of the message that follows, and the streams of whoever asks."""
    size = array.array("i").itemsize * N_STREAMS
    content, extra, _, _ = connection.recvmsg(4, socket.CMSG_SPACE(size))
    streams = array.array("i")
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            streams.frombytes(data[:size])
    if len(content) != 4 or len(streams) != N_STREAMS:
        raise ValueError("not a job")
    return struct.unpack("!I", content)[0], list(streams)


def _run(job: dict, streams: list[int]) -> None:
    """In a fork: be the process that asked, and never return."""
    status = 1
    try:
        os.setsid()
        end_with_parent()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.umask(job["umask"])
        os.chdir(job["folder"])
        os.environ.clear()
        os.environ.update(job["environment"], **{OFF: "0"})
        sys.argv, sys.path[:] = job["argv"], job["path"]
        for name in [name for name in sys.modules if name.partition(".")[0] == "copylens"]:
            del sys.modules[name]
        runpy.run_path(sys.argv[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def load(libraries: Iterable[str]) -> None:
    """Import what isn't there yet, and isn't missing."""
    if new := [name for name in libraries if name not in sys.modules]:
        for name in new:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        gc.collect()
        gc.freeze()  # forks share what is there


def main() -> None:
    os.chdir("/")  # holds no folder of a workflow
    load(LIBRARIES)
    Server(Path(sys.argv[1])).serve()


if __name__ == "__main__":
    main()
