"""Plan the comparison of all artefacts with the plan."""

from advgen.core.kinds import Kind, Planner
from advgen.core.tasks import Task
from advgen.specs.base import Spec


class Verify(Task):
    """Fail if spec, code, inputs or content of an artefact do not agree with the plan."""

    command = "verify"
    run = "advgen.commands.verify"  # it reads the plan itself, so the spec has only the study
    reads = ("artefacts",)
    outputs = {"verdict": "results/report/verify.md"}
    local = True
    has_custom_rule = True
    study: str


class Verification(Kind[Spec]):
    """The comparison of all artefacts with the plan."""

    order = 99
    tasks = (Verify,)

    def plan_summaries(self, planner: Planner) -> None:
        if planner.file:  # a study without a file cannot be read by `advgen verify`
            artefacts = tuple(
                path for job in planner.jobs.values() if job.rule != "qa" for path in job.outputs.values()
            )
            planner.add(Verify(study=planner.file), {}, {"artefacts": artefacts})


KIND = Verification()
