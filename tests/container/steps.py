"""The steps of a Dockerfile, carried out in folders: where no engine runs, by root, with chroot and unshare.

A stage is a folder that holds a whole Debian; what a step mounts is gone when it ends. There are no layers, no cache:
this shows that the steps work, not that an engine accepts them, for which there is a linter.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PASSED_ON = re.compile(r"(?i)(https?|no)_proxy|PIP_\w+|SSL_CERT_\w+")
"""Variables by which this machine reaches an index; a builder passes them on in ways of its own."""


@dataclass
class Stage:
    """One FROM and its steps, in order: the instruction and what stands behind it."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        """What stands behind the last instruction of a kind."""
        return [words for kind, words in self.steps if kind == instruction][-1]


def parsed(text: str) -> list[Stage]:
    """The stages of a Dockerfile; ValueError if it has a step that `built` cannot carry out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    stages: list[Stage] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        kind, _, words = line.strip().partition(" ")
        if kind == "FROM":
            base, _, name = words.partition(" AS ")
            stages.append(Stage(base, name or str(len(stages))))
        elif kind in ("RUN", "COPY", "ENV", "WORKDIR", "USER", "ENTRYPOINT", "CMD"):
            stages[-1].steps.append((kind, words))
        else:
            raise ValueError(f"{kind}: is no step that is known here")
    return stages


def copied(words: str) -> tuple[str, list[str], str]:
    """Of a COPY the stage that it copies from, or "", what, and where to."""
    *sources, target = words.split()
    stage = sources.pop(0).removeprefix("--from=") if sources[0].startswith("--from=") else ""
    return stage, sources, target


@dataclass
class Built:
    """A finished stage."""

    root: Path
    stage: Stage
    environment: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
    )
    folder: str = "/"
    user: str = "0"

    def run(
        self,
        command: Sequence[str],
        user: str = "",
        binds: Mapping[str, str | Path] | None = None,
        check: bool = True,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        """A command in it; `binds` says which folder stands behind a path inside."""
        user = user or self.user
        mounts = {"/dev": "/dev", "/etc/ssl/certs": "/etc/ssl/certs", "/etc/resolv.conf": "/etc/resolv.conf"}
        lines = ["set -e", f"mount -t proc proc {self._at('/proc')}"]
        for inside, outside in {**mounts, **(binds or {})}.items():
            if Path(outside).is_dir():
                Path(self._at(inside)).mkdir(parents=True, exist_ok=True)
            else:
                Path(self._at(inside)).touch()
            lines.append(f"mount --bind {shlex.quote(str(outside))} {shlex.quote(self._at(inside))}")
        spec = user if ":" in user else f"{user}:{user}"
        inside = f"cd {shlex.quote(self.folder)} && exec {shlex.join(command)}"
        lines.append(f"exec chroot --userspec={spec} {shlex.quote(str(self.root))} /bin/sh -c {shlex.quote(inside)}")
        passed = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "sh", "-c", "\n".join(lines)],
            env={**passed, **self.environment, **variables},
            capture_output=True,
            text=True,
            check=check,
        )

    def entry(self, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
        """What `docker run IMAGE words` would run."""
        begun = json.loads(self.stage.last("ENTRYPOINT"))
        return self.run([*begun, *(words or json.loads(self.stage.last("CMD")))], **options)  # type: ignore[arg-type]

    def _at(self, path: str) -> str:
        return str(self.root / os.path.join(self.folder, path).lstrip("/"))


def built(text: str, context: Path, base: Path, folder: Path) -> Built:
    """The last stage of a Dockerfile, each stage in a folder of its own that begins as a copy of `base`."""
    made: dict[str, Built] = {}
    for stage in parsed(text):
        root = folder / stage.name
        subprocess.run(["cp", "-a", base, root], check=True)
        now = made[stage.name] = Built(root, stage)
        for kind, words in stage.steps:
            if kind == "RUN":
                now.run(["/bin/sh", "-c", words])
            elif kind == "COPY":
                origin, sources, target = copied(words)
                for source in sources:
                    _copy(
                        (made[origin].root if origin else context) / source.lstrip("/"), Path(now._at(target)), target
                    )
            elif kind == "ENV":
                for pair in shlex.split(words):
                    name, _, value = pair.partition("=")
                    now.environment[name] = value.replace("$PATH", now.environment["PATH"])
            elif kind == "WORKDIR":
                now.folder = words
                Path(now._at(words)).mkdir(parents=True, exist_ok=True)
            elif kind == "USER":
                now.user = words
    return now


def _copy(source: Path, target: Path, written: str) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy(source, target / source.name if written.endswith("/") else target)
