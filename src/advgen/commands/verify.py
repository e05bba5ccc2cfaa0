"""`advgen verify`: compare every artefact with the plan."""

import argparse
import json
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from advgen import registry
from advgen.core.kinds import PlannedJob
from advgen.driver.plan import build
from advgen.files.provenance import Stamp, sha256_text, write_bytes
from advgen.io import devices
from advgen.io.stamps import check_content, content_digest, read_stamp, seal
from advgen.study.load import load_file
from advgen.study.yaml import DEFAULT_STUDY


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `advgen verify`."""
    parser.add_argument("study", nargs="?", type=Path, default=Path(DEFAULT_STUDY), help="default: %(default)s")
    fix = "delete files that do not agree; the next run makes them again"
    parser.add_argument("--fix", action="store_true", help=fix)
    parser.add_argument("--only", nargs="+", metavar="FILE", help="check only these; -: read paths from stdin")
    parser.add_argument("--list", action="store_true", help="print only the paths of files that do not agree")
    out = "check only the inputs of the rule verify, and write the verdict to FILE"
    parser.add_argument("--out", type=Path, metavar="FILE", help=out)


DAMAGED = "damaged"  # stands for the digest of a damaged file, which is reported once, not for each file made from it


class Finding(NamedTuple):
    """A problem of one artefact."""

    path: str
    rule: str
    problem: str


def run(arguments: argparse.Namespace) -> None:
    """Print each problem and the rule that makes the file again; ValueError if there are any and `--fix` is not set."""
    plan = build(load_file(arguments.study))
    if arguments.only == ["-"]:
        arguments.only = sys.stdin.read().splitlines()
    if arguments.out:  # other files may still be those of the last run
        [arguments.only] = [job.inputs["artefacts"] for job in plan.jobs if job.rule == "verify"]
    hashes: dict[str, str] = {}
    findings, checked = [], 0
    environments = Counter[str]()
    for job in plan.jobs:
        for path in job.outputs.values():
            wanted = arguments.only is None or path in arguments.only
            if job.rule == "verify" and not arguments.out and wanted and Path(path).exists():
                if problem := find_damage(job, path):  # its stamp has no spec to compare
                    findings.append(Finding(path, job.rule, problem))
                    checked += 1
            elif wanted and Path(path).exists() and job.rule != "verify":
                checked += 1
                problem = find_damage(job, path)
                if problem:
                    hashes[path] = DAMAGED
                if problem := problem or next(find_problems(job, path, hashes), ""):
                    findings.append(Finding(path, job.rule, problem))
                else:
                    environments.update(find_environment_differences(path))
    if arguments.list:
        print("\n".join(finding.path for finding in findings))
        return
    warnings = [f"warning: {count} artefacts were made with {what}" for what, count in sorted(environments.items())]
    print("".join(f"{warning}\n" for warning in warnings), end="")
    for finding in findings:
        print(f"{finding.path}: {finding.problem}; rule {finding.rule} makes it again")
        if arguments.fix:
            Path(finding.path).unlink()
    if findings and arguments.fix:
        print(f"{len(findings)} deleted, {checked - len(findings)} kept; run the study to make them again")
    elif findings:
        remedy = "`python -m advgen verify --fix` deletes them"
        raise ValueError(f"{len(findings)} of {checked} artefacts do not agree with {arguments.study}; {remedy}")
    else:
        verdict = f"{checked} artefacts agree with {arguments.study}: spec, code, inputs and content."
        print(verdict)
        if arguments.out:
            stamp = Stamp("advgen verify", {"study": str(arguments.study)}, "", dict(sorted(hashes.items())))
            write_bytes(arguments.out, "\n\n".join([verdict, *warnings, f"<!-- {stamp.token()} -->\n"]).encode())
            seal(arguments.out)


def find_damage(job: PlannedJob, path: str) -> str:
    """Return why a file is damaged or lacks a stamp, whatever the plan; empty if it is intact."""
    if job.rule == "fetch":
        dataset = job.task.dataset  # type: ignore[attr-defined]
        intact = registry.load_target(dataset.intact)
        return "" if intact(Path(path), dataset) else "is not the file that was published (wrong checksum)"
    try:
        stamp = read_stamp(Path(path))
        check_content(Path(path))
    except ValueError as error:
        reason = str(error).removeprefix(f"{path}: ").removesuffix("; delete it and run again")
        return f"is damaged ({reason})"
    return "" if stamp else "has no stamp"


def find_problems(job: PlannedJob, path: str, hashes: dict[str, str]) -> Iterator[str]:
    """Yield how an artefact differs from the plan, the worst first; `hashes` caches the digests of inputs.

    An input that is damaged now was intact when the artefact was made, so it is no problem of the artefact.
    """
    stamp = read_stamp(Path(path))
    if stamp is None:  # raw data
        return
    expected = {"sha256": sha256_text(job.spec)} if job.task.private else job.task.model_dump(mode="json")
    if stamp.spec != expected:
        yield f"was made with another spec ({find_difference(stamp.spec, expected)})"
    if stamp.code != job.code:
        yield "was made by other code"
    listed = [one for files in job.inputs.values() for one in ((files,) if isinstance(files, str) else files)]
    wanted = {os.path.relpath(one) for one in listed}
    if set(stamp.inputs) != wanted:
        yield f"was made from other files ({', '.join(sorted(set(stamp.inputs) ^ wanted)[:2])})"
    for one in sorted(wanted & set(stamp.inputs) - set(job.task.input_digests())):
        if one not in hashes:
            hashes[one] = _content(Path(one))
        if hashes[one] not in (stamp.inputs[one], DAMAGED):
            yield f"was made from another {one}"


def find_environment_differences(path: str) -> Iterator[str]:
    """Yield package versions and a CPU that differ on this machine; they may change the last bits of results."""
    stamp = read_stamp(Path(path))
    if stamp is None:  # raw data
        return
    for name, made in sorted(stamp.versions.items()):
        if not name.endswith(".py") and made != _installed(name):  # the code of a plug-in is in the job's digest
            yield f"{name} {made}, here it is {_installed(name)}"
    if stamp.device.startswith("cpu ") and stamp.device != _cpu():
        yield f"{stamp.device}, here it is {_cpu()}"


@cache
def _installed(package: str) -> str:
    try:
        return platform.python_version() if package == "python" else version(package)
    except PackageNotFoundError:
        return "not installed"


@cache
def _cpu() -> str:
    return devices.device_name("cpu")


def _content(path: Path) -> str:
    try:
        return content_digest(path) if path.is_file() else "missing"
    except ValueError:
        return DAMAGED


def find_difference(found: Any, expected: Any, path: str = "") -> str:
    """Return the first key in which two specs differ, with both values."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted({*found, *expected}):
            if found.get(key) != expected.get(key):
                return find_difference(found.get(key), expected.get(key), f"{path}.{key}".lstrip("."))
    return f"{path}: {_format_value(found)}, now {_format_value(expected)}"


def _format_value(value: Any) -> str:
    """Format a value as in a study."""
    return value if isinstance(value, str) else json.dumps(value)
