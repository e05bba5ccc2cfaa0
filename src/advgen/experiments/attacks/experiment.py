"""Adversarial examples: each attack on each classifier that a figure or an experiment needs."""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Annotated, Literal

from pydantic import Field

from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import Kind, PlannedJob, Planner, Summary
from advgen.core.tasks import DeviceTask
from advgen.experiments.classifiers.experiment import Origin, find_origin
from advgen.registry import AnyAttack
from advgen.specs.attacks import AttackSpec
from advgen.specs.base import AttackName, ClassifierName, Count, Need, Positive
from advgen.specs.figures import FigureSpec

SOURCE = ("source", "source_seed", "dataset", "tested_on", "images", "parameters", "defence")
"""Columns that describe the attacked classifier."""


class Craft(DeviceTask):
    """Attack one source model with one attack."""

    command = "craft"
    reads = ("model", "data")
    outputs = {"examples": "results/attacks/{source}/seed{seed}/{attack}.parquet"}
    labels = {"source": "source", "attack_name": "attack", "origin.dataset": "dataset", "origin.tested_on": "tested_on"}
    source: str
    source_seed: int
    attack_name: str
    attack: AnyAttack
    origin: Origin
    examples: int
    choice: int


def need_examples(sources: Iterable[str], attacks: Iterable[str]) -> Iterator[Need]:
    """Yield the examples of each attack on each source."""
    yield from (Need("attacks", pair, "examples") for pair in product(sources, attacks))


class AttackedFigure(FigureSpec):
    """Base of figures about attacked classifiers; they need the examples of each source and attack."""

    group = "Adversarial lab"
    sources: tuple[ClassifierName, ...] = Field(min_length=1, description="attacked classifiers")
    attacks: tuple[AttackName, ...] = Field(min_length=1, description="attacks shown")

    def needs(self) -> Iterator[Need]:
        yield from need_examples(self.sources, self.attacks)
        yield from super().needs()


def need_transferred(study: Study, sources: Iterable[str]) -> Iterator[Need]:
    """Yield the transfer studies whose examples count in the worst cases of these classifiers.

    These are examples crafted on another model or seed; amplified examples have left their ball and do not count.
    """
    for name, transfer in study.transfers.items():
        crafted_on = {(source, seed) for source in transfer.sources for seed in study.seeds_of(source)}
        targets = [
            (source, seed) for source in sources for seed in study.seeds_of(source) if source in transfer.targets
        ]
        if transfer.rms is None and any(crafted_on - {target} for target in targets):
            yield Need("transfers", (name,), "examples")


class WorstCaseFigure(AttackedFigure):
    """Base of figures with worst cases."""

    def needs_from_study(self, study: Study) -> Iterator[Need]:
        yield from need_transferred(study, self.sources)


class AttackGalleryFigure(AttackedFigure):
    """Images, the perturbation magnified, and the adversarial examples."""

    kind: Literal["attack_gallery"] = Field(description="adversarial examples with their perturbations")
    images: Count = Field(6, description="images shown")
    magnify: Positive = Field(1.0, description="factor by which the drawn perturbation is magnified")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        yield "images", study.evaluation.attack_examples, "attacked images (evaluation.attack_examples)"


class RobustnessFigure(WorstCaseFigure):
    """Clean accuracy of each classifier and its accuracy under each attack, with intervals."""

    kind: Literal["robustness"] = Field(description="accuracy under attack")


class AccuracyCurvesFigure(WorstCaseFigure):
    """Accuracy under attack against the attack's budget, a curve per classifier."""

    kind: Literal["accuracy_curves"] = Field(description="accuracy against eps")


class ComplexityCurvesFigure(WorstCaseFigure):
    """Clean accuracy and accuracy under attack against the number of training images or of parameters."""

    kind: Literal["complexity_curves"] = Field(description="accuracy against training images or parameters")
    x: Literal["images", "parameters"] = Field("images", description="horizontal axis")


class AttackComparisonFigure(AttackedFigure):
    """Success, distortion and effort of attacks on the same classifiers and images."""

    kind: Literal["attack_comparison"] = Field(description="success against distortion and effort")


class ConfidenceFigure(AttackedFigure):
    """Confidence of classifiers in their wrong predictions."""

    kind: Literal["confidence"] = Field(description="histograms of the confidence on mistakes")


class DefenceTableFigure(WorstCaseFigure):
    """Clean accuracy of each classifier and its accuracy under each attack, as a table with its defence."""

    kind: Literal["defence_table"] = Field(description="table of accuracies, classifiers by attacks")


Panel = Annotated[
    dict[str, Annotated[tuple[ClassifierName, ...], Field(min_length=1)]],
    Field(min_length=1),
]
"""The classifiers of each line of a panel, by the line's label."""


class DiscriminatorsFigure(FigureSpec):
    """Robustness of discriminators: accuracy against eps, compared with classifiers of the same architecture."""

    group = "Adversarial lab"
    kind: Literal["discriminators"] = Field(description="robustness of discriminators, compared with classifiers")
    panels: dict[str, Panel] = Field(
        min_length=1, description="panel title: {line label: classifiers or probes, averaged}"
    )
    attacks: tuple[AttackName, ...] = Field(min_length=1, description="attacks to show, with several values of eps")

    def needs(self) -> Iterator[Need]:
        yield from need_examples(self._sources(), self.attacks)

    def needs_from_study(self, study: Study) -> Iterator[Need]:
        yield from need_transferred(study, self._sources())

    def _sources(self) -> list[str]:
        return list(dict.fromkeys(name for lines in self.panels.values() for names in lines.values() for name in names))


def check_single_steps(study: Study, attacks: Iterable[str]) -> Iterator[str]:
    """Yield an error for each FGSM attack without an ensemble of its eps."""
    attacks_shown = {name: (study.attacks[name].kind, study.attacks[name].threat()) for name in attacks}
    ensembles = {(threat.norm, threat.eps) for kind, threat in attacks_shown.values() if kind == "ensemble"}
    for name, (kind, threat) in attacks_shown.items():
        if kind == "fgsm" and (threat.norm, threat.eps) not in ensembles:
            message = "is a single-step attack, to which a model can overfit; add an ensemble"
            yield f": {name!r} {message} of eps = {threat.eps:g}"


class Attacks(Kind[AttackSpec]):
    """Attacks on classifiers. An attack runs on the sources that figures and experiments name with it."""

    definition = AnyAttack
    description = "attacks on classifiers"
    order = 31
    tasks = (Craft,)
    sanity_inputs = (("craft", "examples"),)
    summaries = {"robustness": Summary("robustness", "craft", "examples", module="summary")}
    figures = (
        AttackGalleryFigure,
        RobustnessFigure,
        AccuracyCurvesFigure,
        ComplexityCurvesFigure,
        AttackComparisonFigure,
        ConfidenceFigure,
        DefenceTableFigure,
        DiscriminatorsFigure,
    )

    def plan_attack(self, planner: Planner, source: str, attack: str) -> list[PlannedJob]:
        """Plan one attack on each seed of a source."""
        study = planner.study
        data = planner.test_split(study.tested_on(source))
        jobs = []
        for trained in planner.training_jobs(source):
            task = Craft(
                source=source,
                source_seed=trained.seed,
                attack_name=attack,
                attack=self.get_definition(study, attack),
                origin=find_origin(study, source),
                examples=study.evaluation.attack_examples,
                choice=study.evaluation.seed,
            )
            wildcards = {"source": source, "seed": str(trained.seed), "attack": attack}
            jobs.append(planner.add(task, wildcards, {"model": trained.outputs["model"], "data": data}))
        return jobs

    def jobs_for(self, planner: Planner, need: Need) -> list[PlannedJob]:
        """Return the jobs of the source and the attack that a need names."""
        return self.plan_attack(planner, *need.names)

    def check(self, study: Study) -> Iterator[Mistake]:
        """Yield figures that show FGSM without an ensemble of its eps."""
        for name, figure in study.figures.items():
            for message in check_single_steps(study, getattr(figure, "attacks", ())):
                yield ("figures", name, "attacks"), message


KIND = Attacks()
