"""Every artefact compared with the plan."""

from __future__ import annotations

from advgen.core.kinds import Kind, Planner
from advgen.core.tasks import Task
from advgen.specs.base import Spec


class Verify(Task):
    """Fail if an artefact does not agree with the plan: spec, code, inputs, content."""

    command = "verify"
    reads = ("artefacts",)
    outputs = {"verdict": "results/report/verify.md"}
    local = True
    study: str

    @classmethod
    def module(cls) -> str:
        """It is the tool of that name: it reads the plan itself, so its spec only names the study."""
        return "advgen.commands.verify"


class Verification(Kind[Spec]):
    """The comparison of all artefacts with the plan."""

    place = 99
    tasks = (Verify,)

    def after(self, planner: Planner) -> None:
        if planner.file:  # a study given to Snakemake as a whole has no file that `advgen verify` could read
            artefacts = tuple(
                path for job in planner.jobs.values() if job.rule != "qa" for path in job.outputs.values()
            )
            planner.add(Verify(study=planner.file), {}, {"artefacts": artefacts})


KIND = Verification()
