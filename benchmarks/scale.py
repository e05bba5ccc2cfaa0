"""Plan, dry-run and no-op time of large studies, beside a bare Snakefile with as many jobs.

    python benchmarks/scale.py [JOBS ...]       200, 2,000 and 10,000 if nothing is said

Prints one row per size, in seconds: importing and building the plan, a dry run, a run that finds nothing to do, and
milliseconds per job of a run from nothing; ours, the bare one, their ratio. Stub commands stand in for the work of
ours and `cp` for that of the bare one, so what is left is what Snakemake and we cost; the scheduler is ours for both.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.project import Project

STUDY = """title: scale
seeds: [0]
datasets:
  mnist: {{kind: mnist}}
classifiers:
{classifiers}
attacks:
{attacks}
transfers:
  matrix: {{sources: [{sources}], targets: [{targets}], attacks: [{names}]}}
"""

BARE = """rule all:
    input: expand("out/{{a}}-{{b}}.txt", a=range({a}), b=range({b}))
rule first:
    output: "in/{{a}}.txt"
    shell: "echo {{wildcards.a}} > {{output}}"
rule second:
    input: "in/{{a}}.txt"
    output: "out/{{a}}-{{b}}.txt"
    shell: "cp {{input}} {{output}}"
"""

BARE_FLAGS = ["--workflow-profile", "none", "--scheduler", "greedy", "--scheduler-subsample", "200"]


def study(sources: int, attacks: int) -> str:
    """A study whose crafting and transfer jobs number about 2 × sources × attacks."""
    names = [f"net-{number}" for number in range(sources)]
    kinds = [f"fgsm-{number}" for number in range(attacks)]
    training = "{epochs: 1}"
    return STUDY.format(
        classifiers="\n".join(f"  {name}: {{dataset: mnist, model: FC10, training: {training}}}" for name in names),
        attacks="\n".join(
            f"  {name}: {{kind: fgsm, eps: {(number + 1) / (attacks + 1):.6f}}}" for number, name in enumerate(kinds)
        ),
        sources=", ".join(names),
        targets=", ".join(names[:5]),
        names=", ".join(kinds),
    )


PLAN = """import time; start = time.perf_counter()
from advgen.study.load import load_study; from advgen.driver.plan import build
imported = time.perf_counter()
for job in build(load_study({'study': 'scale.yaml'})).jobs: job.spec, job.code
print(imported - start, time.perf_counter() - imported)
"""


def seconds(command: list[str], project: Project) -> float:
    """Wall time of a command that must succeed."""
    start = time.perf_counter()
    result = project.run(*command, timeout=7200)
    assert result.returncode == 0, result.stderr[-2000:]
    return time.perf_counter() - start


def main() -> None:
    """Measure every size asked for."""
    parser = argparse.ArgumentParser(description="Time of planning, dry run and no-op for large studies.")
    parser.add_argument(
        "jobs", nargs="*", type=int, default=[200, 2_000, 10_000], help="sizes; default: 200 2000 10000"
    )
    arguments = parser.parse_args()
    columns = ["import", "plan", *(name for what in ("dry run", "no-op", "ms/job") for name in (what, "bare", "ratio"))]
    print(f"{'jobs':>7}", *(f"{name:>7}" for name in columns))
    snakemake = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all"]
    for wanted in arguments.jobs:
        with tempfile.TemporaryDirectory() as folder:
            ours, bare = Project(Path(folder) / "ours", stubs=True), Project(Path(folder) / "bare")
            attacks = max(2, round((wanted / 4) ** 0.5))
            (ours.folder / "scale.yaml").write_text(study(max(1, round(wanted / (2 * attacks + 1))), attacks))
            jobs = int(ours.advgen("plan", "scale.yaml").stdout.split()[-2])
            (bare.folder / "bare.smk").write_text(BARE.format(a=max(1, jobs // 50), b=49))
            pair = [(ours, ["--config", "study=scale.yaml"]), (bare, ["-s", "bare.smk", *BARE_FLAGS])]

            def both(*flags: str) -> list[float]:
                one, other = [seconds([*snakemake, *flags, *end], project) for project, end in pair]  # noqa: B023
                return [one, other, one / other]

            plan = [float(word) for word in ours.run(sys.executable, "-c", PLAN).stdout.split()]
            times = plan + both("--dry-run")
            one, other, ratio = both()
            times += [*both(), one / jobs * 1000, other / jobs * 1000, ratio]
            print(f"{jobs:>7}", *(f"{number:>7.2f}" for number in times), flush=True)


if __name__ == "__main__":
    main()
