"""Generators trained against discriminators, and the judge's opinion of their samples."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from advgen.core.definitions import Definition, Mistake, Study, check_batch, check_fits
from advgen.core.kinds import Files, Kind, PlannedJob, Planner, Summary
from advgen.core.tasks import DeviceTask
from advgen.registry import AnyGenerator, AnyNetwork
from advgen.specs.base import Count, GanName, Need
from advgen.specs.figures import FigureSpec
from advgen.specs.training import GanTraining

SHOWN = 200
"""Samples of each GAN that are kept for figures."""


class GanDefinition(Definition):
    """A generator trained against a discriminator."""

    generator: AnyGenerator = Field(description="preset name, or a generator's own keys")
    discriminator: AnyNetwork = Field(description="preset name, or a network's own keys; it gets one logit")
    training: GanTraining = Field(GanTraining(), description="objective and budget")


class TrainGan(DeviceTask):
    """Train one generator against its discriminator with one seed."""

    command = "train-gan"
    run = "train"
    reads = ("data", "judge")
    outputs = {
        "generator": "results/gans/{gan}/seed{seed}/generator.safetensors",
        "discriminator": "results/gans/{gan}/seed{seed}/discriminator.safetensors",
        "history": "results/gans/{gan}/seed{seed}/history.parquet",
        "snapshots": "results/gans/{gan}/seed{seed}/snapshots.parquet",
    }
    labels = {"name": "gan"}
    # named, not imported, so that it is no part of the digest of a GAN that nobody judges
    scorer: ClassVar[str] = "advgen.metrics.score:scorer"
    name: str
    seed: int
    generator: AnyGenerator
    discriminator: AnyNetwork
    training: GanTraining
    validation: int

    @property
    def judged(self) -> bool:
        """Whether training chooses the generator by the judge, which it then reads."""
        return self.training.checkpoint_selection > 0

    def code_targets(self) -> set[str]:
        """The scoring too, where the judge chooses."""
        return super().code_targets() | ({self.scorer} if self.judged else set())


class EvaluateGan(DeviceTask):
    """Draw samples from one generator and judge them."""

    command = "evaluate-gan"
    run = "evaluate"
    reads = ("generator", "discriminator", "history", "judge", "second", "calibration", "data")
    outputs = {
        "samples": "results/gans/{gan}/seed{seed}/samples.parquet",
        "quality": "results/gans/{gan}/seed{seed}/quality.parquet",
    }
    labels = {"name": "gan"}
    name: str
    seed: int
    training: GanTraining
    n: int
    shown: int = SHOWN


class LossCurvesFigure(FigureSpec):
    """Losses of generator and discriminator per iteration, with epoch ticks."""

    kind: Literal["loss_curves"] = Field(description="losses per iteration")
    gans: tuple[GanName, ...] = Field(min_length=1, description="GANs shown, one panel each")
    smooth: Count = Field(25, description="iterations in the running mean drawn over the raw losses")

    def needs(self) -> Iterator[Need]:
        for gan in self.gans:
            yield Need("gans", (gan,), "history")


class GanSamplesFigure(FigureSpec):
    """Samples of each generator, unselected, and the share of each class in many samples."""

    kind: Literal["gan_samples"] = Field(description="samples and class shares")
    gans: tuple[GanName, ...] = Field(min_length=1, description="GANs shown")
    samples: Count = Field(80, description="samples shown for each, the first ones drawn")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        kept = min(SHOWN, study.evaluation.gan_samples)
        yield "samples", kept, "samples kept of each GAN"

    def needs(self) -> Iterator[Need]:
        for gan in self.gans:
            yield Need("gans", (gan,), "samples")
            yield Need("gans", (gan,), "snapshots")
            yield Need("gans", (gan,), "quality")


class GanComparisonFigure(FigureSpec):
    """Measures of several GANs side by side, a dot per seed, means with intervals over seeds."""

    kind: Literal["gan_comparison"] = Field(description="measures of several GANs side by side")
    gans: tuple[GanName, ...] = Field(min_length=1, description="GANs compared, a row each")
    measures: tuple[
        Literal[
            "frechet_distance",
            "classifier_score",
            "precision",
            "recall",
            "density",
            "coverage",
            "classes",
            "classes_both",
            "agreement",
            "total_variation",
            "variety",
            "vanishing",
            "overpowered",
            "isolated_energy",
            "sharpness",
        ],
        ...,
    ] = Field(
        ("frechet_distance", "recall", "classes", "agreement"), min_length=1, description="measures shown, a panel each"
    )

    def needs(self) -> Iterator[Need]:
        for gan in self.gans:
            yield Need("gans", (gan,), "quality")


class Gans(Kind[GanDefinition]):
    """Generative adversarial networks."""

    definition = GanDefinition
    description = "generative adversarial networks"
    order = 20
    tasks = (TrainGan, EvaluateGan)
    sanity_inputs = (("evaluate_gan", "quality"),)
    summaries = {"gans": Summary("gan_quality", "evaluate_gan", "quality")}
    figures = (LossCurvesFigure, GanSamplesFigure, GanComparisonFigure)

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        study, gan = planner.study, self.get_definition(planner.study, name)
        facts = study.facts(gan.dataset)
        [data] = planner.jobs_of("datasets", gan.dataset)
        jobs = []
        for seed in study.seeds_of(name):
            task = TrainGan(
                name=name,
                seed=seed,
                generator=gan.generator.fit(facts.shape),
                discriminator=gan.discriminator.fit(facts.shape),
                training=gan.training,
                validation=study.validation_images(gan.dataset),
            )
            judges = planner.jobs_of("judges", gan.dataset) if task.judged else []
            inputs: dict[str, Files] = {
                "data": data.outputs["train"],
                "judge": tuple(job.outputs["model"] for job in judges),
            }
            jobs.append(planner.add(task, {"gan": name, "seed": str(seed)}, inputs))
        for job in jobs:
            self._evaluated(planner, name, job)
        return jobs

    def _evaluated(self, planner: Planner, name: str, trained: PlannedJob) -> None:
        study, gan = planner.study, self.get_definition(planner.study, name)
        [data] = planner.jobs_of("datasets", gan.dataset)
        task = EvaluateGan(name=name, seed=trained.seed, training=gan.training, n=study.evaluation.gan_samples)
        inputs = {
            "generator": trained.outputs["generator"],
            "discriminator": trained.outputs["discriminator"],
            "history": trained.outputs["history"],
            "data": data.outputs["test"],
            **planner.get_kind("judges").judging(planner, gan.dataset),
        }
        planner.add(task, trained.wildcards, inputs)

    def check(self, study: Study) -> Iterator[Mistake]:
        for name, gan in self.definitions(study):
            shape = study.facts(gan.dataset).shape
            yield from check_fits(("gans", name, "generator"), gan.generator, shape)
            yield from check_fits(("gans", name, "discriminator"), gan.discriminator, shape)
            yield from check_batch(("gans", name, "training"), gan.training, study.training_images(gan.dataset))
            if gan.training.gradient_penalty and getattr(gan.discriminator, "batch_norm", False):
                message = (
                    f" = {gan.training.gradient_penalty:g}: is for each image apart, which batch normalisation in the "
                    "discriminator mixes; set its batch_norm: false"
                )
                yield ("gans", name, "training", "gradient_penalty"), message


KIND = Gans()
