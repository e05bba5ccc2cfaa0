"""What one run of a command knows: its files, its spec, its device, its progress and its saved state."""

from __future__ import annotations

import fcntl
import math
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, TextIO, TypeVar

from advgen.core import plugins
from advgen.core.tasks import Task
from advgen.driver.runs import clock
from advgen.files.provenance import Stamp, sha256_text, temporaries
from advgen.io import devices
from advgen.io.stamps import content

if TYPE_CHECKING:
    from torch import Tensor

    State = dict[str, Tensor]

T = TypeVar("T", bound=Task)

SAVE_SECONDS = float(os.environ.get("ADVGEN_SAVE_SECONDS", "30"))
"""How much work a killed training can lose."""

PROGRESS_SECONDS = 5.0


@dataclass
class Job(Generic[T]):
    """One run of one command. `inputs` and `outputs` are keyed by flag."""

    command: str
    spec: T
    code: str
    inputs: Mapping[str, Sequence[Path]]
    outputs: Mapping[str, Sequence[Path]]
    plugins: Sequence[Path] = ()
    """Files with kinds of the user's own."""
    device: str = field(default="cpu")
    before: str = ""
    """The devices that a saved state was made on, if others than this one."""

    def input(self, name: str) -> Path:
        """The one file behind an input flag."""
        [path] = self.inputs[name]
        return path

    def output(self, name: str = "out") -> Path:
        """The one file behind an output flag."""
        [path] = self.outputs[name]
        return path

    @cached_property
    def digests(self) -> dict[str, str]:
        """Digest of what each input holds, by its path relative to the working folder."""
        known = self.spec.input_digests()
        read = [(os.path.relpath(path), path) for paths in self.inputs.values() for path in paths]
        return {name: known[name] if name in known else content(path) for name, path in read}

    @cached_property
    def stamp(self) -> Stamp:
        """The provenance of this run's artefacts."""
        spec = self.spec.model_dump(mode="json")
        return Stamp(
            command=self._command_line(),
            spec={"sha256": sha256_text(self.spec.canonical())} if self.spec.private else spec,
            code=self.code,
            inputs=self.digests,
            versions={
                "python": platform.python_version(),
                **{name: version(name) for name in ("advgen", *self.spec.made_with())},
                **plugins.versions(self.spec.uses()),
            },
            seed=spec.get("seed"),
            device=self.made_on() if self.spec.torch else "cpu",
        )

    def made_on(self) -> str:
        """The models of the devices that it was computed on, in order."""
        here = devices.device_name(self.device)
        return f"{self.before}, {here}" if self.before else here

    def _command_line(self) -> str:
        files = {**self.inputs, **self.outputs, **({"plugins": self.plugins} if self.plugins else {})}
        flags = [f"--{flag} {' '.join(os.path.relpath(path) for path in paths)}" for flag, paths in files.items()]
        return " ".join(["advgen", self.command, *flags])

    def label(self) -> str:
        """What this run is about, for progress lines: the command and the file that it makes."""
        return f"{self.command} {os.path.relpath(next(iter(self.outputs.values()))[0])}"

    def callbacks(self) -> dict[str, Any]:
        """How a training loop saves its state under results/state, tells its progress, and what it goes on from."""
        return {"save": self.state.save, "progress": Progress(self.label()), "state": self.state.load()}

    @cached_property
    def state(self) -> SavedState:
        """What is kept of an unfinished training; from now on a signal to stop waits for the end of a step."""
        return SavedState(self)

    def finish(self) -> None:
        """Forget the saved state: the artefacts are complete."""
        self.state.forget()


class Progress:
    """Whole lines on stdout, or `to`, at most one in five seconds, with the time left."""

    def __init__(self, label: str, to: TextIO | None = None):
        self.label, self.to, self.start, self.first = label, to, time.monotonic(), -1
        self.last = self.start

    def __call__(self, step: int, total: int, numbers: Mapping[str, float] | None = None) -> None:
        """Report that `step` of `total` is done."""
        now = time.monotonic()
        if self.first < 0:
            self.start, self.first = now, step
        if now - self.last < PROGRESS_SECONDS:
            return
        self.last = now
        done = max(step - self.first, 1)
        left = (now - self.start) / done * (total - step)
        # some numbers come only once an epoch
        known = {name: value for name, value in (numbers or {}).items() if not math.isnan(value)}
        values = "".join(f"  {name} {value:.3g}" for name, value in known.items())
        print(
            f"{self.label}: {step}/{total} ({step / total:.0%}){values}  {clock(left)} left", file=self.to, flush=True
        )


@contextmanager
def sole_writer(outputs: Mapping[str, Sequence[Path]]) -> Iterator[None]:
    """Wait until no other process makes the same artefact, then sweep away what killed ones left half-written.

    An orphan of a killed driver would otherwise put its file over the one of the job that came after it.
    """
    first = next(iter(outputs.values()))[0]
    folder = Path("results/state")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{sha256_text(os.path.relpath(first))[:16]}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{os.path.relpath(first)}: waits for another process that makes it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for paths in outputs.values():
            for path in paths:
                for left in temporaries(path):
                    left.unlink(missing_ok=True)
        yield


class SavedState:
    """The state of an unfinished training: one file per artefact, refused when spec, code or inputs differ."""

    def __init__(self, job: Job[Any]):
        first = os.path.relpath(next(iter(job.outputs.values()))[0])
        self.path = Path("results/state") / f"{sha256_text(first)[:16]}.safetensors"
        self.job = job
        self.last = time.monotonic()
        self.stopped = ""
        self.previous = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}

    @cached_property
    def key(self) -> str:
        """Digest of everything that shapes the run."""
        inputs = sorted(self.job.digests.values())
        threads = str(devices.thread_counts())
        return sha256_text("\n".join([self.job.spec.canonical(), self.job.code, threads, *inputs]))

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopped = signal.Signals(number).name

    def load(self) -> State | None:
        """What an interrupted run of the very same job left; not on a GPU what a CPU began, nor the other way."""
        from advgen.io.checkpoints import load_state, state_device

        for left in temporaries(self.path):
            left.unlink(missing_ok=True)
        state = load_state(self.path, self.key)
        if state is None:
            return None
        made_on, here, label = state_device(self.path), devices.device_name(self.job.device), self.job.label()
        *earlier, last = made_on.split(", ")
        if last.startswith("cpu ") != here.startswith("cpu "):
            print(f"{label}: a saved state of {made_on} is not continued on {here}; starts anew", flush=True)
            return None
        if last == here:
            self.job.before = ", ".join(earlier)
            print(f"{label}: continues from a saved state", flush=True)
        else:
            self.job.before = made_on
            words = "the last bits are not those of either device; the stamp names both"
            print(f"{label}: continues a state of {made_on} on {here}: {words}", flush=True)
        self.job.__dict__.pop("stamp", None)  # a stamp that was made before names this device alone
        return state

    def save(self, take: Callable[[], State]) -> None:
        """Keep the state every SAVE_SECONDS, and at once before ending on SIGTERM or Ctrl-C."""
        from advgen.io.checkpoints import save_state

        now = time.monotonic()
        if not self.stopped and now - self.last < SAVE_SECONDS:
            return
        save_state(self.path, take(), self.key, self.job.made_on())
        self.last = time.monotonic()
        if self.stopped:
            sys.exit(f"{self.job.label()}: stopped by {self.stopped}, state kept; run again to continue")

    def forget(self) -> None:
        """Remove what is kept, and let signals stop the process at once again."""
        self.path.unlink(missing_ok=True)
        for number, handler in self.previous.items():
            signal.signal(number, handler)
