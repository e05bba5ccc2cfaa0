"""`advgen prune`: what no study plans goes, and nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.project import ROOT

from advgen.cli import main
from advgen.commands import prune
from advgen.driver.plan import build
from advgen.files.provenance import Stamp, write_bytes
from advgen.io.tables import arrow_table, write_table
from advgen.study.load import load_file

STUDY = str(ROOT / "tests/spine.yaml")
SMOKE = str(ROOT / "config/smoke.yaml")
LEFT = {
    "results/attacks/fc100/seed0/old.parquet",
    "results/classifiers/gone/seed3/history.parquet",
    "results/datasets/gone/train.parquet",
    "results/logs/craft/fc100/seed0/old.log",
    "results/benchmarks/craft/fc100/seed0/old.tsv",
    "results/state/0123456789abcdef.safetensors",
    "results/cv/gone.json",
}
KEPT = {
    "results/attacks/fc100/seed0/pgd.parquet",  # planned
    "results/logs/craft/fc100/seed0/pgd.log",
    "results/README.md",
    "results/notes.parquet",  # where no job writes
    "results/logs/mine/notes.log",
    "results/cache/01/0123/out.parquet",
    "results/state/code.json",
    "results/state/0123456789abcdef.lock",
    "results/datasets/gone/raw/train-images-idx3-ubyte",
    "results/datasets-for-tests/mnist/train-images-idx3-ubyte",
}
BARE = {"results/figures/mine.pdf", "results/cv/mine.json", "results/attacks/fc100/seed0/mine.parquet"}
"""Without a stamp, though they lie where ours do."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results of the study, of what it no longer has, of others, and of nobody."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prune, "lock_results", lambda: None)  # held until a process ends; this one asks several times
    Path("config").symlink_to(ROOT / "config")
    stamp = Stamp("advgen make", {}, "abc")
    rows = {"model": "one", "seed": 0, "step": [1], "epoch": [0.1], "loss": [1.0], "accuracy": [None]}
    for name in LEFT | KEPT:
        path = Path(name)
        if path.suffix == ".parquet":
            write_table(path, arrow_table("training", rows), stamp)
        else:
            write_bytes(path, f"{stamp.token()}\n".encode())
    for name in BARE:
        write_bytes(Path(name), b"{}")
    outside = tmp_path / "outside/seed0"
    outside.mkdir(parents=True)
    shutil.copy(Path("results/attacks/fc100/seed0/old.parquet"), outside / "pgd.parquet")
    Path("results/attacks/linked").symlink_to(outside.parent)
    Path("results/attacks/fc100/seed0/linked.parquet").symlink_to(outside / "pgd.parquet")
    return tmp_path


def there() -> set[str]:
    return {str(path) for path in Path("results").rglob("*") if path.is_file()} - {"results/.lock"}


def test_what_no_study_plans_is_listed_and_on_yes_removed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = there()
    main(["prune", STUDY])
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[-1] for line in lines[:-1]} == LEFT
    assert all(line.split()[1] == "MB" for line in lines)
    size = sum(Path(name).stat().st_size for name in LEFT) / 1e6
    assert lines[-1].split("  ")[-1] == f"in 7 files that are not planned by {STUDY}; --yes deletes them"
    assert lines[-1].split()[0] == f"{size:.2f}"
    assert there() == before

    main(["prune", STUDY, "--yes"])
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"planned by {STUDY}: deleted")
    assert there() == before - LEFT
    assert not Path("results/classifiers").exists()
    assert (folder / "outside/seed0/pgd.parquet").is_file()

    main(["prune", STUDY, "--yes"])
    said = f"nothing to prune: every file that advgen wrote below results/ is planned by {STUDY}\n"
    assert capsys.readouterr().out == said


def test_what_another_study_plans_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = "results/attacks/fc100/seed0/fgsm.parquet"
    shutil.copy("results/attacks/fc100/seed0/old.parquet", theirs)
    main(["prune", STUDY])
    assert theirs in capsys.readouterr().out
    main(["prune", STUDY, SMOKE])
    said = capsys.readouterr().out
    assert theirs not in said
    assert "old.parquet" in said
    assert f"planned by {STUDY} or {SMOKE}" in said


def test_all_that_a_job_leaves_is_known_but_for_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    jobs = build(load_file(Path(SMOKE))).jobs
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prune, "_has_stamp", lambda path: True)
    traces = {path for job in jobs for path in prune.list_files(job)}
    for path in traces:
        write_bytes(Path(path), b"")
    raw = {path for job in jobs if job.rule == "fetch" for path in job.outputs.values()}
    assert len(raw) == 4
    assert set(prune.find_unplanned(set())) == traces - raw
    assert list(prune.find_unplanned(traces)) == []


def test_it_does_nothing_while_a_driver_runs(folder: Path) -> None:
    code = "from advgen.driver.locking import lock_results; lock_results(); print(1, flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as driver:  # type: ignore[call-overload]
        driver.stdout.readline()
        command = [sys.executable, "-m", "advgen", "prune", STUDY, "--yes"]
        result = subprocess.run(command, capture_output=True, text=True)
        driver.communicate(b"\n")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"another Snakemake (process {driver.pid}) runs in this folder; wait until it ends, or stop it\n"
    )
    assert set(there()) >= LEFT


def test_a_mistake_in_a_study_removes_nothing(folder: Path) -> None:
    (folder / "my.yaml").write_text("titel: my study\n")
    with pytest.raises(SystemExit, match=r"prune: my\.yaml: "):
        main(["prune", STUDY, "my.yaml", "--yes"])
    assert there() >= LEFT


def test_where_nothing_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    main(["prune", STUDY])
    assert list(tmp_path.iterdir()) == []
