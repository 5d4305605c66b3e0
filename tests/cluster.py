"""A real Slurm of one node on this machine, with two pretended GPUs: what the tests submit to.

Everything lies in one folder; nothing is left running.
"""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "setpriv")
NODE, CPUS, GPUS = "node", 4, ("/dev/null", "/dev/zero")
# Debian keeps servers where a user's PATH doesn't look.
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])


def missing_programs() -> list[str]:
    """What isn't installed of what a cluster takes (Debian: slurm-wlm, munge)."""
    return [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]


class Cluster:
    """Munge, controller and node, running from `start` to `stop`."""

    def __init__(self, folder: Path):
        self.folder, self.processes = folder, []
        path = os.pathsep.join([str(folder / "bin"), PATH])
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}

    def start(self) -> None:
        """Returns when the node takes jobs."""
        folder, user = self.folder, getpass.getuser()
        for name in ("state", "spool"):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        controller, node = _free_port(), _free_port()
        (folder / "slurm.conf").write_text(f"""
ClusterName=test
SlurmctldHost={socket.gethostname()}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
MailProg=/bin/true
KillWait=5
MinJobAge=3600
ReturnToService=2
SchedulerParameters=sched_interval=1
NodeName={NODE} NodeAddr=127.0.0.1 NodeHostname={socket.gethostname()} CPUs={CPUS} RealMemory=64000 Gres=gpu:{len(GPUS)}
PartitionName=main Nodes={NODE} Default=YES MaxTime=INFINITE State=UP
""")
        (folder / "gres.conf").write_text(f"NodeName={NODE} Name=gpu File={','.join(GPUS)}\n")
        # Snakemake takes SLURM_CONF out of a job's environment, because where there is one cluster nobody needs it.
        (folder / "bin").mkdir()
        srun = folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun", path=PATH)} "$@"\n')
        srun.chmod(0o755)
        names = ("socket", "pid-file", "log-file", "seed-file")
        options = [f"--{name}={folder}/munge.{name.split('-')[0]}" for name in names]
        self._run("munged", "--force", "--foreground", f"--key-file={key}", "--num-threads=2", *options)
        _wait(lambda: (folder / "munge.socket").exists(), "munge")
        self._run("slurmctld", "-D", "-f", str(folder / "slurm.conf"))
        self._run("slurmd", "-D", "-f", str(folder / "slurm.conf"), "-N", NODE)
        _wait(lambda: " idle" in self.ask("sinfo", "--noheader", "--format=%n %t", check=False), "the node")

    def cancel(self) -> None:
        """Cancel every job, and wait for its end."""
        self.ask("scancel", "--user", getpass.getuser(), check=False)
        _wait(lambda: not self.ask("squeue", "--noheader", check=False), "the end of all jobs", 30, strict=False)

    def stop(self) -> None:
        """Cancel every job and end every process."""
        self.cancel()
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ask(self, *command: str, check: bool = True) -> str:
        """What one of Slurm's commands says."""
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def logs(self) -> str:
        """The servers' own words, for whoever asks why a cluster didn't start."""
        return "\n".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*.out")))

    def _run(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.out").open("w") as log:
            # Whoever kills this process kills the cluster.
            command = ["setpriv", "--pdeathsig", "TERM", shutil.which(name, path=PATH), *arguments]
            self.processes.append(
                subprocess.Popen(command, stdout=log, stderr=log, env=self.environment, start_new_session=True)
            )


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait(condition, what: str, timeout: float = 60, strict: bool = True) -> None:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            if strict:
                raise TimeoutError(f"{what} didn't come within {timeout} s")
            return
        time.sleep(0.2)


if __name__ == "__main__":  # a cluster to try things on: python tests/slurm/cluster.py FOLDER
    cluster = Cluster(Path(sys.argv[1]))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cluster.start()
        print(f"export SLURM_CONF={cluster.environment['SLURM_CONF']}", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    except TimeoutError:
        print(cluster.logs())
    finally:
        cluster.stop()
