"""PGD step by step from many random starts."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import OnClassifiers, SourcesDefinition
from advgen.core.tasks import ClassifierTask
from advgen.registry import AnyAttack
from advgen.specs.attacks import PgdAttack
from advgen.specs.base import AttackName, Count, Reference
from advgen.specs.figures import FigureSpec

ConvergenceName = Annotated[str, Reference(("convergences",))]


class ConvergenceDefinition(SourcesDefinition):
    """PGD step by step from many starts, to see what more steps and more restarts find."""

    attack: AttackName = Field(description="a pgd attack; its restarts and early stopping are not used")
    restarts: Count = Field(10, description="random starts of each image")


class Converge(ClassifierTask):
    """Attack one classifier step by step from many random starts."""

    command = "converge"
    outputs = {"steps": "results/convergences/{convergence}/{source}--seed{seed}.parquet"}
    labels = {"name": "convergence", "source": "source", "attack_name": "attack"}
    attack_name: str
    attack: AnyAttack
    restarts: int


class ConvergenceFigure(FigureSpec):
    """Accuracy against steps and against restarts, and the spread of final losses over restarts."""

    group = "Adversarial lab"
    reads = {"convergence": ("steps",)}
    kind: Literal["convergence"] = Field(description="accuracy against steps and restarts")
    convergence: ConvergenceName = Field(description="convergence study shown")


class Convergences(OnClassifiers[ConvergenceDefinition]):
    """Attacks step by step."""

    definition = ConvergenceDefinition
    description = "attacks step by step"
    order = 47
    tasks = (Converge,)
    sanity_inputs = (("converge", "steps"),)
    figures = (ConvergenceFigure,)

    def task_fields(self, study: Study, definition: ConvergenceDefinition, subject: str) -> dict[str, Any]:
        attack = {"attack_name": definition.attack, "attack": study.attacks[definition.attack]}
        return super().task_fields(study, definition, subject) | attack

    def check(self, study: Study) -> Iterator[Mistake]:
        yield from super().check(study)
        for name, definition in self.definitions(study):
            if not isinstance(study.attacks[definition.attack], PgdAttack):
                yield ("convergences", name, "attack"), f" = {definition.attack!r}: must be an attack of kind pgd"


KIND = Convergences()
