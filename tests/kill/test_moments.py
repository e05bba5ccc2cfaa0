"""`make kill-test`: one interruption at each of 30 seeded random moments; then `snakemake` alone completes."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.interruption import KINDS, STUDY, digests, disturb
from tests.project import Project

from advgen.jobs.cache import FOLDER


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, raw_mnist: Path) -> tuple[dict[str, str], float]:
    """What the spine study gives when nobody disturbs it, and how long that takes."""
    project = Project(tmp_path_factory.mktemp("undisturbed"), cache=FOLDER)
    start = time.monotonic()
    result = project.snakemake(STUDY)
    assert result.returncode == 0, result.stderr[-3000:]
    return digests(project), time.monotonic() - start


@pytest.mark.parametrize("seed", range(30))
def test_any_moment(seed: int, undisturbed: tuple[dict[str, str], float], project: Callable[..., Project]) -> None:
    expected, duration = undisturbed
    chance = random.Random(seed)
    copy = project(cache=FOLDER)
    disturb(copy, KINDS[seed % len(KINDS)], chance.uniform(2, duration), chance)
    result = copy.snakemake(STUDY)
    assert result.returncode == 0, result.stderr[-3000:]
    assert digests(copy) == expected
    assert copy.advgen("verify", STUDY).returncode == 0
