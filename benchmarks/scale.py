"""Plan, dry-run and no-op time of large studies, beside a bare Snakefile with as many jobs.

    python benchmarks/scale.py [JOBS ...]       200, 2,000 and 10,000 if nothing is said

Prints one row per size, in seconds: importing and building the plan, a dry run, a run that finds nothing to do, and
milliseconds per job of a run from nothing; ours, the bare one, their ratio. The bare one has the same jobs with the
same inputs, outputs and parameters. Stub commands stand in for the work of ours and `cp` for that of the bare one, so
what is left is what Snakemake and we cost; the scheduler is ours for both.
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

BARE = """import json
A, B = range({sources}), range({attacks})
MADE = ["models/{{a}}.txt", "histories/{{a}}.txt", "examples/{{a}}-{{b}}.txt", "rows/{{a}}-{{b}}.txt"]
TARGETS = [f"models/{{t}}.txt" for t in A[:5]]
def spec(wildcards):
    eps = (int(wildcards.get("b", 0)) + 1) / {attacks}
    return json.dumps({{"attack": {{"eps": eps, "kind": "fgsm"}}, "images": 1000, "source": wildcards.a, "seed": 0}})
def files(wildcards, input, output):
    return " ".join([f"--{{role}} {{paths}}" for role, paths in [*input.items(), *output.items()]])
rule all:
    input: "table.txt", "verdict.txt", expand(MADE, a=A, b=B)
rule data:
    output: "data.txt"
    shell: "echo {{output}} > {{output}}"
rule train:
    input: unpack(lambda wildcards: {{"data": "data.txt"}})
    output: model="models/{{a}}.txt", history="histories/{{a}}.txt"
    params: files=files, spec=spec, code=lambda wildcards: "41bd"
    shell: "tee {{output}} < {{input}} > /dev/null # {{params.files}} {{params.spec:q}} {{params.code}}"
rule craft:
    input: unpack(lambda wildcards: {{"model": f"models/{{wildcards.a}}.txt", "data": "data.txt"}})
    output: examples="examples/{{a}}-{{b}}.txt"
    params: files=files, spec=spec, code=lambda wildcards: "41bd"
    shell: "cp {{input.model}} {{output}} # {{params.files}} {{params.spec:q}} {{params.code}}"
rule transfer:
    input: unpack(lambda w: {{"examples": f"examples/{{w.a}}-{{w.b}}.txt", "targets": TARGETS}})
    output: rows="rows/{{a}}-{{b}}.txt"
    params: files=files, spec=spec, code=lambda wildcards: "41bd"
    shell: "cp {{input.examples}} {{output}} # {{params.files}} {{params.spec:q}} {{params.code}}"
rule summarise:
    input: expand(MADE[2:], a=A, b=B)
    output: "table.txt"
    shell: "touch {{output}}"
rule verify:
    input: "table.txt", expand(MADE, a=A, b=B)
    output: "verdict.txt"
    shell: "touch {{output}}"
"""
"""The same jobs with the same inputs, outputs and parameters, told by functions of their wildcards.

A job's settings and the version of its code must be parameters in any Snakefile in which their edit reruns it.
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
            sources = max(5, round(wanted / (2 * attacks + 1)))
            (ours.folder / "scale.yaml").write_text(study(sources, attacks))
            jobs = int(ours.advgen("plan", "scale.yaml").stdout.split()[-2])
            (bare.folder / "bare.smk").write_text(BARE.format(sources=sources, attacks=attacks))
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
