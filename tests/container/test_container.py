"""The container's recipe carried out in a fresh Debian: root, debootstrap, the network, 20 GB and some minutes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.container.steps import Built, built
from tests.integration.test_installed import CV_COMMAND, STUDY
from tests.project import ROOT

SUITE = "bookworm"
"""The Debian of the base image; its Python is 3.11, too, though not the image's own build."""
ANYBODY = "4321"


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Built:
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        pytest.exit("the container's test needs root and debootstrap (Debian: apt-get install debootstrap)", 1)
    folder = tmp_path_factory.mktemp("container")
    base = folder / "base"
    command = ["debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", SUITE, base]
    subprocess.run(command, check=True, capture_output=True)
    (base / "usr/bin/python").symlink_to("python3")
    return built((ROOT / "Dockerfile").read_text(), ROOT, base, folder)


def test_it_starts_as_nobody_of_importance(image: Built) -> None:
    assert "COMMAND" in image.entry().stdout
    assert image.run(["id", "-u"]).stdout.strip() == "1000"
    assert not (image.root / "src").exists()


def test_anybody_runs_a_study_in_a_folder_of_theirs(image: Built, raw_mnist: Path, tmp_path: Path) -> None:
    os.chown(tmp_path, int(ANYBODY), int(ANYBODY))
    options = {"user": ANYBODY, "binds": {"/work": tmp_path, "/data": raw_mnist.parent}, "ADVGEN_DATA": "/data"}
    image.entry("init", "my-study", **options)
    (tmp_path / "my-study/small.yaml").write_text(STUDY)
    image.folder = "/work/my-study"
    image.entry("run", "small.yaml", "--cores", "2", **options)
    assert "<title>digits" in (tmp_path / "my-study/results/report/index.html").read_text()
    assert (tmp_path / "my-study/results").stat().st_uid == int(ANYBODY)


def test_the_example_of_a_cv_is_made_in_it(image: Built, tmp_path: Path) -> None:
    os.chown(tmp_path, int(ANYBODY), int(ANYBODY))
    image.folder = "/work"
    options = {"user": ANYBODY, "binds": {"/work": tmp_path}}
    image.entry("init", "--cv", "my-cv", **options)
    image.folder = "/work/my-cv"
    image.entry(*CV_COMMAND.split()[1:], **options)
    assert (tmp_path / "my-cv/made/cv.pdf").read_bytes().startswith(b"%PDF")
