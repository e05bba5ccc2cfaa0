"""What a killed driver leaves: artefacts that its orphaned jobs finished after Snakemake stopped keeping records.

Snakemake accepts a file without a record and would miss any later edit of its config. So such files are compared with
the plan by their own stamps when a driver starts; in the ordinary case there are none, and nothing is read.
"""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from contextlib import suppress
from pathlib import Path

from advgen.driver.plan import Plan

RECORDS = Path(".snakemake/metadata")
LONG_AGO = 86_400


def unrecorded(plan: Plan) -> list[str]:
    """Artefacts that exist without a record of Snakemake's."""
    return [path for path in plan.outputs() if os.path.exists(path) and not os.path.exists(record_path(path))]


def record_path(path: str) -> Path:
    """Where Snakemake keeps what it knows of an artefact."""
    name = urlsafe_b64encode(path.encode()).decode()
    parts = [name[start : start + 254] for start in range(0, len(name), 254)]
    return RECORDS.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def age(plan: Plan) -> None:
    """Make unrecorded artefacts that do not agree with the plan look older than all their inputs.

    So Snakemake makes them again, a dry run shows that, and nothing is deleted here. They are compared in a process of
    its own, since that reads tables.
    """
    found = unrecorded(plan) if plan.study else []
    if not found:
        return
    command = [sys.executable, "-m", "advgen", "verify", plan.study, "--list", "--only", "-"]
    result = subprocess.run(command, capture_output=True, text=True, input="\n".join(found))
    if result.returncode:
        sys.exit(f"what an interrupted run left could not be compared with the study: {result.stderr.strip()}")
    for path in filter(None, result.stdout.splitlines()):
        with suppress(OSError):
            os.utime(path, (LONG_AGO, LONG_AGO))
            print(f"{path}: left by an interrupted run with other settings; made again", file=sys.stderr)
