"""The oldest Snakemake that pyproject.toml allows; `make test` runs everything else with the newest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.project import ROOT, Project

PROJECT = (ROOT / "pyproject.toml").read_text()
[(OLDEST, NEXT_MINOR)] = re.findall(r'"snakemake>=([\d.]+),<9\.(\d+)"', PROJECT)


def test_the_locked_version_is_the_newest() -> None:
    for name in ("requirements.lock", "requirements-test.lock"):
        [minor] = re.findall(r"^snakemake==9\.(\d+)", (ROOT / name).read_text(), flags=re.MULTILINE)
        assert int(minor) == int(NEXT_MINOR) - 1


def test_the_oldest_version_keeps_all_assumptions_and_plans_a_study(
    project: Callable[..., Project], tmp_path: Path
) -> None:
    """Installs it into a folder before the other packages on the search path; it needs `appdirs`, later ones do not."""
    old = tmp_path / "old"
    install = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
    packages = [f"snakemake=={OLDEST}", "appdirs"]
    subprocess.run([*install, "--target", old, *packages], check=True)
    copy = project(stubs=True)
    copy.environment["PYTHONPATH"] = os.pathsep.join([str(old), copy.environment["PYTHONPATH"]])
    dry = copy.run(sys.executable, "-m", "snakemake", "-n", "--cores", "1", "--config", "study=tests/spine.yaml")
    assert dry.returncode == 0 and "12 jobs would run: 12 missing" in dry.stdout + dry.stderr, dry.stderr
    assert copy.run(sys.executable, "-m", "snakemake", "--version").stdout.strip() == OLDEST
    canaries = "tests/unit/driver/test_snakemake_adapter.py"
    done = copy.run(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", canaries)
    assert done.returncode == 0, done.stdout
