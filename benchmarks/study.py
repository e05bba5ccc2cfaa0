"""A whole study from nothing, from a full cache and once more: its time, what starts cost, how good estimates were.

    python benchmarks/study.py [--study STUDY] [--against COMMIT]
    python benchmarks/study.py --short JOBS

In a copy of its own, on two cores, one run after the other: the build of a commit if one is named, this build from
nothing, this build with its results deleted and its cache kept, and with everything computed a second time, when its
durations are known. Prints, in seconds:

    wall        from the start of Snakemake to its end
    driver      processor time of Snakemake itself
    jobs        processor time of all jobs: shells, commands, the warm server and what it forks
    starting    of that, what is no work of a task: shells, Python, imports, reading the spec, comparing digests
    share       starting / jobs

`--short` takes a study of about so many jobs of a tenth of a second each (one attack on ten images) in place of a
study's file, runs it once, and tells what a job costs beside its work, in processor seconds.

What a task imports while it works counts as work, so a build without a warm server shows too small a share. The other
build's tasks are not asked, so it has no share at all. The forks of the server themselves (some ms each) are in no sum.
"""

import argparse
import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.project import Project

ROOT = Path(__file__).parent.parent
BECOME_SUBREAPER = 36
NO_PLUGIN = """from snakemake_interface_logger_plugins.base import LogHandlerBase


class LogHandler(LogHandlerBase):
    pass
"""
TICKS = os.sysconf("SC_CLK_TCK")


def timed(run: Callable[[Any], None]) -> Callable[[Any], None]:
    """A task that writes down the processor time that its process took before and for it; see ADVGEN_AROUND."""

    def running(job: Any) -> None:
        before = time.process_time()
        run(job)
        with open(os.environ["TIMED_LOG"], "a") as log:
            log.write(f"{before} {time.process_time() - before}\n")

    return running


class Costs(dict[str, float]):
    """What one run took, in seconds by name."""

    def line(self) -> str:
        """Its numbers."""
        told = [
            f"{self[name]:>9.1f}" if name in self else f"{'':>9}" for name in ("wall", "driver", "jobs", "starting")
        ]
        share = f"{self['starting'] / self['jobs']:>9.1%}" if "starting" in self else ""
        return " ".join([*told, share])


def run(project: Project, study: str, *flags: str, asked: bool = True) -> tuple[Costs, str]:
    """Run a study on two cores; its costs and what it printed. `asked`: whether tasks write down their own."""
    log = project.folder / "timed.log"
    log.write_text("")
    environment = {**project.environment, "TIMED_LOG": str(log), "ADVGEN_AROUND": "benchmarks.study:timed"}
    environment["PYTHONPATH"] += os.pathsep + str(ROOT)
    if not asked:
        del environment["ADVGEN_AROUND"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *flags, "--config", f"study={study}"]
    with (project.folder / "console.txt").open("w+") as console:
        driver = subprocess.Popen(command, cwd=project.folder, env=environment, stdout=console, stderr=console)
        own = 0.0
        while driver.returncode is None:
            fields = Path(f"/proc/{driver.pid}/stat").read_text().rpartition(")")[2].split()
            own = (int(fields[11]) + int(fields[12])) / TICKS or own
            time.sleep(0.2)
            driver.poll()
        wall = time.monotonic() - start
        while True:  # the server, which ends after its driver
            try:
                os.wait()
            except ChildProcessError:
                break
        console.seek(0)
        printed = console.read()
    assert driver.returncode == 0, printed[-2000:]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    reaped = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime - own
    costs = Costs(wall=wall, driver=own, jobs=reaped)
    if asked:
        tables = (project.folder / "results" / "benchmarks").rglob("*.tsv")
        forked = sum(float(table.read_text().split()[-1]) for table in tables)
        begun = sum(float(line.split()[0]) for line in log.read_text().splitlines())
        warm = project.environment["ADVGEN_WORKERS"] == "on"
        costs["jobs"] = reaped + forked if warm else reaped
        costs["starting"] = reaped + begun if warm else reaped - forked + begun
    return costs, printed


def other_build(project: Project, commit: str) -> None:
    """Put the files of a commit in place of this build's."""
    subprocess.run(["git", "-C", ROOT, "archive", "-o", project.folder / "build.tar", commit], check=True)
    subprocess.run(["rm", "-rf", "src", "workflow", "config"], cwd=project.folder, check=True)
    subprocess.run(["tar", "-xf", "build.tar"], cwd=project.folder, check=True)
    plugin = project.folder / "src" / "snakemake_logger_plugin_advgen" / "__init__.py"
    if not plugin.exists():  # Snakemake imports every plugin that is installed, and this build's needs this build
        plugin.parent.mkdir()
        plugin.write_text(NO_PLUGIN)


def short_jobs(project: Project, wanted: int) -> str:
    """A study of about so many short jobs, written into a copy of the project; its file."""
    from benchmarks.scale import study

    attacks = max(2, round((wanted / 4) ** 0.5))
    text = study(max(5, round(wanted / (2 * attacks + 1))), attacks)
    (project.folder / "short.yaml").write_text(f"{text}evaluation: {{attack_examples: 10}}\n")
    return "short.yaml"


def estimates(project: Project) -> list[tuple[float, float]]:
    """Seconds left as a run told them and as they were, from the first third of it on."""
    record = max((project.folder / ".snakemake" / "runs").glob("*"), key=lambda path: path.stat().st_mtime)
    events = [json.loads(line) for line in record.read_text().splitlines()]
    begun, ended = events[0]["at"], events[-1]["at"]
    told = [(event["left"], ended - event["at"]) for event in events if "left" in event]
    return [(guess, true) for guess, true in told if true < (ended - begun) * 2 / 3]


def main() -> None:
    """Run and print."""
    from tests.project import Project

    parser = argparse.ArgumentParser(description="A whole study: its time, what starts cost, how good estimates were.")
    parser.add_argument("--study", default="config/config.yaml")
    parser.add_argument("--against", metavar="COMMIT", help="an earlier build to run, too")
    parser.add_argument("--short", metavar="JOBS", type=int, help="only a study of so many short jobs: what is one?")
    arguments = parser.parse_args()
    ctypes.CDLL(None).prctl(BECOME_SUBREAPER, 1)
    print(f"{'':>14}", *(f"{name:>9}" for name in ("wall", "driver", "jobs", "starting", "share", "lines")), flush=True)

    def show(name: str, costs: Costs, printed: str) -> Costs:
        print(f"{name:>14} {costs.line()} {len(printed.splitlines()):>9}", flush=True)
        return costs

    with tempfile.TemporaryDirectory() as folder:
        ours = Project(Path(folder) / "ours", cache=Path(folder) / "cache")
        if arguments.short:
            costs = show("short jobs", *run(ours, short_jobs(ours, arguments.short)))
            count = len(list((ours.folder / "results" / "benchmarks").rglob("*.tsv")))
            each = (costs["driver"] + costs["starting"]) / count
            print(f"{count} jobs: {each:.3f} s each beside their work, of it Snakemake {costs['driver'] / count:.3f}")
            return
        if arguments.against:
            other = Project(Path(folder) / "other", cache=Path(folder) / "other-cache")
            other_build(other, arguments.against)
            before = show(arguments.against[:12], *run(other, arguments.study, asked=False))
        first = show("this build", *run(ours, arguments.study))
        for part in (ours.folder / "results").iterdir():
            shutil.rmtree(part) if part.is_dir() else part.unlink()
        cached = show("from its cache", *run(ours, arguments.study, asked=False))
        ours.environment["ADVGEN_CACHE"] = "off"
        show("once more", *run(ours, arguments.study, "--forceall"))
        if arguments.against:
            ratios = [first[name] / before[name] for name in ("wall", "jobs")]
            print("this build / {}: wall {:.2f}, jobs {:.2f}".format(arguments.against[:12], *ratios))
        print(f"from its cache / from nothing: wall {cached['wall'] / first['wall']:.2f}")
        off = [told / true - 1 for told, true in estimates(ours) if true > 5]
        print(f"time left, from a third on: told / true - 1 from {min(off):+.0%} to {max(off):+.0%}, {len(off)} times")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
