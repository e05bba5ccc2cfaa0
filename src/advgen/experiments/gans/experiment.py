"""Train GANs and evaluate their samples with the reference classifier: specs, tasks and planning."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from advgen.core.definitions import Definition, Mistake, Study, check_batch, check_fits
from advgen.core.kinds import Files, Kind, PlannedJob, Planner, Summary
from advgen.core.tasks import DeviceTask
from advgen.registry import AnyGenerator, AnyNetwork
from advgen.specs.base import Count, GanName
from advgen.specs.figures import FigureSpec
from advgen.specs.training import GanTraining

STORED = 200
"""Number of samples of each GAN that are stored for figures."""


class GanDefinition(Definition):
    """A generator trained against a discriminator."""

    generator: AnyGenerator = Field(description="preset name, or the keys of a generator")
    discriminator: AnyNetwork = Field(description="preset name, or the keys of a network; it has one output")
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
    # A name instead of an import, so that the digest of GANs without checkpoint selection does not contain this code.
    scorer: ClassVar[str] = "advgen.metrics.score:scorer"
    name: str
    seed: int
    generator: AnyGenerator
    discriminator: AnyNetwork
    training: GanTraining
    validation: int

    @property
    def selects_checkpoint(self) -> bool:
        """Whether training uses the reference classifier to select the checkpoint of the generator."""
        return self.training.checkpoint_selection > 0

    def code_targets(self) -> set[str]:
        """Return the code of the task, with that of the score for checkpoint selection."""
        return super().code_targets() | ({self.scorer} if self.selects_checkpoint else set())


class EvaluateGan(DeviceTask):
    """Draw samples from one generator and evaluate them with the reference classifier."""

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
    stored: int = STORED


class LossCurvesFigure(FigureSpec):
    """Losses of generator and discriminator per iteration, with epoch ticks."""

    reads = {"gans": ("history",)}
    kind: Literal["loss_curves"] = Field(description="losses per iteration")
    gans: tuple[GanName, ...] = Field(min_length=1, description="GANs to show, one panel each")
    smooth: Count = Field(25, description="window of the running mean in iterations")


class GanSamplesFigure(FigureSpec):
    """Samples of each generator, not selected, and the share of each class in many samples."""

    reads = {"gans": ("samples", "snapshots", "quality")}
    kind: Literal["gan_samples"] = Field(description="samples and class shares")
    gans: tuple[GanName, ...] = Field(min_length=1, description="GANs to show")
    samples: Count = Field(80, description="number of samples of each GAN")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        yield "samples", min(STORED, study.evaluation.gan_samples), "stored samples of each GAN"


class GanComparisonFigure(FigureSpec):
    """Measures of several GANs side by side, a tick per seed, means with intervals over seeds."""

    reads = {"gans": ("quality",)}
    kind: Literal["gan_comparison"] = Field(description="measures of several GANs side by side")
    gans: tuple[GanName, ...] = Field(min_length=1, description="GANs to compare, a row each")
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
        ("frechet_distance", "recall", "classes", "agreement"),
        min_length=1,
        description="measures to show, a panel each",
    )


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
            judges = planner.jobs_of("judges", gan.dataset) if task.selects_checkpoint else []
            inputs: dict[str, Files] = {
                "data": data.outputs["train"],
                "judge": tuple(job.outputs["model"] for job in judges),
            }
            jobs.append(planner.add(task, {"gan": name, "seed": str(seed)}, inputs))
        for job in jobs:
            self._plan_evaluation(planner, name, job)
        return jobs

    def _plan_evaluation(self, planner: Planner, name: str, trained: PlannedJob) -> None:
        study, gan = planner.study, self.get_definition(planner.study, name)
        [data] = planner.jobs_of("datasets", gan.dataset)
        task = EvaluateGan(name=name, seed=trained.seed, training=gan.training, n=study.evaluation.gan_samples)
        inputs = {
            "generator": trained.outputs["generator"],
            "discriminator": trained.outputs["discriminator"],
            "history": trained.outputs["history"],
            "data": data.outputs["test"],
            **planner.get_kind("judges").evaluation_inputs(planner, gan.dataset),
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
                    f" = {gan.training.gradient_penalty:g}: needs a discriminator without batch normalisation, because "
                    "the penalty is computed per image; set its batch_norm: false"
                )
                yield ("gans", name, "training", "gradient_penalty"), message


KIND = Gans()
