"""Plan the table of the presets and their sizes."""

from pydantic import Field

from advgen.core.kinds import Kind, Planner
from advgen.core.tasks import Task
from advgen.files.provenance import sha256_text
from advgen.presets import PRESETS
from advgen.registry import targets
from advgen.specs.base import Spec, canonical_json


class CountParameters(Task):
    """Count the parameters of every preset."""

    command = "count-parameters"
    outputs = {"table": "results/tables/models.parquet"}
    local = True
    torch = True
    packages = ("pyarrow", "torch")
    presets: str = Field(description="digest of all presets, so that a change runs the job again")

    def code_targets(self) -> set[str]:
        """Return the code of the task, with that of the architectures."""
        return super().code_targets() | set(targets(PRESETS))


class Models(Kind[Spec]):
    """The table of the presets, for studies that train generative models."""

    order = 92
    tasks = (CountParameters,)

    def plan_summaries(self, planner: Planner) -> None:
        if any(job.rule in ("train_gan", "train_autoencoder") for job in planner.jobs.values()):
            presets = [(name, spec.canonical()) for named in PRESETS.values() for name, spec in named.items()]
            planner.add(CountParameters(presets=sha256_text(canonical_json(presets))), {}, {})


KIND = Models()
