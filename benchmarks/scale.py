"""Measure the time to plan, dry-run and check large studies, compared with a plain Snakefile of the same size.

    python benchmarks/scale.py [JOBS ...]       default: 200, 2,000 and 10,000

Prints one row per size in core-seconds: import, plan, a dry run, a run without anything to do, and core-milliseconds
per job of a full run; each for advgen, for the plain Snakefile, and their ratio. The plain Snakefile has the same jobs
with the same inputs, outputs and parameters. Stub commands replace the work in both, so that the times are the overhead
of Snakemake and advgen. Both use advgen's scheduler.
"""

import argparse
import os
import sys
import tempfile
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

PLAIN_SNAKEFILE = """import json
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
"""The same jobs with the same inputs, outputs and parameters, as functions of their wildcards.

The settings and the code version are parameters, because an edit of them must rerun the job.
"""

PLAIN_FLAGS = ["--workflow-profile", "none", "--scheduler", "greedy", "--scheduler-subsample", "200"]


def study(sources: int, attacks: int) -> str:
    """Return a study with about 2 × sources × attacks jobs."""
    names = [f"model-{number}" for number in range(sources)]
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


PLAN_SCRIPT = """import time; start = time.process_time()
from advgen.study.load import load_study; from advgen.driver.plan import build
imported = time.process_time()
for job in build(load_study({'study': 'scale.yaml'})).jobs: job.spec, job.code
print(imported - start, time.process_time() - imported)
"""


def measure_seconds(command: list[str], project: Project) -> float:
    """Return the core-seconds of a command and its child processes; the command must succeed."""
    before = os.times()
    result = project.run(*command, timeout=7200)
    assert result.returncode == 0, result.stderr[-2000:]
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    """Measure all sizes."""
    parser = argparse.ArgumentParser(description="Time of planning, dry run and no-op for large studies.")
    parser.add_argument(
        "jobs", nargs="*", type=int, default=[200, 2_000, 10_000], help="sizes; default: 200 2000 10000"
    )
    arguments = parser.parse_args()
    columns = [
        "import",
        "plan",
        *(name for what in ("dry run", "no-op", "ms/job") for name in (what, "plain", "ratio")),
    ]
    print(f"{'jobs':>7}", *(f"{name:>7}" for name in columns))
    snakemake = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all"]
    for size in arguments.jobs:
        with tempfile.TemporaryDirectory() as folder:
            ours, plain = Project(Path(folder) / "ours", stubs=True), Project(Path(folder) / "plain")
            attacks = max(2, round((size / 4) ** 0.5))
            sources = max(5, round(size / (2 * attacks + 1)))
            (ours.folder / "scale.yaml").write_text(study(sources, attacks))
            jobs = int(ours.advgen("plan", "scale.yaml").stdout.split()[-2])
            (plain.folder / "plain.smk").write_text(PLAIN_SNAKEFILE.format(sources=sources, attacks=attacks))
            pair = [(ours, ["--config", "study=scale.yaml"]), (plain, ["-s", "plain.smk", *PLAIN_FLAGS])]

            def measure(*flags: str) -> list[float]:
                with_advgen, plain = [measure_seconds([*snakemake, *flags, *end], project) for project, end in pair]  # noqa: B023
                return [with_advgen, plain, with_advgen / plain]

            plan = [float(word) for word in ours.run(sys.executable, "-c", PLAN_SCRIPT).stdout.split()]
            times = plan + measure("--dry-run")
            full, full_plain, ratio = measure()
            times += [*measure(), full / jobs * 1000, full_plain / jobs * 1000, ratio]
            print(f"{jobs:>7}", *(f"{number:>7.2f}" for number in times), flush=True)


if __name__ == "__main__":
    main()
