"""Find artefacts that Snakemake would accept although they may be out of date.

Jobs that outlive a killed driver finish their files without a record in Snakemake, which accepts such files and would
miss a later edit of their settings. And a damaged raw file looks like a new one. When a driver starts, these files are
compared with the plan. Usually there are none, and nothing is read.
"""

import os
import subprocess
import sys
from collections.abc import Iterator

from advgen.driver.plan import Plan
from advgen.driver.snakemake_adapter import has_output_record, mark_incomplete


def mark_unverified(plan: Plan) -> None:
    """Mark artefacts that do not agree with the plan as incomplete, so that Snakemake runs their jobs again.

    Deletes nothing, so it is safe in a dry run. `advgen verify` compares them in a new process, because it needs numpy.
    """
    paths = dict.fromkeys([*find_unrecorded(plan), *find_newer_raw_files(plan)]) if plan.study else {}
    if not paths:
        return
    command = [sys.executable, "-m", "advgen", "verify", plan.study, "--list", "--only", "-"]
    result = subprocess.run(command, capture_output=True, text=True, input="\n".join(paths))
    if result.returncode:
        sys.exit(f"cannot compare the files of an interrupted run with the study: {result.stderr.strip()}")
    for path in filter(None, result.stdout.splitlines()):
        mark_incomplete(path)
        print(f"{path}: written by an interrupted run, or changed since; its job runs again", file=sys.stderr)


def find_unrecorded(plan: Plan) -> Iterator[str]:
    """Yield artefacts that exist without a complete Snakemake record."""
    return (path for path in plan.outputs() if os.path.exists(path) and not has_output_record(path))


def find_newer_raw_files(plan: Plan) -> Iterator[str]:
    """Yield raw files that are newer than the data set that was made from them."""
    for job in plan.jobs_of("make_dataset"):
        written = min((os.path.getmtime(path) for path in job.outputs.values() if os.path.exists(path)), default=None)
        for path in job.inputs["raw"]:
            if written is not None and os.path.exists(path) and os.path.getmtime(path) > written:
                yield path
