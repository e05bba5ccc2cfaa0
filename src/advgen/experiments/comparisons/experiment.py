"""Comparisons: arms that differ in one thing that is named, all else held equal, with an interval over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import Kind, PlannedJob, Planner, Summary
from advgen.core.schema import INT, REAL64, REALS64, TEXT, Table
from advgen.core.tasks import Task
from advgen.experiments.autoencoders.experiment import AutoencoderDefinition
from advgen.experiments.classifiers.experiment import ClassifierDefinition
from advgen.experiments.gans.experiment import GanDefinition
from advgen.experiments.inpaintings.experiment import InpaintingName, Method
from advgen.experiments.inversions.experiment import InversionName
from advgen.experiments.linearities.experiment import LinearityName
from advgen.experiments.probes.experiment import ProbeDefinition
from advgen.geometry.steps import steps_in
from advgen.specs.base import (
    AttackName,
    AutoencoderName,
    ClassifierName,
    GanName,
    MaskName,
    Need,
    Ref,
    Spec,
    WrongValue,
)
from advgen.specs.datasets import DerivedDataset
from advgen.specs.figures import FigureSpec
from advgen.specs.training import ClassifierTraining

ComparisonName = Annotated[str, Ref(("comparisons",))]
LEAST_RUNS = 3
"""Of each arm: an interval over two seeds says next to nothing."""
NO_POINT = ("seeds", "kind", "obfuscated_gradients", "tested_on")
"""Keys of definitions in which arms may always differ."""
Facts = dict[str, Any]
"""What a comparison holds equal of one definition, by dotted key."""


class ComparisonDefinition(Spec):
    """Base of all comparisons: the question, the arms, and what they differ in.

    Everything else must be equal, or the study is refused: keys of the definitions, and what follows from them, which
    are the steps of training and the test images.
    """

    asks: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="the question, in a sentence")
    baseline: str = Field(description="the arm that the other ones are compared with")
    differs: tuple[str, ...] = Field((), description="keys in which the arms differ: what the comparison is about")
    besides: tuple[str, ...] = Field(
        (), description="further keys in which they differ: confounds that remain, told wherever the result is shown"
    )
    arms: Mapping[str, Any] = Field(min_length=2, description="what is compared, by label")

    def needs(self, arm: str) -> Iterator[Need]:
        """The tables of an arm's runs."""
        raise NotImplementedError

    def facts(self, study: Study, arm: str) -> list[Facts]:
        """Those of an arm's definitions."""
        raise NotImplementedError


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

    def facts(self, study: Study, arm: str) -> list[Facts]:
        return [_facts(study, name) for name in self.arms[arm]]

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

    def facts(self, study: Study, arm: str) -> list[Facts]:
        return [_facts(study, name) for name in self.arms[arm]]


class AutoencoderComparison(ComparisonDefinition):
    """One measure of autoencoders."""

    kind: Literal["autoencoders"] = Field(description="a measure of autoencoders")
    arms: dict[str, Annotated[tuple[AutoencoderName, ...], Field(min_length=1)]] = Arms
    measure: Literal["frechet_distance_decoded", "mse", "ks_dimension_mean"] = Field(
        "frechet_distance_decoded", description="what is compared"
    )

    def needs(self, arm: str) -> Iterator[Need]:
        for name in self.arms[arm]:
            yield Need("autoencoders", (name,), "quality")

    def facts(self, study: Study, arm: str) -> list[Facts]:
        return [_facts(study, name) for name in self.arms[arm]]


class InversionComparison(ComparisonDefinition):
    """Error of inversions of the same images."""

    kind: Literal["inversions"] = Field(description="error of inversions of the same images")
    arms: dict[str, Annotated[tuple[InversionName, ...], Field(min_length=1)]] = Arms
    measure: ClassVar[str] = "mse"

    def needs(self, arm: str) -> Iterator[Need]:
        for name in self.arms[arm]:
            yield Need("inversions", (name,), "inversion")

    def facts(self, study: Study, arm: str) -> list[Facts]:
        return [_flat(study.inversions[name].model_dump(mode="json")) for name in self.arms[arm]]


class LinearityComparison(ComparisonDefinition):
    """How well a straight line explains the logits of classifiers along the gradient's sign."""

    kind: Literal["linearities"] = Field(description="how straight the logits of classifiers are")
    arms: dict[str, Annotated[tuple[ClassifierName, ...], Field(min_length=1)]] = Arms
    linearity: LinearityName = Field(description="linearity study that follows them")
    measure: ClassVar[str] = "r_squared"

    def needs(self, arm: str) -> Iterator[Need]:
        for name in self.arms[arm]:
            yield Need("linearities", (self.linearity, name), "logits")

    def facts(self, study: Study, arm: str) -> list[Facts]:
        return [_facts(study, name) for name in self.arms[arm]]


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

    def facts(self, study: Study, arm: str) -> list[Facts]:
        return [{"method": self.arms[arm]}]


AnyComparison = Annotated[
    AccuracyComparison
    | GanComparison
    | AutoencoderComparison
    | InversionComparison
    | LinearityComparison
    | InpaintingComparison,
    Field(discriminator="kind"),
]


def _facts(study: Study, name: str) -> Facts:
    """What a model is and was trained on, for how long and by what, and the images that it is tested on."""
    definition = getattr(study, study.family_of(name))[name]
    told: Facts = definition.model_dump(mode="json", exclude=set(NO_POINT))
    shape = study.facts(definition.dataset).shape
    if isinstance(definition, ClassifierDefinition):
        images = definition.images or study.left(definition.dataset)
        told["model"] = definition.model.fit(shape).model_dump(mode="json")
        told["threshold"] = "fitted"  # its bias is, by training
        told |= {"images": images, "steps": steps_in(definition.training.epochs, definition.training.batch, images)}
    elif isinstance(definition, ProbeDefinition) and definition.part == "decision":
        told |= _as_classifier(study, definition.of)
    elif isinstance(definition, ProbeDefinition):
        told |= {"of": _facts(study, definition.of)}
    elif isinstance(definition, (GanDefinition, AutoencoderDefinition)):
        for key in {"generator", "discriminator", "model"} & told.keys():
            told[key] = getattr(definition, key).fit(shape).model_dump(mode="json")
        images = study.left(definition.dataset)
        told |= {"images": images, "steps": steps_in(definition.training.epochs, definition.training.batch, images)}
    return _flat({**told, "test images": _images_of(study, study.tested_on(name))})


def _as_classifier(study: Study, gan: str) -> Facts:
    """A discriminator in the words of a classifier: its network and how that was trained, in `gan`."""
    definition: GanDefinition = study.gans[gan]
    training, images = definition.training, study.left(definition.dataset)
    # a step sees as many generated images as real ones
    told = ClassifierTraining(
        epochs=training.epochs, batch=2 * training.batch, lr=training.lr_discriminator, decay=False
    ).model_dump(mode="json")
    # what classifiers have no key for counts where it is not as with them
    plain = {"beta1": 0.9, "real_label": 1.0, "r1": 0.0, "gradient_penalty": 0.0, "adversarial_eps": 0.0}
    told |= {key: getattr(training, key) for key, value in plain.items() if getattr(training, key) != value}
    return {
        "model": definition.discriminator.fit(study.facts(definition.dataset).shape).model_dump(mode="json"),
        "training": told,
        "images": images,
        "steps": training.discriminator_steps * steps_in(training.epochs, training.batch, images),
        "defence": None,
    }


def _images_of(study: Study, dataset: str) -> str:
    """The data set whose test images another one has."""
    spec = study.datasets[dataset]
    made = isinstance(spec, DerivedDataset) and "test" not in spec.splits
    return _images_of(study, spec.base) if made else dataset


def _flat(value: Mapping[str, Any], above: str = "") -> Facts:
    """Nested maps as one with dotted keys."""
    flat: Facts = {}
    for key, one in value.items():
        flat |= _flat(one, f"{above}{key}.") if isinstance(one, Mapping) else {f"{above}{key}": one}
    return flat


def _covers(keys: tuple[str, ...], key: str) -> bool:
    return any(f"{key}.".startswith(f"{one}.") for one in keys)


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
    runs: int = Field(description="of each arm; the tables are those of the first arm's runs, then the second's, …")


class ComparisonFigure(FigureSpec):
    """The effect of each arm of some comparisons of one measure beside its baseline."""

    group = "Comparisons"
    kind: Literal["comparison"] = Field(description="effects of some comparisons with their intervals over seeds")
    comparisons: tuple[ComparisonName, ...] = Field(min_length=1, description="comparisons shown, of one measure")

    def needs(self) -> Iterator[Need]:
        for name in self.comparisons:
            yield Need("comparisons", (name,), "effects")


class Comparisons(Kind[ComparisonDefinition]):
    """Comparisons of arms."""

    definition = AnyComparison
    about = "comparisons of arms that differ in one thing"
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

    def jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        comparison = self.defined(planner.study, name)
        files = {
            arm: [path for need in comparison.needs(arm) for path in planner.needed(need)] for arm in comparison.arms
        }
        runs = min(map(len, files.values()))
        task = Compare(name=name, comparison=comparison, arms=tuple(files), runs=runs)
        tables = tuple(path for paths in files.values() for path in paths)
        return [planner.add(task, {"comparison": name}, {"tables": tables})]

    def check(self, study: Study) -> Iterator[Mistake]:
        """Refuse arms that differ in what is not named, and what no interval can be told of."""
        for name, comparison in self.all(study):
            path = ("comparisons", name)
            if comparison.baseline not in comparison.arms:
                known = ", ".join(comparison.arms)
                yield (*path, "baseline"), f" = {comparison.baseline!r}: is none of the arms ({known})"
                continue
            if isinstance(comparison, InpaintingComparison):
                inpainting = study.inpaintings[comparison.inpainting]
                yield from _unknown(path, "mask", {comparison.mask}, inpainting.masks, comparison.inpainting)
                methods = {*comparison.arms.values()}
                yield from _unknown(path, "arms", methods, inpainting.methods, comparison.inpainting)
            if isinstance(comparison, LinearityComparison):
                named = {name for names in comparison.arms.values() for name in names}
                followed = study.linearities[comparison.linearity].sources
                yield from _unknown(path, "arms", named, followed, comparison.linearity)
            if isinstance(comparison, AccuracyComparison) and comparison.under_one_step(study):
                message = "is a single step, which a net can be fitted to; compare under an ensemble"
                yield (*path, "attack"), f" = {comparison.attack!r}: {message}"
            runs = {arm: sum(_runs(study, need) for need in comparison.needs(arm)) for arm in comparison.arms}
            if min(runs.values()) < LEAST_RUNS:
                arm = min(runs, key=lambda one: runs[one])
                message = f": {arm!r} has {runs[arm]} runs; an interval over seeds needs {LEAST_RUNS}, better 5"
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


def _unknown(
    path: tuple[str, ...], key: str, named: Iterable[str], known: tuple[str, ...], by: str
) -> Iterator[Mistake]:
    """What an experiment does not try that a comparison asks it for."""
    for one in sorted({*named} - {*known}):
        yield (*path, key), f": {one!r} is not tried by {by!r} ({', '.join(known)}); add it"


def _runs(study: Study, need: Need) -> int:
    """How many tables a need stands for: one for each seed of each model behind it."""
    name = need.names[1] if need.family == "linearities" else need.names[0]
    if need.family in ("inversions", "inpaintings"):
        definition = getattr(study, need.family)[name]
        return sum(len(study.seeds_of(generator)) for generator in definition.generators)
    return len(study.seeds_of(name))


def _of_runs(comparison: ComparisonDefinition, study: Study, arm: str) -> list[Facts]:
    """What is held equal of each run of an arm: that of its definition."""
    pairs = zip(comparison.facts(study, arm), comparison.needs(arm), strict=True)
    return [facts for facts, need in pairs for _ in range(_runs(study, need))]


def _check_equal(path: tuple[str, ...], comparison: ComparisonDefinition, study: Study) -> Iterator[Mistake]:
    """What the arms differ in, and nobody named; what was named, and they do not differ in."""
    facts = {arm: _of_runs(comparison, study, arm) for arm in comparison.arms}
    found = set[str]()
    for arm, own in facts.items():
        for one, other in zip(own, facts[comparison.baseline], strict=True):
            keys = [key for key in {**other, **one} if other.get(key) != one.get(key)]
            found.update(keys)
            unnamed = [key for key in keys if not _covers((*comparison.differs, *comparison.besides), key)]
            if unnamed:
                key = unnamed[0]
                values = " and ".join(str(told.get(key, "nothing")) for told in (one, other))
                message = f": {arm!r} and {comparison.baseline!r} differ in {key!r} too ({values}); make it equal, "
                yield (*path, "arms"), f"{message}name it under `differs`, or under `besides` if it is a confound"
                return
    for where in ("differs", "besides"):
        for one in getattr(comparison, where):
            if not any(_covers((one,), key) for key in found):
                known = ", ".join(sorted(found)) or "nothing"
                yield (*path, where), f": the arms do not differ in {one!r} (but in {known}); take it out"


KIND = Comparisons()
