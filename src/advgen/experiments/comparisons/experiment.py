"""Comparisons: arms that differ in one thing that is named, all else held equal, with an interval over runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import Kind, PlannedJob, Planner, Summary
from advgen.core.schema import INT, REAL64, REALS64, TEXT, Table
from advgen.core.tasks import Task
from advgen.experiments.comparisons.facts import Difference, Facts, describe_inversion, describe_model, find_differences
from advgen.experiments.inpaintings.experiment import InpaintingName, Method
from advgen.experiments.inversions.experiment import InversionName
from advgen.experiments.linearities.experiment import LinearityName
from advgen.specs.base import (
    AttackName,
    AutoencoderName,
    ClassifierName,
    GanName,
    MaskName,
    Need,
    Reference,
    Spec,
    WrongValue,
)
from advgen.specs.figures import FigureSpec

ComparisonName = Annotated[str, Reference(("comparisons",))]
Told = dict[str, tuple[str, ...]]
"""Names of keys, by arm."""
LEAST_RUNS, LEAST_COSTLY = 5, 3
"""Of each arm, and where a run costs a minute or more; an interval over two seeds says next to nothing."""


class ComparisonDefinition(Spec):
    """Base of all comparisons: the question, the arms, and what they differ in.

    Everything else must be equal, or the study is refused: keys of the definitions and of those that they name, seeds,
    and what follows from them, which are the steps of training and the test images. A name with keys below it stands
    for the kind and for what only one arm has; a key that both have is named itself.
    """

    asks: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="the question, in a sentence")
    baseline: str = Field(description="the arm that the other ones are compared with")
    differs: tuple[str, ...] = Field((), description="keys in which the arms differ: what the comparison is about")
    besides: tuple[str, ...] = Field(
        (), description="further keys in which they differ: confounds that remain, told wherever the result is shown"
    )
    costly: bool = Field(
        False, description="a run of an arm costs a minute or more: three of each arm are enough then, and five else"
    )
    arms: Mapping[str, Any] = Field(min_length=2, description="what is compared, by label")

    def needs(self, arm: str) -> Iterator[Need]:
        """The tables of an arm's runs."""
        raise NotImplementedError

    def runs(self, study: Study, arm: str) -> list[Facts]:
        """What is settled of each of an arm's runs, in the order of their tables."""
        return [
            describe_model(study, name) | {"seed": seed} for name in self.arms[arm] for seed in study.seeds_of(name)
        ]


Arms = Field(min_length=2, description="label: definitions, each with its seeds; the n-th runs of two arms are a pair")


class AccuracyComparison(ComparisonDefinition):
    """Accuracy of classifiers on the same images: under one attack, without it, or on all validation images.

    Nothing is chosen by the validation images. There are more of them than are attacked, and each run is one number.
    """

    kind: Literal["accuracy"] = Field(description="accuracy of classifiers, under an attack or clean")
    arms: dict[str, Annotated[tuple[ClassifierName, ...], Field(min_length=1)]] = Arms
    attack: AttackName | None = Field(
        None, description="the attack, which also chooses the images; needed but for validation_accuracy"
    )
    measure: Literal["robust_accuracy", "clean_accuracy", "validation_accuracy"] = Field(
        "robust_accuracy", description="what is compared"
    )

    @model_validator(mode="after")
    def _has_images(self) -> AccuracyComparison:
        if (self.attack is None) != (self.measure == "validation_accuracy"):
            message = f"goes with {self.measure} only if " + ("there is none" if self.attack else "it names the attack")
            raise WrongValue("attack", self.attack, message)
        return self

    def needs(self, arm: str) -> Iterator[Need]:
        for name in self.arms[arm]:
            if self.attack is None:
                yield Need("", (name,), "history")
            else:
                yield Need("attacks", (name, self.attack), "examples")

    def under_one_step(self, study: Study) -> bool:
        """Whether all that it tells of robustness is what FGSM leaves."""
        return self.measure == "robust_accuracy" and bool(study.attacks[self.attack].kind == "fgsm")


class GanComparison(ComparisonDefinition):
    """One measure of the samples of GANs."""

    kind: Literal["gans"] = Field(description="a measure of the samples of GANs")
    arms: dict[str, Annotated[tuple[GanName, ...], Field(min_length=1)]] = Arms
    measure: Literal["frechet_distance", "classifier_score", "precision", "recall", "total_variation", "vanishing"] = (
        Field("frechet_distance", description="what is compared")
    )

    def needs(self, arm: str) -> Iterator[Need]:
        for name in self.arms[arm]:
            yield Need("gans", (name,), "quality")


class AutoencoderComparison(ComparisonDefinition):
    """One measure of autoencoders."""

    kind: Literal["autoencoders"] = Field(description="a measure of autoencoders")
    arms: dict[str, Annotated[tuple[AutoencoderName, ...], Field(min_length=1)]] = Arms
    measure: Literal["frechet_distance_decoded", "mse", "ks_dimension_mean", "sharpness_decoded"] = Field(
        "frechet_distance_decoded", description="what is compared"
    )

    def needs(self, arm: str) -> Iterator[Need]:
        for name in self.arms[arm]:
            yield Need("autoencoders", (name,), "quality")


class InversionComparison(ComparisonDefinition):
    """Error of inversions of the same images."""

    kind: Literal["inversions"] = Field(description="error of inversions of the same images")
    arms: dict[str, Annotated[tuple[InversionName, ...], Field(min_length=1)]] = Arms
    measure: ClassVar[str] = "mse"

    def needs(self, arm: str) -> Iterator[Need]:
        for name in self.arms[arm]:
            yield Need("inversions", (name,), "inversion")

    def runs(self, study: Study, arm: str) -> list[Facts]:
        return [
            describe_inversion(study, name, generator) | {"seed": seed}
            for name in self.arms[arm]
            for generator in study.inversions[name].generators
            for seed in study.seeds_of(generator)
        ]


class LinearityComparison(ComparisonDefinition):
    """How well a straight line explains the logits of classifiers along the gradient's sign."""

    kind: Literal["linearities"] = Field(description="how straight the logits of classifiers are")
    arms: dict[str, Annotated[tuple[ClassifierName, ...], Field(min_length=1)]] = Arms
    linearity: LinearityName = Field(description="linearity study that follows them")
    measure: ClassVar[str] = "r_squared"

    def needs(self, arm: str) -> Iterator[Need]:
        for name in self.arms[arm]:
            yield Need("linearities", (self.linearity, name), "logits")


class InpaintingComparison(ComparisonDefinition):
    """Error of methods of inpainting on the same masked images, of the pixels that were missing."""

    kind: Literal["inpaintings"] = Field(description="error of methods of inpainting behind one mask")
    arms: dict[str, Method] = Field(min_length=2, description="label: method")
    inpainting: InpaintingName = Field(description="inpainting that tries them")
    mask: MaskName = Field(description="one of its masks")
    differs: tuple[str, ...] = Field(("method",), description="what the comparison is about: the method")
    measure: Literal["mse_missing", "mse_whole"] = Field("mse_missing", description="what is compared")

    def needs(self, arm: str) -> Iterator[Need]:
        yield Need("inpaintings", (self.inpainting,), "inpainting")

    def runs(self, study: Study, arm: str) -> list[Facts]:
        generators = study.inpaintings[self.inpainting].generators
        return [{"method": self.arms[arm], "seed": seed} for one in generators for seed in study.seeds_of(one)]


AnyComparison = Annotated[
    AccuracyComparison
    | GanComparison
    | AutoencoderComparison
    | InversionComparison
    | LinearityComparison
    | InpaintingComparison,
    Field(discriminator="kind"),
]


class Compare(Task):
    """Compare the arms of one comparison with its baseline."""

    command = "compare"
    reads = ("tables",)
    outputs = {"effects": "results/comparisons/{comparison}.parquet"}
    labels = {"name": "comparison"}
    local = True
    packages = ("numpy", "pandas", "pyarrow", "scipy")
    name: str
    comparison: AnyComparison
    arms: tuple[str, ...] = Field(description="in the order of their tables; a map in JSON has lost its own")
    differs: Mapping[str, tuple[str, ...]] = Field(description="what each arm differs in from the baseline, of those")
    besides: Mapping[str, tuple[str, ...]] = Field(description="and of the confounds")
    runs: int = Field(description="of each arm; the tables are those of the first arm's runs, then the second's, …")


class ComparisonFigure(FigureSpec):
    """The effect of each arm of some comparisons of one measure beside its baseline."""

    group = "Comparisons"
    kind: Literal["comparison"] = Field(description="effects of some comparisons with their intervals")
    comparisons: tuple[ComparisonName, ...] = Field(min_length=1, description="comparisons shown, of one measure")

    def needs(self) -> Iterator[Need]:
        for name in self.comparisons:
            yield Need("comparisons", (name,), "effects")


class Comparisons(Kind[ComparisonDefinition]):
    """Comparisons of arms."""

    definition = AnyComparison
    description = "comparisons of arms that differ in one thing"
    order = 60
    tasks = (Compare,)
    tables = {
        "comparison": Table(
            ("comparison", "arm"),
            {
                "comparison": TEXT,
                "asks": TEXT,
                "measure": TEXT,
                "arm": TEXT,
                "baseline": TEXT,
                "differs": TEXT,
                "besides": TEXT,
                "seeds": INT,
                "n": INT,
                "at_chance": INT,
                "mean": REAL64,
                "mean_low": REAL64,
                "mean_high": REAL64,
                "mean_rounded": REAL64,
                "effect": REAL64,
                "effect_low": REAL64,
                "effect_high": REAL64,
                "effects": REALS64,
            },
            "Comparisons",
            "Comparisons",
            hidden=("effects",),
            measured=("mean", "mean_rounded", "effect"),
        ),
    }
    summaries = {"comparisons": Summary("comparison", "compare", "effects")}
    figures = (ComparisonFigure,)

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        comparison = self.get_definition(planner.study, name)
        files = {
            arm: [path for need in comparison.needs(arm) for path in planner.files_for(need)] for arm in comparison.arms
        }
        runs = min(map(len, files.values()))
        differs, besides = _list_differences(comparison, planner.study)
        task = Compare(name=name, comparison=comparison, arms=tuple(files), differs=differs, besides=besides, runs=runs)
        tables = tuple(path for paths in files.values() for path in paths)
        return [planner.add(task, {"comparison": name}, {"tables": tables})]

    def check(self, study: Study) -> Iterator[Mistake]:
        """Refuse arms that differ in what is not named, and what no interval can be told of."""
        for name, comparison in self.definitions(study):
            path = ("comparisons", name)
            if comparison.baseline not in comparison.arms:
                known = ", ".join(comparison.arms)
                yield (*path, "baseline"), f" = {comparison.baseline!r}: is none of the arms ({known})"
                continue
            if isinstance(comparison, InpaintingComparison):
                inpainting = study.inpaintings[comparison.inpainting]
                yield from _check_known(path, "mask", {comparison.mask}, inpainting.masks, comparison.inpainting)
                methods = {*comparison.arms.values()}
                yield from _check_known(path, "arms", methods, inpainting.methods, comparison.inpainting)
            if isinstance(comparison, LinearityComparison):
                named = {name for names in comparison.arms.values() for name in names}
                followed = study.linearities[comparison.linearity].sources
                yield from _check_known(path, "arms", named, followed, comparison.linearity)
            if isinstance(comparison, AccuracyComparison) and comparison.under_one_step(study):
                message = "is a single step, which a net can be fitted to; compare under an ensemble"
                yield (*path, "attack"), f" = {comparison.attack!r}: {message}"
            runs = {arm: len(comparison.runs(study, arm)) for arm in comparison.arms}
            least = LEAST_COSTLY if comparison.costly else LEAST_RUNS
            if min(runs.values()) < least:
                arm = min(runs, key=lambda one: runs[one])
                message = f": {arm!r} has {runs[arm]} runs; an interval over seeds needs {least}"
                if runs[arm] >= LEAST_COSTLY:
                    message += f", or {LEAST_COSTLY} where a run costs a minute or more, as `costly: true` says"
                yield (*path, "arms"), f"{message}: give its definitions more `seeds:`"
                continue
            if len(set(runs.values())) > 1:
                told = ", ".join(f"{arm!r} {count}" for arm, count in runs.items())
                yield (*path, "arms"), f": the arms have different numbers of runs ({told}); give them the same seeds"
                continue
            yield from _check_equal(path, comparison, study)
        for name, figure in study.figures.items():
            if isinstance(figure, ComparisonFigure):
                measures = {study.comparisons[one].measure for one in figure.comparisons}
                if len(measures) > 1:
                    message = f": are of several measures ({', '.join(sorted(measures))}); draw a figure for each"
                    yield ("figures", name, "comparisons"), message


def _check_known(
    path: tuple[str, ...], key: str, named: Iterable[str], known: tuple[str, ...], by: str
) -> Iterator[Mistake]:
    """What an experiment does not try that a comparison asks it for."""
    for one in sorted({*named} - {*known}):
        yield (*path, key), f": {one!r} is not tried by {by!r} ({', '.join(known)}); add it"


def _check_equal(path: tuple[str, ...], comparison: ComparisonDefinition, study: Study) -> Iterator[Mistake]:
    """What the arms differ in, and nobody named; what was named, and they do not differ in."""
    found = _find_differences(comparison, study)
    names = (*comparison.differs, *comparison.besides)
    for one in found:
        if not any(one.named_by(name) for name in names):
            values = " and ".join("nothing" if value is None else str(value) for value in one.values)
            message = f": {one.arm!r} and {one.other!r} differ in {one.key!r} too ({values}); make it equal, "
            yield (*path, "arms"), f"{message}name it under `differs`, or under `besides` if it is a confound"
            return
    for where in ("differs", "besides"):
        for name in getattr(comparison, where):
            if not any(one.named_by(name) for one in found):
                known = ", ".join(sorted({one.key for one in found})) or "nothing"
                yield (*path, where), f": the arms do not differ in {name!r} (but in {known}); take it out"


def _find_differences(comparison: ComparisonDefinition, study: Study) -> list[Difference]:
    """All that any two arms differ in."""
    runs = {arm: comparison.runs(study, arm) for arm in comparison.arms}
    return list(find_differences(runs, comparison.baseline))


def _list_differences(comparison: ComparisonDefinition, study: Study) -> tuple[Told, Told]:
    """Of the names in `differs` and `besides`, those in which each arm differs from the baseline.

    A difference is told by the first name that stands for it, so that it is no confound if that is in `differs`.
    """
    told = {arm: set[str]() for arm in comparison.arms}
    for one in _find_differences(comparison, study):
        if one.other == comparison.baseline:
            names = (*comparison.differs, *comparison.besides)
            told[one.arm].add(next(name for name in names if one.named_by(name)))
    differs, besides = (
        {arm: tuple(name for name in names if name in told[arm]) for arm in told}
        for names in (comparison.differs, comparison.besides)
    )
    return differs, besides


KIND = Comparisons()
