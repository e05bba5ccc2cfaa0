"""A SLURM of our own on this machine: munge, slurmctld and three slurmd, in one folder, on ports of their own.

Nothing outside the folder is written, and everything started carries the folder's name in its environment, by which
it is found and ended again.
"""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

HERE = Path(__file__).parent
NODES = ("node1", "node2", "node3")
MARK = "ADVGEN_TEST_CLUSTER"
_PR_SET_PDEATHSIG = 1


def wait_for(what: str, question: Callable[[], T], seconds: float = 180) -> T:
    """Ask until the answer is true; what came instead, if it never is."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.1)


@dataclass(frozen=True)
class Process:
    """A process of this cluster or of a driver that uses it."""

    pid: int
    command: list[str]
    environment: dict[str, str]

    @property
    def job(self) -> str:
        """The SLURM job that it belongs to, or nothing."""
        return self.environment.get("SLURM_JOB_ID", "")

    def status(self, key: str) -> str:
        """A line of its kernel status; nothing once it is gone."""
        try:
            text = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return ""
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line).get(key, "").strip()

    @property
    def alive(self) -> bool:
        """Whether it still does something."""
        return self.status("State")[:1] not in ("", "Z", "X")

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it is still there."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


@dataclass
class Seen:
    """What scontrol told about a job while it was there."""

    comment: str = ""
    memory: str = ""
    array: str = ""
    states: list[str] = field(default_factory=list)
    places: set[tuple[str, str]] = field(default_factory=set)
    """Node and index of the GPU."""


class Cluster:
    """Start with `start`, end with `stop`, also after a failed start."""

    def __init__(self) -> None:
        self.state = Path(tempfile.mkdtemp(prefix="advgen-slurm-"))
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        # the job step drops every SLURM_* variable, so the srun that it calls is told the place of the config here
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "SRUN"))},
            MARK: str(self.state),
            "SLURM_CONF": str(self.state / "slurm.conf"),
            "PATH": f"{self.state / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        self.seen: dict[str, Seen] = {}
        self.together: set[frozenset[str]] = set()
        """Pairs of jobs that were seen running at the same time."""
        self._watching = threading.Event()
        self._watcher: threading.Thread | None = None

    def start(self) -> None:
        """Start the daemons and wait until all nodes are idle."""
        self._write()
        files = ("key-file", "socket", "log-file", "pid-file", "seed-file")
        places = [f"--{name}={self.state}/munge.{name.removesuffix('-file')}" for name in files]
        self._daemon("munged", "--foreground", "--force", *places)
        wait_for("munge's socket", (self.state / "munge.socket").exists, 30)
        self._daemon("slurmctld", "-D", "-c")
        for node in NODES:
            self.node_up(node)
        wait_for(f"the nodes; see {self.state / 'log'}", lambda: self.nodes() == dict.fromkeys(NODES, "idle"), 60)
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()

    def _write(self) -> None:
        for part in ("run", "log", "slurmctld", "bin", *(f"spool/{node}" for node in NODES)):
            (self.state / part).mkdir(parents=True)
        self.state.chmod(0o755)
        for node in NODES[:2]:
            folder = self.state / "devices" / node
            folder.mkdir(parents=True)
            for index in (0, 1):
                os.mknod(folder / f"gpu{index}", 0o20666, os.makedev(1, 3))
        key = self.state / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(1024))
        ports = _free_ports(1 + len(NODES))
        words = {"STATE": str(self.state), "HOST": socket.gethostname().split(".")[0], "PORT": ports[0]}
        words |= {f"PORT{number}": port for number, port in enumerate(ports[1:], 1)}
        for name in ("slurm.conf", "gres.conf", "cgroup.conf"):
            text = (HERE / name).read_text()
            (self.state / name).write_text(re.sub(r"@(\w+)@", lambda found: str(words[found[1]]), text))
        srun = self.state / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.state}/slurm.conf exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)

    def _daemon(self, program: str, *arguments: str, name: str = "") -> None:
        def die_with_parent() -> None:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

        with (self.state / "log" / f"{name or program}.out").open("ab") as log:
            self.daemons[name or program] = subprocess.Popen(
                [shutil.which(program) or f"/usr/sbin/{program}", *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def stop(self) -> None:
        """End jobs, daemons and whatever else carries our mark; remove the folder."""
        self._watching.set()
        if self._watcher:
            self._watcher.join()
        for name in (*NODES, "slurmctld", "munged"):
            daemon = self.daemons.get(name)
            if daemon:
                daemon.terminate()
                try:
                    daemon.wait(15)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()
        while found := self.processes():
            for process in found:
                process.send(signal.SIGKILL)
            time.sleep(0.2)
        shutil.rmtree(self.state, ignore_errors=True)

    def run(self, *command: str) -> str:
        """What a SLURM command prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def nodes(self) -> dict[str, str]:
        """State of each node; nothing while the controller does not answer."""
        done = subprocess.run(
            ["sinfo", "-h", "-N", "-o", "%N %T"], env=self.environment, capture_output=True, text=True, timeout=60
        )
        return dict(line.split() for line in done.stdout.splitlines())

    def node_down(self, node: str) -> None:
        """Power cut: the node's slurmd, its steps and all their processes vanish."""
        self.daemons[node].kill()
        self.daemons[node].wait()
        for process in self.processes():
            if process.environment.get("SLURMD_NODENAME") == node:
                process.send(signal.SIGKILL)

    def node_up(self, node: str) -> None:
        """Start a node's slurmd."""
        self._daemon("slurmd", "-D", "-N", node, name=node)

    def processes(self) -> list[Process]:
        """Every living process that carries our mark, and the daemons of job steps, which wipe their environment."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
                block = (folder / "environ").read_bytes().decode(errors="replace")
                environment = dict(entry.split("=", 1) for entry in block.split("\0") if "=" in entry)
                if command[0].startswith("slurmstepd:"):
                    files = [os.readlink(one).removesuffix(" (deleted)") for one in (folder / "fd").iterdir()]
                    nodes = [node for node in NODES if str(self.state / "log" / f"slurmd.{node}.log") in files]
                    environment = {MARK: str(self.state), "SLURMD_NODENAME": nodes[0]} if nodes else {}
                process = Process(int(folder.name), command, environment)
            except OSError:
                continue
            if environment.get(MARK) == str(self.state) and process.alive and process.pid != os.getpid():
                found.append(process)
        return found

    def working(self, command: str, output: str = "") -> list[Process]:
        """The processes of our own that run one advgen command in a SLURM job, for one output."""
        return [
            process
            for process in self.processes()
            if process.job and process.command[1:4] == ["-m", "advgen", command] and output in " ".join(process.command)
        ]

    def _watch(self) -> None:
        while not self._watching.wait(0.5):
            done = subprocess.run(
                ["scontrol", "-o", "-d", "show", "job"], env=self.environment, capture_output=True, text=True
            )
            running = []
            for line in done.stdout.splitlines():
                facts = dict(re.findall(r"(\S+?)=(\S*)", line))
                if "JobId" not in facts:
                    continue
                seen = self.seen.setdefault(facts["JobId"], Seen())
                seen.comment, seen.memory = facts.get("Comment", ""), facts.get("MinMemoryNode", "")
                seen.array = facts.get("ArrayJobId", "")
                if facts["JobState"] not in seen.states[-1:]:
                    seen.states.append(facts["JobState"])
                if facts["JobState"] == "RUNNING":
                    running.append(facts["JobId"])
                    gpu = re.search(r"GRES=gpu:fake:1\(IDX:(\d)\)", line)
                    seen.places.add((facts["NodeList"], gpu[1] if gpu else ""))
            self.together |= {frozenset({one, other}) for one in running for other in running if one < other}


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, below those that the kernel gives to clients."""
    found: list[int] = []
    for port in range(26817, 32768):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")
