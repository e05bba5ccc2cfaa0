"""Plan the sanity checks and the verdict, the last job of a run."""

from pydantic import Field

from advgen.core.kinds import Files, Kind, Planner
from advgen.core.tasks import TORCH, Task
from advgen.specs.base import Spec


class SanityChecks(Task):
    """Run the sanity checks; failed statistical checks of classifiers with obfuscated gradients are warnings."""

    command = "sanity-checks"
    run = "check"
    reads = ("tables", "data", "models")
    outputs = {"checks": "results/tables/sanity_checks.parquet"}
    local = True
    torch = True
    packages = (*TORCH, "pandas")
    obfuscated: tuple[str, ...]
    unclipped: tuple[str, ...] = Field((), description="controls whose images may leave [0, 1]")
    datasets: tuple[str, ...] = Field(
        (), description="data sets whose test images were attacked, in the order of --data"
    )


class Qa(Task):
    """Fail if a check fails. This is the last job, so that everything else is made."""

    command = "qa"
    run = "verdict"
    reads = ("checks",)
    priority = -10
    outputs = {"verdict": "results/report/qa.md"}
    local = True


class Sanity(Kind[Spec]):
    """The sanity checks."""

    order = 93
    tasks = (SanityChecks, Qa)

    def plan_summaries(self, planner: Planner) -> None:
        checked = tuple(
            path
            for kind in planner.kinds
            for rule, role in kind.sanity_inputs
            for path in planner.outputs_of(rule, role)
        )
        if not checked:
            return
        study = planner.study
        families = (study.classifiers, study.probes)
        obfuscated = tuple(name for family in families for name, model in family.items() if model.obfuscated_gradients)
        unclipped = tuple(name for name, attack in study.attacks.items() if not attack.stays_in_box())
        crafted = [job for job in planner.jobs.values() if job.rule == "craft"]
        attacked = tuple(sorted({job.task.origin.tested_on for job in crafted}))  # type: ignore[attr-defined]
        data = tuple(planner.test_split(name) for name in attacked)
        if crafted:
            checked += planner.outputs_of("evaluate_classifiers", "table")
        inputs: dict[str, Files] = {
            "tables": checked,
            "data": data,
            "models": tuple(str(job.inputs["model"]) for job in crafted),  # in the order of their examples
        }
        planner.add(SanityChecks(obfuscated=obfuscated, unclipped=unclipped, datasets=attacked), {}, inputs)
        planner.add(Qa(), {}, {"checks": planner.outputs_of("sanity_checks", "checks")})


KIND = Sanity()
