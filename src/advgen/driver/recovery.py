"""What Snakemake would take for good when a driver starts, though it is not.

A killed driver leaves artefacts that its orphaned jobs finished after Snakemake stopped keeping records: it accepts a
file without a record and would miss any later edit of its config. And a damaged raw file looks to it like a new one.
Such files are compared with the plan when a driver starts; in the ordinary case there are none, and nothing is read.
"""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

from advgen.driver.plan import Plan

RECORDS = Path(".snakemake/metadata")
INCOMPLETE = Path(".snakemake/incomplete")


def unrecorded(plan: Plan) -> Iterator[str]:
    """Artefacts that exist without a record of Snakemake's, or with one whose writing was interrupted."""
    for path in plan.outputs():
        record = record_path(path)
        if os.path.exists(path) and not (record.exists() and record.stat().st_size):
            yield path


def touched(plan: Plan) -> Iterator[str]:
    """Raw files that are newer than the data set that was made of them."""
    for job in plan.of("make_dataset"):
        made = min((os.path.getmtime(path) for path in job.outputs.values() if os.path.exists(path)), default=None)
        for path in job.inputs["raw"]:
            if made is not None and os.path.exists(path) and os.path.getmtime(path) > made:
                yield path


def record_path(path: str) -> Path:
    """Where Snakemake keeps what it knows of an artefact."""
    return _place(RECORDS, path)


def _place(folder: Path, path: str) -> Path:
    """Where Snakemake notes something about a file."""
    name = urlsafe_b64encode(path.encode()).decode()
    parts = [name[start : start + 254] for start in range(0, len(name), 254)]
    return folder.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def doubt(plan: Plan) -> None:
    """Note for Snakemake that artefacts which do not agree with the plan are incomplete.

    So it makes them again, a dry run shows that, and nothing is deleted here. They are compared in a process of its
    own, since that reads tables.
    """
    found = dict.fromkeys([*unrecorded(plan), *touched(plan)]) if plan.study else {}
    if not found:
        return
    command = [sys.executable, "-m", "advgen", "verify", plan.study, "--list", "--only", "-"]
    result = subprocess.run(command, capture_output=True, text=True, input="\n".join(found))
    if result.returncode:
        sys.exit(f"what an interrupted run left could not be compared with the study: {result.stderr.strip()}")
    for path in filter(None, result.stdout.splitlines()):
        note = _place(INCOMPLETE, path)
        note.parent.mkdir(parents=True, exist_ok=True)
        if not note.exists():
            note.write_text('{"external_jobid": null}')
        print(f"{path}: left by an interrupted run, or changed since; made again", file=sys.stderr)
