"""The saved state of an unfinished training, from which the same job continues after an interruption."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from advgen.files.provenance import leftover_temporaries, sha256_text
from advgen.io import devices

if TYPE_CHECKING:
    from torch import Tensor

    from advgen.jobs.job import Job

    State = dict[str, Tensor]

FOLDER = Path("results/state")
SAVE_SECONDS = float(os.environ.get("ADVGEN_SAVE_SECONDS", "30"))
"""How much work, in seconds, a killed training loses at most."""


class SavedState:
    """One file per unfinished artefact; `load` ignores it if the spec, the code, the inputs or the threads differ.

    Creating one installs handlers for SIGTERM and SIGINT: from then on both end the process after the current
    training step, when `save` is called.
    """

    def __init__(self, job: Job[Any]):
        first_output = os.path.relpath(next(iter(job.outputs.values()))[0])
        self.path = FOLDER / f"{sha256_text(first_output)[:16]}.safetensors"
        self.job = job
        self.last_save = time.monotonic()
        self.signal_name = ""
        self.previous_handlers = {
            number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)
        }

    @cached_property
    def key(self) -> str:
        """Digest of everything that affects the trained weights."""
        inputs = sorted(self.job.digests.values())
        threads = str(devices.thread_counts())
        return sha256_text("\n".join([self.job.spec.canonical(), self.job.code, threads, *inputs]))

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.signal_name = signal.Signals(number).name

    def load(self) -> State | None:
        """Return the state that an interrupted run of the same job saved, or None.

        A state saved on a GPU is not continued on a CPU, nor the other way round.
        """
        from advgen.io.checkpoints import load_state, state_device

        for temporary in leftover_temporaries(self.path):
            temporary.unlink(missing_ok=True)
        state = load_state(self.path, self.key)
        if state is None:
            return None
        saved_on, here, label = state_device(self.path), devices.device_name(self.job.device), self.job.label()
        *earlier, last = saved_on.split(", ")
        if last.startswith("cpu ") != here.startswith("cpu "):
            print(f"{label}: ignores a state saved on {saved_on}, since this is {here}; starts again", flush=True)
            return None
        if last == here:
            self.job.previous_devices = ", ".join(earlier)
            print(f"{label}: continues from a saved state", flush=True)
        else:
            self.job.previous_devices = saved_on
            warning = "the result may differ in its last bits; its stamp names both devices"
            print(f"{label}: continues on {here} from a state saved on {saved_on}: {warning}", flush=True)
        self.job.__dict__.pop("stamp", None)  # a stamp cached earlier names only this device
        return state

    def save(self, take: Callable[[], State]) -> None:
        """Save the state every SAVE_SECONDS; after SIGTERM or Ctrl-C save it at once and exit.

        `take` returns the tensors and is called only when the state is saved.
        """
        from advgen.io.checkpoints import save_state

        if not self.signal_name and time.monotonic() - self.last_save < SAVE_SECONDS:
            return
        save_state(self.path, take(), self.key, self.job.device_names())
        self.last_save = time.monotonic()
        if self.signal_name:
            sys.exit(f"{self.job.label()}: stopped by {self.signal_name}, state saved; run again to continue")

    def delete(self) -> None:
        """Delete the saved state and restore the signal handlers."""
        self.path.unlink(missing_ok=True)
        for number, handler in self.previous_handlers.items():
            signal.signal(number, handler)
