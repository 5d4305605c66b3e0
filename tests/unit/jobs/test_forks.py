"""A job as a fork of a process that has the libraries: the same as by itself, and gone with whoever asked for it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

SCRIPT = """
import os, sys
from copylens.jobs.job import job

with job("log", 1):
    import helper

    print("to the log")
    print(helper.WORD, sys.argv[1:], os.getcwd(), os.environ["GREETING"], "decimal" in sys.modules, file=sys.__stdout__)
    {body}
"""
# A server that has imported one library that no script here does, and waits for half a second.
SERVER = """
import sys
from copylens.jobs import forks

forks.LIBRARIES, forks.IDLE_S = ("decimal",), {idle}
sys.argv = ["server", sys.argv[1]]
forks.main()
"""
PLACE = """
import os
from copylens.jobs import forks, job

os.environ.update(dict.fromkeys(job.THREAD_VARIABLES, "1"))
print(forks._place())
"""


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    temporary = tmp_path / "temporary" / ("deep" * 20)  # longer than the name of a socket may be
    temporary.mkdir(parents=True)
    return os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(ROOT / "src"), "GREETING": "hello"}


@pytest.fixture
def server(environment):
    """A running server; the text of its script takes how long it waits."""
    started = []

    def start(idle: float = 60.0) -> subprocess.Popen:
        asked = [sys.executable, "-c", PLACE]
        place = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout.strip()
        process = subprocess.Popen([sys.executable, "-c", SERVER.format(idle=idle), place], env=environment)
        started.append(process)
        _until(Path(place).exists)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def _until(condition) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def script(folder: Path, body: str = "pass", word: str = "one") -> Path:
    (folder / "helper.py").write_text(f"WORD = {word!r}\n")
    path = folder / "script.py"
    path.write_text(SCRIPT.format(body=body))
    return path


def run(path: Path, environment: dict, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(path), *arguments],
        cwd=path.parent,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_fork_is_what_the_script_would_be_by_itself(tmp_path, environment, server):
    server()
    path = script(tmp_path)
    done = run(path, environment, "first", "second")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["one", "['first',", "'second']", str(tmp_path), "hello", "True"]
    assert (tmp_path / "log").read_text() == "to the log\n"
    alone = run(path, environment, "first", "second", COPYLENS_FORKS="0")
    assert alone.stdout == done.stdout.replace("True", "False")


def test_a_job_notes_its_seconds_and_its_memory(tmp_path, environment, server):
    server()
    path = script(tmp_path, "import time; block = bytearray(200 * 2**20); time.sleep(0.3)")
    path.write_text(path.read_text().replace('job("log", 1)', 'job("log", 1, 0, ("fractions",), "cost")'))
    assert run(path, environment).returncode == 0
    names, values = (tmp_path / "cost").read_text().splitlines()
    assert names.split("\t") == ["s", "memory_mib"]
    seconds, memory = map(float, values.split("\t"))
    assert 0.3 <= seconds < 10 and 200 < memory < 400


def test_the_fork_has_the_code_as_it_is_now(tmp_path, environment, server):
    server()
    assert run(script(tmp_path), environment).stdout.startswith("one")
    assert run(script(tmp_path, word="another"), environment).stdout.startswith("another")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("raise ValueError('images.npy: is no image')", 1, "copylens: images.npy: is no image\n"),
        ("raise SystemExit(3)", 3, ""),
        ("os.kill(os.getpid(), 9)", 137, ""),
        ("1 / 0", 1, "ZeroDivisionError"),
    ],
)
def test_it_ends_as_the_script_ends(tmp_path, environment, server, body, status, words):
    server()
    done = run(script(tmp_path, body), environment)
    assert done.returncode == status and words in done.stderr


def test_who_kills_the_job_kills_the_fork(tmp_path, environment, server):
    server()
    body = "open('number', 'w').write(str(os.getpid())); import time; time.sleep(60)"
    asking = subprocess.Popen([sys.executable, str(script(tmp_path, body))], cwd=tmp_path, env=environment)
    _until(lambda: (tmp_path / "number").exists() and (tmp_path / "number").read_text())
    number = int((tmp_path / "number").read_text())
    assert number != asking.pid
    asking.send_signal(signal.SIGKILL)
    _until(lambda: not Path(f"/proc/{number}").exists())


def test_without_jobs_the_server_ends_and_another_is_started(tmp_path, environment, server):
    process = server(idle=0.5)
    assert process.wait(20) == 0
    assert not list((tmp_path / "temporary").rglob("*.socket"))


def test_where_there_can_be_no_server_the_job_runs_by_itself(tmp_path, environment):
    folder = Path(environment["TMPDIR"]) / f"copylens-{os.getuid()}"
    folder.mkdir(mode=0o755)  # others may read it
    done = run(script(tmp_path), environment)
    assert done.returncode == 0 and done.stdout.startswith("one")
    batch = run(script(tmp_path), environment, SLURM_JOB_ID="1")
    assert batch.returncode == 0 and not list(folder.iterdir())


def test_a_server_that_dies_takes_its_jobs_with_it(tmp_path, environment, server):
    process = server()
    body = "open('number', 'w').write(str(os.getpid())); import time; time.sleep(60)"
    asking = subprocess.Popen([sys.executable, str(script(tmp_path, body))], cwd=tmp_path, env=environment)
    _until(lambda: (tmp_path / "number").exists() and (tmp_path / "number").read_text())
    process.kill()
    assert asking.wait(20) == 1
    _until(lambda: not Path(f"/proc/{int((tmp_path / 'number').read_text())}").exists())
