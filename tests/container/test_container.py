"""Run the steps of the Dockerfile in a fresh Debian: needs root, debootstrap, the network, 20 GB and some minutes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.container.steps import Image, build_image
from tests.integration.test_installed import CV_COMMAND, STUDY
from tests.project import ROOT

SUITE = "bookworm"
"""The Debian of the base image; its Python is also 3.11, but another build."""
ANOTHER_USER = "4321"


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        pytest.exit("the container's test needs root and debootstrap (Debian: apt-get install debootstrap)", 1)
    folder = tmp_path_factory.mktemp("container")
    base = folder / "base"
    command = ["debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", SUITE, base]
    subprocess.run(command, check=True, capture_output=True)
    (base / "usr/bin/python").symlink_to("python3")
    return build_image((ROOT / "Dockerfile").read_text(), ROOT, base, folder)


def test_it_runs_as_an_unprivileged_user(image: Image) -> None:
    assert "COMMAND" in image.entry().stdout
    assert image.run(["id", "-u"]).stdout.strip() == "1000"
    assert not (image.root / "src").exists()


def test_another_user_runs_a_study_in_a_mounted_folder(image: Image, raw_mnist: Path, tmp_path: Path) -> None:
    os.chown(tmp_path, int(ANOTHER_USER), int(ANOTHER_USER))
    options = {"user": ANOTHER_USER, "binds": {"/study": tmp_path, "/data": raw_mnist.parent}, "ADVGEN_DATA": "/data"}
    image.entry("init", "my-study", **options)
    (tmp_path / "my-study/small.yaml").write_text(STUDY)
    image.folder = "/study/my-study"
    image.entry("run", "small.yaml", "--cores", "2", **options)
    assert "<title>digits" in (tmp_path / "my-study/results/report/index.html").read_text()
    assert (tmp_path / "my-study/results").stat().st_uid == int(ANOTHER_USER)


def test_it_builds_the_example_cv(image: Image, tmp_path: Path) -> None:
    os.chown(tmp_path, int(ANOTHER_USER), int(ANOTHER_USER))
    image.folder = "/study"
    options = {"user": ANOTHER_USER, "binds": {"/study": tmp_path}}
    image.entry("init", "--cv", "my-cv", **options)
    image.folder = "/study/my-cv"
    image.entry(*CV_COMMAND.split()[1:], **options)
    assert (tmp_path / "my-cv/made/cv.pdf").read_bytes().startswith(b"%PDF")
