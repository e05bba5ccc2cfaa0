"""What a run prints and what `advgen status` tells, on stub commands: through a pipe, on a terminal, in trouble."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.interruption import STUDY, started
from tests.project import ROOT, Project

Make = Callable[..., Project]


def slow(project: Project, rule: str, seconds: float, then: str = "") -> None:
    """Let the stub of a command say how far it is, take its time, and do something at its end."""
    stub = project.folder / "bin/python"
    says = f"echo '{rule} x: 5/10 (50%)  loss 0.25  0:07 left'"
    case = (
        f'if [ "$3" = {rule} ]; then {says}; for i in $(seq {10 * seconds:.0f}); do sleep .1; done; {then or ":"}; fi'
    )
    stub.write_text(stub.read_text().replace("outputs=()", f"{case}\noutputs=()", 1))


def wait_for(project: Project, text: str) -> str:
    """What status says once it says a text."""
    for _ in range(300):
        said = project.advgen("status").stdout
        if text in said:
            return said
        time.sleep(0.2)
    raise AssertionError(said)


def test_a_pipe_gets_one_whole_line_for_each_job(project: Make) -> None:
    copy = project(stubs=True)
    result = copy.finish("config/config.yaml", cores=4)
    lines = result.stderr.splitlines()
    jobs = [line for line in lines if re.fullmatch(r" ?\d+/90  \w+( \S+)? +\d+:\d\d  \d+:\d\d left", line)]
    assert len(jobs) == 90
    assert len(lines) <= 150, "\n".join(lines)
    assert "\r" not in result.stderr and "\033" not in result.stderr
    assert max(map(len, lines)) <= 120, max(lines, key=len)
    assert "90 of 90 jobs done in " in result.stderr and result.stdout == ""
    [log] = re.findall(r"\S+\.snakemake\.log", result.stderr)
    assert (copy.folder / log).read_text() == copy.full_log()
    assert copy.full_log().count("Shell command: python -m advgen ") == 90
    assert copy.snakemake("config/config.yaml").stderr.splitlines()[1:] == [
        "Nothing to be done (all requested files are present and up to date)."
    ]
    assert "nothing to do, all 90 jobs are up to date" in copy.advgen("status").stdout


def test_snakemakes_own_output_is_a_flag_away(project: Make) -> None:
    copy = project(stubs=True)
    result = copy.snakemake(STUDY, "--logger-advgen-plain")
    assert result.returncode == 0
    assert result.stderr.count("Shell command: python -m advgen ") == 12
    assert re.search(r"rule craft:\n    input: ", result.stderr)
    assert "12 of 12 jobs done in " in copy.advgen("status").stdout  # recorded all the same


def test_a_terminal_gets_a_block_that_goes_at_the_end(project: Make) -> None:
    copy = project(stubs=True)
    slow(copy, "craft", 2.5)
    above, below = pty.openpty()
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--config", f"study={STUDY}"]
    environment = {**copy.environment, "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(command, cwd=copy.folder, env=environment, stdout=below, stderr=below)
    os.close(below)
    text = b""
    while True:
        try:
            text += os.read(above, 10_000)
        except OSError:
            break
    os.close(above)
    assert process.wait() == 0
    said = text.decode()
    assert re.search(r"\033\[2m +\d+/12 done, 1 running, \d+:\d\d left\033\[0m\r\n", said)
    assert re.search(r"\033\[2m  craft fc100/seed0/pgd +0:0\d  5/10 \(50%\)  loss 0.25\033\[0m\r\n", said)
    assert re.search(r"\033\[\d+F\033\[J12 of 12 jobs done in ", said)
    assert said.count("evaluate_classifiers classifiers") >= 1


def test_a_failure_comes_with_its_log_and_its_command(project: Make) -> None:
    copy = project(stubs=True)
    slow(copy, "craft", 0, "for i in $(seq 30); do echo trouble $i; done; exit 3")
    result = copy.snakemake(STUDY)
    assert result.returncode == 1
    said = result.stderr
    assert "FAILED craft fc100/seed0/pgd after 0:0" in said
    assert (
        "    trouble 30\n  log:      results/logs/craft/fc100/seed0/pgd.log\n  command:  python -m advgen craft "
        in said
    )
    assert "trouble 18\n" not in said and said.count("trouble 30") == 1
    assert "CalledProcessError" not in said and "Traceback" not in said
    end = said[said.index(" of 12 jobs done in ") :]
    assert "\n  failed: craft fc100/seed0/pgd, results/logs/craft/fc100/seed0/pgd.log\n" in end
    assert re.search(r"not run because an input failed: \d+\n  python -m advgen so-far  writes a report", end)
    assert "\nFull log with all commands: .snakemake" in end
    [command] = re.findall(r"command:  (.*)", said)
    assert copy.run("bash", "-c", command).stdout.endswith("trouble 30\n")
    status = copy.advgen("status").stdout
    assert "  failed: craft fc100/seed0/pgd" in status
    assert "The next run of tests/spine.yaml has " in status and " missing" in status


def test_status_of_a_run_and_of_its_end(project: Make) -> None:
    copy = project(stubs=True)
    before = copy.advgen("status", STUDY).stdout
    assert "The next run of tests/spine.yaml has 12 of 12 jobs to do, about " in before and "12 missing" in before
    slow(copy, "craft", 30)
    process = started(copy)
    try:
        said = wait_for(copy, "loss 0.25")
        assert f"tests/spine.yaml, run by process {process.pid} on " in said
        assert re.search(r": \d+ of 12 jobs done, \d+:\d\d left\n", said)
        assert re.search(
            r"  running  craft fc100/seed0/pgd +since \d\d:\d\d, \d+:\d\d  5/10 \(50%\)  loss 0.25\n", said
        )
        assert re.search(r"  waiting  \d jobs", said)
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        end = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert "Traceback" not in end
    assert "Interrupted. Run the same command again to continue." in end
    after = copy.advgen("status").stdout
    assert after.startswith("tests/spine.yaml, ended ")
    assert re.search(r"has \d of 12 jobs to do", after)


def test_status_of_a_killed_driver(project: Make) -> None:
    copy = project(stubs=True)
    slow(copy, "craft", 5)
    process = started(copy)
    wait_for(copy, "loss 0.25")
    process.kill()
    process.wait()
    assert "the last run was killed, " in copy.advgen("status").stdout


def test_status_reads_only(project: Make) -> None:
    copy = project(stubs=True)
    assert copy.snakemake(STUDY).returncode == 0
    (copy.folder / "results/tables/matrix.parquet").unlink()

    def everything() -> dict[Path, tuple[int, int]]:
        parts = [copy.folder / "results", copy.folder / ".snakemake"]
        found = [path for part in parts for path in part.rglob("*") if path.is_file()]
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in found}

    before = everything()
    assert "has 2 of 12 jobs to do" in copy.advgen("status").stdout
    assert everything() == before


@pytest.mark.parametrize(
    "edit",
    [
        lambda copy: copy.edit(STUDY, "pgd: {kind: pgd, eps: 0.1", "pgd: {kind: pgd, eps: 0.2"),
        lambda copy: copy.edit(STUDY, "epochs: 2", "epochs: 1"),
        lambda copy: copy.append("src/advgen/metrics/intervals.py", "\n"),
        lambda copy: copy.edit("src/advgen/experiments/attacks/run.py", "others = spec", "other = others = spec"),
        lambda copy: (copy.folder / "results/tables/robustness.parquet").unlink(),
        lambda copy: (copy.folder / "results/classifiers/cnn/seed0/classifier.safetensors").write_text("another"),
        lambda copy: (copy.folder / "results/classifiers/cnn/seed0/classifier.safetensors").touch(),
        lambda copy: copy.edit(STUDY, "targets: [fc100, cnn]", "targets: [cnn]"),
    ],
)
def test_status_counts_what_snakemake_would_do(edit: Callable[[Project], None], finished: Project) -> None:
    """On a finished study whose edits pile up; the jobs, not only their number."""
    time.sleep(0.02)
    edit(finished)
    dry = finished.snakemake(STUDY, "-n")
    assert dry.returncode == 0
    would = int((re.findall(r"(\d+) jobs? would run", dry.stdout) or ["0"])[0])
    told = finished.advgen("status", STUDY).stdout
    assert int((re.findall(r"has (\d+) of", told) or ["0"])[0]) == would, told + dry.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    copy = Project(tmp_path_factory.mktemp("finished"), stubs=True)
    assert copy.snakemake(STUDY).returncode == 0
    return copy


def test_the_second_run_knows_how_long_it_takes(project: Make) -> None:
    """Jobs that sleep, from tenths of a second to seconds: the end is told within a quarter from a third on."""
    copy = project(stubs=True)
    stub = copy.folder / "bin/python"
    nap = 'sleep $(( $(echo "$*" | cksum | cut -c1-3) % 4 )).5\noutputs=()'
    stub.write_text(stub.read_text().replace("outputs=()", nap, 1))
    for _ in range(2):
        assert copy.snakemake(STUDY, "--forceall").returncode == 0
    record = max((copy.folder / ".snakemake/runs").glob("*.jsonl"))
    events = [json.loads(line) for line in record.read_text().splitlines()]
    start, end = events[0]["at"], events[-1]["at"]
    told = [(one["at"] - start, one["left"]) for one in events if "left" in one]
    late = [(at, left) for at, left in told if at > (end - start) / 3]
    assert len(late) > 4
    off = [abs(at + left - (end - start)) / (end - start) for at, left in late]
    assert max(off) < 0.25, off


def test_setting_up_shows_pips_progress_and_errors_but_not_its_warnings(tmp_path: Path) -> None:
    binaries = tmp_path / ".venv/bin"
    binaries.mkdir(parents=True)
    pip = "#!/bin/sh\necho Collecting torch; echo WARNING: Location is ignored >&2; echo ERROR: no space >&2; exit 3\n"
    for name, text in {"pip": pip, "python": "#!/bin/sh\n"}.items():
        (binaries / name).write_text(text)
        (binaries / name).chmod(0o755)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    result = subprocess.run(["make", "run"], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 2
    assert "Collecting torch" in result.stdout
    assert "ERROR: no space" in result.stderr and "WARNING" not in result.stderr
