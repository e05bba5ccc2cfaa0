"""Adversarial examples: every attack on every classifier that something asks for."""

from collections.abc import Iterable, Iterator
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
"""An attack and its threat model."""


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


class AttackedFigure(FigureSpec):
    """Base of figures about attacked classifiers: the examples of every source and attack."""

    group = "Adversarial lab"
    sources: tuple[ClassifierName, ...] = Field(min_length=1, description="attacked classifiers")
    attacks: tuple[AttackName, ...] = Field(min_length=1, description="attacks shown")

    def needs(self) -> Iterator[Need]:
        for source in self.sources:
            for attack in self.attacks:
                yield Need("attacks", (source, attack), "examples")


def need_transferred(study: Study, sources: Iterable[str]) -> Iterator[Need]:
    """What transfer studies showed these nets, as it was crafted: it counts in their worst cases."""
    for name, transfer in study.transfers.items():
        nets = {(source, seed) for source in transfer.sources for seed in study.seeds_of(source)}
        asked = {source: {(source, seed) for seed in study.seeds_of(source)} for source in sources}
        met = (one in transfer.targets and any(nets - {own} for own in owns) for one, owns in asked.items())
        if transfer.rms is None and any(met):  # amplified examples have left their ball
            yield Need("transfers", (name,), "examples")


class WorstCaseFigure(AttackedFigure):
    """Base of those that show worst cases."""

    def needs_from_study(self, study: Study) -> Iterator[Need]:
        yield from need_transferred(study, self.sources)


class AttackGalleryFigure(AttackedFigure):
    """Images, the perturbation magnified, and the adversarial examples."""

    kind: Literal["attack_gallery"] = Field(description="adversarial examples with their perturbations")
    images: Count = Field(6, description="images shown")
    magnify: Positive = Field(1.0, description="factor on the perturbation in the picture")

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
    """How sure classifiers are of their mistakes."""

    kind: Literal["confidence"] = Field(description="histograms of the confidence on mistakes")


class DefenceTableFigure(WorstCaseFigure):
    """Clean accuracy of each classifier and its accuracy under each attack, as a table with its defence."""

    kind: Literal["defence_table"] = Field(description="classifiers by attacks, in numbers")


Panel = Annotated[
    dict[str, Annotated[tuple[ClassifierName, ...], Field(min_length=1)]],
    Field(min_length=1),
]
"""The classifiers behind each line of a panel, by the line's label."""


class DiscriminatorsFigure(FigureSpec):
    """Are discriminators robust? Accuracy against eps beside classifiers of the same body, for each question asked."""

    group = "Adversarial lab"
    kind: Literal["discriminators"] = Field(description="robustness of discriminators beside classifiers")
    panels: dict[str, Panel] = Field(
        min_length=1, description="panel title: {line label: classifiers or probes pooled, one per seed or more}"
    )
    attacks: tuple[AttackName, ...] = Field(min_length=1, description="attacks shown, of several eps")

    def needs(self) -> Iterator[Need]:
        for source in self._sources():
            for attack in self.attacks:
                yield Need("attacks", (source, attack), "examples")

    def needs_from_study(self, study: Study) -> Iterator[Need]:
        yield from need_transferred(study, self._sources())

    def _sources(self) -> list[str]:
        return list(dict.fromkeys(one for lines in self.panels.values() for names in lines.values() for one in names))


def check_single_steps(study: Study, attacks: Iterable[str]) -> Iterator[str]:
    """What is wrong with showing these attacks: FGSM without an ensemble of its eps."""
    shown = {name: (study.attacks[name].kind, study.attacks[name].threat()) for name in attacks}
    ensembles = {(threat.norm, threat.eps) for kind, threat in shown.values() if kind == "ensemble"}
    for name, (kind, threat) in shown.items():
        if kind == "fgsm" and (threat.norm, threat.eps) not in ensembles:
            yield f": {name!r} is a single step, which a net can be fitted to; add an ensemble of eps = {threat.eps:g}"


class Attacks(Kind[AttackSpec]):
    """Attacks on classifiers. An attack alone makes nothing: it runs on the sources that others name with it."""

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
        """One attack on each seed of a source."""
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
        """A need names a source and an attack."""
        return self.plan_attack(planner, *need.names)

    def check(self, study: Study) -> Iterator[Mistake]:
        """No figure shows FGSM without an ensemble of its eps."""
        for name, figure in study.figures.items():
            for message in check_single_steps(study, getattr(figure, "attacks", ())):
                yield ("figures", name, "attacks"), message


KIND = Attacks()
