"""A cache of results, so that nothing is computed twice.

The key of an entry is a digest of the job's command, spec, code, package versions, device, number of threads and input
contents. Names of definitions and files that only label rows are not part of the key: cached files are relabelled.
ADVGEN_CACHE is the folder (to share it between clones) or "off"; ADVGEN_CACHE_GB limits its size.
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
"""The name and digest of each file by its flag. It is written last, so an entry with this file is complete."""


def cache_folder() -> Path | None:
    """Return the folder of the cache, or None if it is off."""
    folder = os.environ.get("ADVGEN_CACHE", FOLDER)
    return None if folder.lower() in ("off", "0", "") else Path(folder)


def size_limit() -> float:
    """Return the maximum size in bytes."""
    return 1e9 * float(os.environ.get("ADVGEN_CACHE_GB", "20"))


def cache_key(job: Job[Any]) -> str:
    """Return the digest of everything that affects a job's results, except labels."""
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


def _find_entry(job: Job[Any]) -> Path | None:
    """Return the folder of a job's entry; None if the cache is off, and for raw data, which have their own store.

    Private results are only cached below results/, never in a shared folder.
    """
    root = cache_folder()
    if root is None or not job.spec.outputs:
        return None
    name = cache_key(job)
    return (Path(FOLDER) if job.spec.private else root) / name[:2] / name


def restore(job: Job[Any]) -> bool:
    """Restore the files of an equal job; False if there is no entry, or a damaged one, which is deleted."""
    entry = _find_entry(job)
    if entry is None or not (entry / LIST).is_file():  # another process may be writing it
        return False
    try:
        files = from_json((entry / LIST).read_bytes())
        if any(sha256_file(entry / name) != digest for name, digest in files.values()):
            raise ValueError("damaged")
        for flag, (name, _) in files.items():
            _copy(entry / name, job.output(flag), job)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if getattr(error, "errno", None) in DISK_FULL_ERRORS:  # the entry is intact, and computing needs space, too
            raise
        shutil.rmtree(entry, ignore_errors=True)
        return False
    with suppress(OSError):
        os.utime(entry)  # the most recently used entry is deleted last
    print(f"{job.label()}{CACHE_HIT}{entry.parents[1]}", flush=True)
    return True


def _copy(cached: Path, path: Path, job: Job[Any]) -> None:
    stamp = read_stamp(cached)
    with atomic_write(path) as temporary:
        if stamp is None or stamp == job.stamp:
            shutil.copyfile(cached, temporary)
        else:
            relabel(cached, temporary, job.stamp, _labels(stamp, job))


def _labels(stamp: Stamp, job: Job[Any]) -> dict[str, tuple[Any, Any]]:
    """Return the label columns with their old and new values."""

    def value(spec: Any, dotted: str) -> Any:
        for part in dotted.split("."):
            spec = spec[part]
        return spec

    return {
        column: (value(stamp.spec, dotted), value(job.stamp.spec, dotted))
        for dotted, column in (job.spec.labels or {}).items()
    }


def store(job: Job[Any]) -> None:
    """Add a job's files to the cache; errors are ignored."""
    entry = _find_entry(job)
    if entry is None:
        return
    with suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=entry.parent, prefix=".partial.") as temporary:
            files = {}
            for flag, paths in job.outputs.items():
                name = f"{flag}{paths[0].suffix}"
                _link_or_copy(paths[0], Path(temporary) / name)
                files[flag] = (name, sha256_file(paths[0]))
            (Path(temporary) / LIST).write_text(json.dumps(files))
            os.chmod(temporary, 0o755)
            os.rename(temporary, entry)  # fails if another process has added the same entry
            os.mkdir(temporary)


def _link_or_copy(path: Path, cached: Path) -> None:
    try:
        os.link(path, cached)  # artefacts are replaced, never modified
    except OSError:
        shutil.copyfile(path, cached)


def entries(root: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield each entry's time of last use, size in bytes, and folder."""
    for entry in root.glob("??/*"):
        with suppress(OSError):
            yield entry.stat().st_mtime, sum(file.stat().st_size for file in entry.iterdir()), entry


def shrink() -> None:
    """Delete the least recently used entries until the cache is within its limit."""
    for root in {Path(FOLDER), cache_folder() or Path(FOLDER)}:
        total = 0.0
        for _, size, entry in sorted(entries(root), reverse=True):
            total += size
            if total > size_limit():
                shutil.rmtree(entry, ignore_errors=True)
