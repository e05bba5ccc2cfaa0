"""`advgen verify`: every artefact against the plan."""

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
    """Arguments of `advgen verify`."""
    parser.add_argument("study", nargs="?", type=Path, default=Path(DEFAULT_STUDY), help="default: %(default)s")
    parser.add_argument("--fix", action="store_true", help="remove what is wrong, so that snakemake makes it again")
    parser.add_argument("--only", nargs="+", metavar="FILE", help="look at these artefacts alone; -: read them")
    parser.add_argument("--list", action="store_true", help="print the paths of what is wrong, nothing else")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="as the rule: look at what is made before it, write the verdict"
    )


DAMAGED = "damaged"
"""In place of the digest of a file that is told of by itself."""


class Finding(NamedTuple):
    """Something wrong with an artefact."""

    path: str
    rule: str
    what: str


def run(arguments: argparse.Namespace) -> None:
    """Print what is wrong and which rule rebuilds it; ValueError if anything is and nothing was mended."""
    plan = build(load_file(arguments.study))
    if arguments.only == ["-"]:
        arguments.only = sys.stdin.read().splitlines()
    if arguments.out:  # what is made beside or after it may still be the last run's
        [arguments.only] = [job.inputs["artefacts"] for job in plan.jobs if job.rule == "verify"]
    hashes: dict[str, str] = {}
    findings, checked = [], 0
    elsewhere = Counter[str]()
    for job in plan.jobs:
        for path in job.outputs.values():
            wanted = arguments.only is None or path in arguments.only
            if job.rule == "verify" and not arguments.out and wanted and Path(path).exists():
                if wrong := damage(job, path):  # its stamp has the digests that it was made from, and no spec
                    findings.append(Finding(path, job.rule, wrong))
                    checked += 1
            elif wanted and Path(path).exists() and job.rule != "verify":
                checked += 1
                wrong = damage(job, path)
                if wrong:
                    hashes[path] = DAMAGED
                if wrong := wrong or next(problems(job, path, hashes), ""):
                    findings.append(Finding(path, job.rule, wrong))
                else:
                    elsewhere.update(differences(path))
    if arguments.list:
        print("\n".join(finding.path for finding in findings))
        return
    warnings = [f"warning: {count} artefacts were made with {what}" for what, count in sorted(elsewhere.items())]
    print("".join(f"{warning}\n" for warning in warnings), end="")
    for finding in findings:
        print(f"{finding.path}: {finding.what}; rule {finding.rule} makes it again")
        if arguments.fix:
            Path(finding.path).unlink()
    if findings and arguments.fix:
        print(f"{len(findings)} removed, {checked - len(findings)} kept; run snakemake to make them again")
    elif findings:
        rest = "`python -m advgen verify --fix` removes exactly those"
        raise ValueError(f"{len(findings)} of {checked} artefacts do not agree with {arguments.study}; {rest}")
    else:
        verdict = f"{checked} artefacts agree with {arguments.study}: spec, code, inputs and content."
        print(verdict)
        if arguments.out:
            stamp = Stamp("advgen verify", {"study": str(arguments.study)}, "", dict(sorted(hashes.items())))
            write_bytes(arguments.out, "\n\n".join([verdict, *warnings, f"<!-- {stamp.token()} -->\n"]).encode())
            seal(arguments.out)


def damage(job: PlannedJob, path: str) -> str:
    """What is wrong with an artefact whatever the plan says; empty if nothing is."""
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


def problems(job: PlannedJob, path: str, hashes: dict[str, str]) -> Iterator[str]:
    """In what an artefact differs from the plan, worst first; `hashes` keeps the digests of inputs.

    What was made from a file that is damaged now was made well, and is not told.
    """
    stamp = read_stamp(Path(path))
    if stamp is None:  # raw data
        return
    expected = {"sha256": sha256_text(job.spec)} if job.task.private else job.task.model_dump(mode="json")
    if stamp.spec != expected:
        yield f"was made with another spec ({difference(stamp.spec, expected)})"
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


def differences(path: str) -> Iterator[str]:
    """With what an artefact was made that is otherwise on this machine; its numbers may differ in their last bits."""
    stamp = read_stamp(Path(path))
    if stamp is None:  # raw data
        return
    for name, made in sorted(stamp.versions.items()):
        if not name.endswith(".py") and made != _installed(name):  # a plug-in's code is part of the job's
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


def difference(found: Any, expected: Any, path: str = "") -> str:
    """The first key in which two specs differ."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted({*found, *expected}):
            if found.get(key) != expected.get(key):
                return difference(found.get(key), expected.get(key), f"{path}.{key}".lstrip("."))
    return f"{path}: {_as_written(found)}, now {_as_written(expected)}"


def _as_written(value: Any) -> str:
    """A value as a study writes it."""
    return value if isinstance(value, str) else json.dumps(value)
