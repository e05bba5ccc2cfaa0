"""A study whose drivers and jobs are killed again and again ends with the very same tables and weights."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.interruption import STUDY, digests, disturb, wait_for_orphans
from tests.project import Project


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, raw_mnist: Path) -> dict[str, str]:
    """What the spine study gives when nobody disturbs it."""
    project = Project(tmp_path_factory.mktemp("undisturbed"))
    result = project.snakemake(STUDY)
    assert result.returncode == 0, result.stderr[-3000:]
    return digests(project)


def test_six_interruptions_in_a_row(undisturbed: dict[str, str], project: Callable[..., Project]) -> None:
    copy = project()
    chance = random.Random(6)
    for kind in ("kill driver", "kill job", "terminate job", "kill driver", "terminate driver", "kill job"):
        said = disturb(copy, kind, chance.uniform(4, 14), chance)
        assert "Traceback" not in said, said[-3000:]
    wait_for_orphans(copy.folder)
    result = copy.snakemake(STUDY)
    assert result.returncode == 0, result.stderr[-3000:]
    assert digests(copy) == undisturbed
    assert copy.advgen("verify", STUDY).returncode == 0
