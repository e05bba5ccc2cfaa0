"""One run of a command: its spec, its files, its device and the stamp of what it writes."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, TypeVar

from advgen.core import plugins
from advgen.core.tasks import Task
from advgen.files.provenance import Stamp, sha256_text
from advgen.io import devices
from advgen.io.stamps import content_digest
from advgen.jobs.progress import Progress
from advgen.jobs.saved_state import SavedState

T = TypeVar("T", bound=Task)


@dataclass
class Job(Generic[T]):
    """One run of a command. `inputs`, `outputs` and `plugins` are paths; the first two are keyed by flag."""

    command: str
    spec: T
    code: str
    inputs: Mapping[str, Sequence[Path]]
    outputs: Mapping[str, Sequence[Path]]
    plugins: Sequence[Path] = ()
    device: str = "cpu"
    previous_devices: str = ""
    """Names of other devices on which the saved state was computed from which this run continues."""

    def input(self, name: str) -> Path:
        """Return the only file of an input flag."""
        [path] = self.inputs[name]
        return path

    def output(self, name: str = "out") -> Path:
        """Return the only file of an output flag."""
        [path] = self.outputs[name]
        return path

    @cached_property
    def digests(self) -> dict[str, str]:
        """Digest of each input's content, by its path relative to the working folder."""
        known = self.spec.input_digests()
        read = [(os.path.relpath(path), path) for paths in self.inputs.values() for path in paths]
        return {name: known[name] if name in known else content_digest(path) for name, path in read}

    @cached_property
    def stamp(self) -> Stamp:
        """The provenance that this run writes into its artefacts."""
        spec = self.spec.model_dump(mode="json")
        return Stamp(
            command=self._command_line(),
            spec={"sha256": sha256_text(self.spec.canonical())} if self.spec.private else spec,
            code=self.code,
            inputs=self.digests,
            versions={
                "python": platform.python_version(),
                **{name: version(name) for name in ("advgen", *self.spec.stamped_packages())},
                **plugins.versions(self.spec.code_targets()),
            },
            seed=spec.get("seed"),
            device=self.device_names() if self.spec.torch else "cpu",
        )

    def device_names(self) -> str:
        """Return the names of the devices that computed the result, in order, separated by commas."""
        here = devices.device_name(self.device)
        return f"{self.previous_devices}, {here}" if self.previous_devices else here

    def _command_line(self) -> str:
        files = {**self.inputs, **self.outputs, **({"plugins": self.plugins} if self.plugins else {})}
        flags = [f"--{flag} {' '.join(os.path.relpath(path) for path in paths)}" for flag, paths in files.items()]
        return " ".join(["advgen", self.command, *flags])

    def label(self) -> str:
        """Return the command and the first output, as the prefix of progress lines."""
        return f"{self.command} {os.path.relpath(next(iter(self.outputs.values()))[0])}"

    def callbacks(self) -> dict[str, Any]:
        """Return the callbacks of a training: `save`, `progress`, and the `state` to start from (or None)."""
        return {"save": self.state.save, "progress": Progress(self.label()), "state": self.state.load()}

    @cached_property
    def state(self) -> SavedState:
        """The saved state of an unfinished training; from the first access on, signals wait for the end of a step."""
        return SavedState(self)

    def finish(self) -> None:
        """Delete the saved state, since the artefacts are complete."""
        self.state.delete()
