"""Run the steps of a Dockerfile without a container engine: as root, with chroot and unshare.

A stage is a folder with a complete Debian. Mounts of a step disappear when it ends. There are no layers and no cache.
This tests that the steps work; a linter tests that an engine accepts them.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FORWARDED = re.compile(r"(?i)(https?|no)_proxy|PIP_\w+|SSL_CERT_\w+")
"""Variables with which this machine reaches a package index; container engines pass them on in other ways."""


@dataclass
class Stage:
    """A FROM and its steps in order: instruction and arguments."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        """Return the arguments of the last instruction of a kind."""
        return [words for kind, words in self.steps if kind == instruction][-1]


def parse_stages(text: str) -> list[Stage]:
    """Return the stages of a Dockerfile; raise ValueError for an instruction that `build_image` does not support."""
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
            raise ValueError(f"{kind}: instruction is not supported")
    return stages


def parse_copy(words: str) -> tuple[str, list[str], str]:
    """Return the source stage of a COPY (or ""), its sources and its target."""
    *sources, target = words.split()
    stage = sources.pop(0).removeprefix("--from=") if sources[0].startswith("--from=") else ""
    return stage, sources, target


@dataclass
class Image:
    """A stage after its steps."""

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
        """Run a command in it; `binds` maps a path inside to a folder outside."""
        user = user or self.user
        mounts = {"/dev": "/dev", "/etc/ssl/certs": "/etc/ssl/certs", "/etc/resolv.conf": "/etc/resolv.conf"}
        lines = ["set -e", f"mount -t proc proc {self._locate('/proc')}"]
        for inside, outside in {**mounts, **(binds or {})}.items():
            if Path(outside).is_dir():
                Path(self._locate(inside)).mkdir(parents=True, exist_ok=True)
            else:
                Path(self._locate(inside)).touch()
            lines.append(f"mount --bind {shlex.quote(str(outside))} {shlex.quote(self._locate(inside))}")
        spec = user if ":" in user else f"{user}:{user}"
        inside = f"cd {shlex.quote(self.folder)} && exec {shlex.join(command)}"
        lines.append(f"exec chroot --userspec={spec} {shlex.quote(str(self.root))} /bin/sh -c {shlex.quote(inside)}")
        forwarded = {name: value for name, value in os.environ.items() if FORWARDED.fullmatch(name)}
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "sh", "-c", "\n".join(lines)],
            env={**forwarded, **self.environment, **variables},
            capture_output=True,
            text=True,
            check=check,
        )

    def entry(self, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run what `docker run IMAGE words` would run."""
        entrypoint = json.loads(self.stage.last("ENTRYPOINT"))
        return self.run([*entrypoint, *(words or json.loads(self.stage.last("CMD")))], **options)  # type: ignore[arg-type]

    def _locate(self, path: str) -> str:
        return str(self.root / os.path.join(self.folder, path).lstrip("/"))


def build_image(text: str, context: Path, base: Path, folder: Path) -> Image:
    """Build a Dockerfile and return its last stage; each stage is a folder that starts as a copy of `base`."""
    images: dict[str, Image] = {}
    for stage in parse_stages(text):
        root = folder / stage.name
        subprocess.run(["cp", "-a", base, root], check=True)
        image = images[stage.name] = Image(root, stage)
        for kind, words in stage.steps:
            if kind == "RUN":
                image.run(["/bin/sh", "-c", words])
            elif kind == "COPY":
                origin, sources, target = parse_copy(words)
                for source in sources:
                    _copy(
                        (images[origin].root if origin else context) / source.lstrip("/"),
                        Path(image._locate(target)),
                        target,
                    )
            elif kind == "ENV":
                for pair in shlex.split(words):
                    name, _, value = pair.partition("=")
                    image.environment[name] = value.replace("$PATH", image.environment["PATH"])
            elif kind == "WORKDIR":
                image.folder = words
                Path(image._locate(words)).mkdir(parents=True, exist_ok=True)
            elif kind == "USER":
                image.user = words
    return image


def _copy(source: Path, target: Path, written_target: str) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy(source, target / source.name if written_target.endswith("/") else target)
