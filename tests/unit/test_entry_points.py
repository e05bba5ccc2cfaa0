"""An installed package adds a kind of every family by entry points: planned, run, drawn and in the report."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
from tests.project import ROOT

from advgen import registry
from advgen.core.plugins import KINDS_GROUP
from advgen.io.stamps import read_stamp

KIND = """from typing import Literal

from pydantic import Field

from advgen.registry import register
from {module} import {base}


class Installed({base}):
    \"\"\"Made up.\"\"\"

    kind: Literal["{kind}"] = Field(description="made up")


def made(*_, **__):
    return None


register(Installed, made)
"""
STUDY = """
datasets: {mine: {kind: parquet, path: given.parquet, test_share: 0.5}}
evaluation: {validation: 5, attack_examples: 10}
classifiers: {net: {dataset: mine, model: FC10, training: {epochs: 2, batch: 10}}}
corruptions: {damaged: {sources: [net], images: 20}}
figures: {damage: {kind: corruption, corruption: damaged}}
"""
RUN = """
import shlex, sys
from pathlib import Path
from tests.entries import write_images
from advgen import registry
from advgen.cli import main
from advgen.core.code import reachable_symbols
from advgen.driver.plan import build
from advgen.study.load import load_file

for family in registry.FAMILIES:
    assert f"installed_{family}" in registry.kinds(family), family
write_images(Path("given.parquet"))
plan = build(load_file(Path("one.yaml")))
[corrupt] = plan.jobs_of("corrupt")
assert ("own_package.corruptions.run", "run") in reachable_symbols(*corrupt.task.code_targets())
waiting = [job for job in plan.jobs if job.rule not in ("verify", "qa")]
while waiting:
    job = next(one for one in waiting if not any(other is not one and {*other.outputs.values()} & {
        path for files in one.inputs.values() for path in ([files] if isinstance(files, str) else files)
    } for other in waiting))
    words = shlex.split(plan.files(job.rule, job.wildcards, job.inputs, job.outputs))
    main([job.task.command, *words, "--spec", job.spec, "--code", job.code])
    waiting.remove(job)
"""


def installed(folder: Path) -> None:
    """Write what pip installs of a package with an entry point in each group: modules and metadata."""
    package, groups = folder / "own_package", []
    shutil.copytree(ROOT / "tests/kinds/corruptions", package / "corruptions")
    for path in (package / "corruptions").glob("*.py"):
        path.write_text(path.read_text().replace("advgen.experiments.corruptions", "own_package.corruptions"))
    groups.append(f"[{KINDS_GROUP}]\ncorruptions = own_package.corruptions.experiment\n")
    for family, base in registry.BASES.items():
        kind = f"installed_{family}"
        text = KIND.format(module=base.__module__, base=base.__name__, kind=kind)
        (package / f"{family}.py").write_text(text)
        groups.append(f"[advgen.{family}]\n{kind} = own_package.{family}\n")
    metadata = folder / "own_package-2.5.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: own-package\nVersion: 2.5\n")
    (metadata / "entry_points.txt").write_text("\n".join(groups))
    (metadata / "top_level.txt").write_text("own_package\n")


def test_every_group_of_entry_points_works(tmp_path: Path) -> None:
    installed(tmp_path / "installed")
    (tmp_path / "one.yaml").write_text(STUDY)
    path = os.pathsep.join(map(str, (tmp_path / "installed", ROOT, ROOT / "src")))
    environment = {**os.environ, "PYTHONPATH": path, "ADVGEN_CACHE": "off"}
    command = [sys.executable, "-c", RUN]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = pq.read_table(tmp_path / "results/tables/corruptions.parquet").to_pylist()
    assert {row["damage"] for row in rows} == {"noise", "blur", "dark", "pale", "turned"}
    page = (tmp_path / "results/report/index.html").read_text(encoding="utf-8")
    assert "Test images right under five kinds of damage." in page
    assert "Accuracy on damaged images" in page
    stamp = read_stamp(tmp_path / "results/corruptions/damaged/net--seed0.parquet")
    assert stamp is not None and stamp.versions["own-package"] == "2.5"
