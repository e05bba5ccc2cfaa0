"""A small part of `make stale-test`: a few faults in what the spine study runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.project import ROOT

PARTS = ("advgen/attacks", "advgen/data", "metrics", "models", "summaries", "training")
"""Where faults seldom change nothing."""


@pytest.mark.xdist_group("stale")  # so that this long one starts with the other long ones
def test_every_job_whose_result_a_fault_changes_is_stale(raw_mnist: Path) -> None:
    bounds = ("--study", "tests/spine.yaml", "--changing", "4", "--workers", "1")
    command = [sys.executable, "tests/mutants/stale.py", *PARTS, *bounds]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert re.search(
        r"^\d+ faults tried: 4 in \d folders change a payload, \d+ make jobs fail, 0 are missed$",
        result.stdout,
        re.MULTILINE,
    )
