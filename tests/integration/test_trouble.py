"""Trouble that users have: each ends in a one-line reason, loses nothing, and the next run completes."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.interruption import STUDY, started
from tests.project import Project

from advgen.files.provenance import DISK_FULL_ADVICE, Stamp
from advgen.io.checkpoints import build, save_model
from advgen.specs.datasets import MnistDataset
from advgen.specs.networks import FcNetwork
from advgen.training.initial import build_seeded

RAW = "results/datasets/mnist/raw/t10k-labels-idx1-ubyte"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a small file system in memory; a second call changes its options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        again = ["-o", f"remount,{options}"] if os.path.ismount(folder) else ["-o", options]
        subprocess.run(["mount", "-t", "tmpfs", *again, "tmpfs", str(folder)], check=True)
        return folder

    yield mount
    subprocess.run(["umount", "-l", str(folder)], check=False)


def make_dataset(project: Project, raw: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Run one real command that writes 12 MB."""
    files = [str(raw / name) for name in MnistDataset.raw]
    spec = '{"dataset":{"kind":"mnist"}}'
    outputs = ["--out-train", str(out / "train.parquet"), "--out-test", str(out / "test.parquet")]
    return project.advgen("make-dataset", "--raw", *files, "--spec", spec, *outputs)


@needs_root
@pytest.mark.parametrize("is_kept", [False, True])
def test_disk_full(
    is_kept: bool, small_disk: Callable[..., Path], project: Callable[..., Project], raw_mnist: Path, tmp_path: Path
) -> None:
    disk, kept = small_disk("size=4m"), tmp_path / "kept"
    copy = project(cache=kept)
    if is_kept:
        assert make_dataset(copy, raw_mnist, tmp_path / "out").returncode == 0
    before = sorted(kept.rglob("*"))
    result = make_dataset(copy, raw_mnist, disk)
    assert result.returncode == 1
    assert (
        result.stderr
        == f"advgen make-dataset: {disk / 'train.parquet'}: No space left on device; free disk space and run again\n"
    )
    assert list(disk.iterdir()) == []
    assert sorted(kept.rglob("*")) == before
    small_disk("size=100m")
    assert make_dataset(copy, raw_mnist, disk).returncode == 0


@needs_root
def test_disk_full_while_a_checkpoint_is_written(small_disk: Callable[..., Path]) -> None:
    disk = small_disk("size=100k")
    spec = FcNetwork(kind="fc", image=(1, 28, 28), hidden=(100, 100), activation="relu")
    with pytest.raises(OSError, match="cannot be written") as caught:
        save_model(disk / "model.safetensors", build_seeded(build, "networks", spec, 10, seed=0), Stamp("t", {}, "x"))
    assert caught.value.filename == str(disk / "model.safetensors")
    assert list(disk.iterdir()) == []


@needs_root
def test_disk_full_where_results_are_kept(
    small_disk: Callable[..., Path], project: Callable[..., Project], raw_mnist: Path, tmp_path: Path
) -> None:
    disk, out = small_disk("size=4m"), tmp_path / "out"
    copy = project(cache=disk)
    assert make_dataset(copy, raw_mnist, out).returncode == 0
    assert not [path for path in disk.rglob("*") if path.is_file()]
    small_disk("size=100m")
    assert make_dataset(copy, raw_mnist, out).returncode == 0
    kept = [path for path in disk.rglob("*") if path.is_file()]
    assert len(kept) == 3
    small_disk("ro")
    assert "result reused from the cache" in make_dataset(copy, raw_mnist, tmp_path / "another").stdout


@needs_root
def test_disk_full_where_logs_lie(
    small_disk: Callable[..., Path], project: Callable[..., Project], raw_mnist: Path
) -> None:
    copy, disk = project(), small_disk("size=4k,nr_inodes=2")
    (copy.folder / "results").mkdir()
    (copy.folder / "results/logs").symlink_to(disk)
    target = "results/datasets/mnist/train.parquet"
    result = copy.snakemake(STUDY, target)
    assert result.returncode == 1
    assert "No space left on device" in result.stderr
    assert "results/logs/fetch" in result.stderr
    small_disk("size=100m,nr_inodes=1000")
    assert copy.snakemake(STUDY, target).returncode == 0


@needs_root
@pytest.mark.parametrize(
    ("options", "file"),
    [
        ("size=4k", "results/.lock: cannot be written (No space left on device)"),
        ("size=1m,nr_inodes=6", "/.snakemake/"),
        ("size=1m,nr_inodes=19", "results/datasets"),
    ],
    ids=["no room for the lock", "no room for Snakemake's folders", "no room for a job's folder"],
)
def test_disk_full_at_the_start(
    options: str, file: str, small_disk: Callable[..., Path], project: Callable[..., Project]
) -> None:
    copy, disk = project(stubs=True), small_disk(options)
    for name in ("results", ".snakemake"):
        (disk / name).mkdir()
        (copy.folder / name).symlink_to(disk / name)
    result = copy.snakemake(STUDY, RAW)
    assert result.returncode == 1
    assert file in result.stderr and "Traceback" not in result.stderr and "File " not in result.stderr
    *_, last = result.stderr.splitlines()
    assert last.endswith(f"; {DISK_FULL_ADVICE}"), result.stderr
    small_disk("size=10m,nr_inodes=1000")
    assert copy.snakemake(STUDY, RAW).returncode == 0


@needs_root
def test_results_folder_that_cannot_be_written(
    small_disk: Callable[..., Path], project: Callable[..., Project], raw_mnist: Path
) -> None:
    copy, disk = project(), small_disk("size=500m")
    (copy.folder / "results").symlink_to(disk)
    small_disk("ro")
    result = copy.snakemake(STUDY)
    assert result.returncode == 1
    assert "results/.lock: cannot be written (Read-only file system); make results/ writable" in result.stderr
    assert "Traceback" not in result.stderr
    small_disk("rw")
    assert copy.snakemake(STUDY, "results/datasets/mnist/train.parquet").returncode == 0
    assert (disk / "datasets/mnist/train.parquet").is_file()


def test_second_driver_in_one_folder(project: Callable[..., Project], raw_mnist: Path) -> None:
    copy = project()
    first = started(copy)
    try:
        while not (copy.folder / "results/.lock").exists() and first.poll() is None:
            time.sleep(0.1)
        assert first.poll() is None
        second = copy.snakemake(STUDY)
        assert second.returncode == 1
        assert f"another Snakemake (process {first.pid}) runs in this folder" in second.stderr
        assert "Traceback" not in second.stderr
        assert copy.snakemake(STUDY, "-n").returncode == 0
    finally:
        first.terminate()
        first.wait(60)


def test_no_source_of_data_can_be_reached(project: Callable[..., Project], tmp_path: Path) -> None:
    copy = project()
    dead = "http://127.0.0.1:9"
    copy.environment.update(
        {"http_proxy": dead, "https_proxy": dead, "npm_config_registry": dead, "npm_config_fetch_retries": "0"}
    )
    copy.environment["ADVGEN_DATA"] = str(tmp_path / "nothing")
    spec = '{"dataset":{"kind":"mnist"}}'
    result = copy.advgen("fetch", "--spec", spec, "--out", *(f"raw/{name}" for name in MnistDataset.raw))
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    tried = [line for line in result.stderr.splitlines() if line.startswith("  ")]
    assert len(tried) >= 4, result.stderr
    assert "Connection refused" in result.stderr
    assert "npm" in result.stderr
    assert str(tmp_path / "nothing" / "mnist") in result.stderr
    assert not list((copy.folder / "raw").glob("*"))


def test_clock_that_went_backwards(smoke: Project) -> None:
    future = time.time() + 3600
    touched = smoke.folder / "results/datasets/mnist/train.parquet"
    before = touched.stat().st_mtime
    os.utime(touched, (future, future))
    try:
        result = smoke.snakemake("config/smoke.yaml")
        assert "Nothing to be done" in result.stderr, result.stderr[-2000:]
    finally:
        os.utime(touched, (before, before))


def test_out_of_memory_in_a_job(project: Callable[..., Project], raw_mnist: Path) -> None:
    copy, target = project(), "results/classifiers/fc100/seed0/classifier.safetensors"
    copy.edit(STUDY, "model: FC100-100-10", "model: {kind: fc, hidden: [10, 1_000_000, 1_000_000]}")
    result = copy.snakemake(STUDY, target)
    assert result.returncode == 1
    assert "advgen train-classifier: out of memory; give the job more memory, or lower its batch" in result.stderr
    assert "Traceback" not in result.stderr
    kept = copy.folder / "results/datasets/mnist/train.parquet"
    before = kept.stat().st_mtime_ns
    copy.edit(STUDY, "model: {kind: fc, hidden: [10, 1_000_000, 1_000_000]}", "model: FC100-100-10")
    copy.finish(STUDY, target)
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize(("attempt", "memory"), [(1, 8000), (2, 16000), (4, 32000)])
def test_the_next_turn_on_a_cluster_asks_for_more_memory(
    attempt: int, memory: int, project: Callable[..., Project]
) -> None:
    profile = ("--workflow-profile", "profiles/slurm", "--attempt", str(attempt))
    result = project(stubs=True).snakemake(STUDY, "--dry-run", "--logger-advgen-plain", *profile)
    assert result.returncode == 0, result.stderr[-2000:]
    assert set(re.findall(r"mem_mb=(\d+)", result.stdout + result.stderr)) == {str(memory)}


def test_more_gpus_promised_than_there_are(project: Callable[..., Project]) -> None:
    copy = project(stubs=True)
    copy.environment.pop("CUDA_VISIBLE_DEVICES", None)
    copy.environment["ADVGEN_GPU_SLOTS"] = "0"
    result = copy.snakemake(STUDY, RAW, "--resources", "gpu=2")
    assert result.returncode == 0
    told = [line for line in result.stderr.splitlines() if line.startswith("--resources gpu=2")]
    assert told == [
        "--resources gpu=2, but this machine has 1: further jobs wait for a free GPU; use --resources gpu=1"
    ]
