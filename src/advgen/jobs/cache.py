"""What was computed before: files by everything that shapes them, so that nothing is computed twice.

An entry's name is the digest of a job's command, spec, code, versions, device, threads and the contents of its inputs.
The names of definitions and files are no part of it where they only label rows: an entry is relabelled then.
ADVGEN_CACHE names the folder (to share it between clones), or is "off"; ADVGEN_CACHE_GB bounds it.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from advgen.files.provenance import DISK_FULL_ERRORS, Stamp, atomic_write, sha256_file, sha256_text
from advgen.io.devices import thread_counts
from advgen.io.stamps import read_stamp, relabel
from advgen.jobs.job import Job
from advgen.jobs.progress import CACHE_HIT
from advgen.specs.base import canonical_json

FOLDER = "results/cache"
LIST = "files.json"
"""What is complete: the digest of each file by its flag. Written last."""


def cache_folder() -> Path | None:
    """Where results are kept; None if they are not."""
    told = os.environ.get("ADVGEN_CACHE", FOLDER)
    return None if told.lower() in ("off", "0", "") else Path(told)


def size_limit() -> float:
    """How many bytes it may hold."""
    return 1e9 * float(os.environ.get("ADVGEN_CACHE_GB", "20"))


def cache_key(job: Job[Any]) -> str:
    """Digest of everything that shapes what a job makes, but for labels."""
    labels = job.spec.labels
    spec = json.loads(job.spec.canonical())
    for dotted in labels or ():
        *above, last = dotted.split(".")
        inner = spec
        for part in above:
            inner = inner[part]
        inner.pop(last)
    shapes = {
        "command": job.command,
        "spec": spec,
        "code": job.code,
        "contents": {
            flag: [job.digests[os.path.relpath(path)] for path in paths] for flag, paths in job.inputs.items()
        },
        "files": job.stamp.command if labels is None else "",
        "versions": job.stamp.versions,
        "device": job.stamp.device,
        "threads": thread_counts(),
    }
    return sha256_text(canonical_json(shapes))


def _place(job: Job[Any]) -> Path | None:
    """Where the files of a job are kept; None if they are not, and for raw data, which are kept anyway.

    Private ones stay beside the results, in no folder that others may see.
    """
    root = cache_folder()
    if root is None or not job.spec.outputs:
        return None
    name = cache_key(job)
    return (Path(FOLDER) if job.spec.private else root) / name[:2] / name


def restore(job: Job[Any]) -> bool:
    """Put the files of an equal job in place; False if there is none, or a damaged one, which is removed."""
    entry = _place(job)
    if entry is None or not (entry / LIST).is_file():  # another process may put it there right now
        return False
    try:
        files = from_json((entry / LIST).read_bytes())
        if any(sha256_file(entry / name) != digest for name, digest in files.values()):
            raise ValueError("damaged")
        for flag, (name, _) in files.items():
            _put(entry / name, job.output(flag), job)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if getattr(error, "errno", None) in DISK_FULL_ERRORS:  # the entry is whole, and computing it makes no room
            raise
        shutil.rmtree(entry, ignore_errors=True)
        return False
    with suppress(OSError):
        os.utime(entry)  # used now: the last to be dropped
    print(f"{job.label()}{CACHE_HIT}{entry.parents[1]}", flush=True)
    return True


def _put(kept: Path, path: Path, job: Job[Any]) -> None:
    stamp = read_stamp(kept)
    with atomic_write(path) as temporary:
        if stamp is None or stamp == job.stamp:
            shutil.copyfile(kept, temporary)
        else:
            relabel(kept, temporary, job.stamp, _labels(stamp, job))


def _labels(stamp: Stamp, job: Job[Any]) -> dict[str, tuple[Any, Any]]:
    """The columns whose values are labels, with the old and the new one."""

    def value(spec: Any, dotted: str) -> Any:
        for part in dotted.split("."):
            spec = spec[part]
        return spec

    return {
        column: (value(stamp.spec, dotted), value(job.stamp.spec, dotted))
        for dotted, column in (job.spec.labels or {}).items()
    }


def store(job: Job[Any]) -> None:
    """Keep what a job has made; what cannot be kept is no error."""
    entry = _place(job)
    if entry is None:
        return
    with suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=entry.parent, prefix=".partial.") as temporary:
            files = {}
            for flag, paths in job.outputs.items():
                name = f"{flag}{paths[0].suffix}"
                _keep(paths[0], Path(temporary) / name)
                files[flag] = (name, sha256_file(paths[0]))
            (Path(temporary) / LIST).write_text(json.dumps(files))
            os.chmod(temporary, 0o755)
            os.rename(temporary, entry)  # fails where another process has kept the same meanwhile
            os.mkdir(temporary)


def _keep(path: Path, kept: Path) -> None:
    try:
        os.link(path, kept)  # artefacts are replaced whole, never written into
    except OSError:
        shutil.copyfile(path, kept)


def entries(root: Path) -> Iterator[tuple[float, int, Path]]:
    """All entries: when last used, bytes, folder."""
    for entry in root.glob("??/*"):
        with suppress(OSError):
            yield entry.stat().st_mtime, sum(file.stat().st_size for file in entry.iterdir()), entry


def shrink() -> None:
    """Drop what was not used for longest until the rest is within bounds."""
    for root in {Path(FOLDER), cache_folder() or Path(FOLDER)}:
        total = 0.0
        for _, size, entry in sorted(entries(root), reverse=True):
            total += size
            if total > size_limit():
                shutil.rmtree(entry, ignore_errors=True)
