"""A study whose drivers and jobs are killed again and again ends with the very same tables and weights."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.interruption import STUDY, digests, disturb, started, wait_for_orphans
from tests.project import Project

from advgen.jobs.cache import FOLDER


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, raw_mnist: Path) -> dict[str, str]:
    """What the spine study gives when nobody disturbs it."""
    project = Project(tmp_path_factory.mktemp("undisturbed"), cache=FOLDER)
    project.finish(STUDY)
    return digests(project)


def test_six_interruptions_in_a_row(undisturbed: dict[str, str], project: Callable[..., Project]) -> None:
    copy = project(cache=FOLDER)
    chance = random.Random(6)
    for kind in ("kill driver", "kill job", "terminate job", "kill driver", "terminate driver", "kill job"):
        said = disturb(copy, kind, chance.uniform(4, 14), chance)
        assert "Traceback" not in said, said[-3000:]
    wait_for_orphans(copy.folder)
    copy.finish(STUDY)
    assert digests(copy) == undisturbed
    assert copy.advgen("verify", STUDY).returncode == 0


def test_ctrl_c_keeps_what_a_training_has_done(undisturbed: dict[str, str], project: Callable[..., Project]) -> None:
    copy = project(cache=FOLDER)
    driver = started(copy)
    while not list(copy.folder.glob("results/state/[!.]*.safetensors")) and driver.poll() is None:
        time.sleep(0.1)
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode
    assert "stopped by SIGINT, state saved; run again to continue" in said, said[-3000:]
    assert "Traceback" not in said, said[-3000:]
    assert copy.snakemake(STUDY).returncode == 0
    logs = [path.read_text() for path in copy.folder.glob("results/logs/train_classifier/*/*.log")]
    assert any("continues from a saved state" in log for log in logs), logs
    assert digests(copy) == undisturbed
