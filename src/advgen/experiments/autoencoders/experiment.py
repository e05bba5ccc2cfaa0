"""Autoencoders, their reconstructions, and the distribution of their latent vectors."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from advgen.core.definitions import Definition, Mistake, Study, check_batch, check_fits
from advgen.core.kinds import Kind, PlannedJob, Planner, Summary
from advgen.core.tasks import DeviceTask
from advgen.registry import AnyAutoencoder
from advgen.specs.base import AutoencoderName, Count, Need
from advgen.specs.figures import FigureSpec
from advgen.specs.training import AutoencoderTraining, MomentMatching

SHOWN = 200
"""Reconstructions and decoded draws of each autoencoder that are kept for figures."""


class AutoencoderDefinition(Definition):
    """An encoder and a decoder trained together."""

    model: AnyAutoencoder = Field(description="preset name, or an autoencoder's own keys")
    training: AutoencoderTraining = Field(AutoencoderTraining(), description="budget")


class TrainAutoencoder(DeviceTask):
    """Train one autoencoder with one seed."""

    command = "train-autoencoder"
    run = "train"
    reads = ("data",)
    outputs = {
        "model": "results/autoencoders/{autoencoder}/seed{seed}/autoencoder.safetensors",
        "history": "results/autoencoders/{autoencoder}/seed{seed}/history.parquet",
        "snapshots": "results/autoencoders/{autoencoder}/seed{seed}/snapshots.parquet",
    }
    labels = {"name": "autoencoder"}
    name: str
    seed: int
    model: AnyAutoencoder
    training: AutoencoderTraining
    validation: int


class EvaluateAutoencoder(DeviceTask):
    """Reconstruct the test images with one autoencoder and judge them."""

    command = "evaluate-autoencoder"
    run = "evaluate"
    reads = ("model", "judge", "calibration", "data", "train")
    outputs = {
        "reconstructions": "results/autoencoders/{autoencoder}/seed{seed}/reconstructions.parquet",
        "decoded": "results/autoencoders/{autoencoder}/seed{seed}/decoded.parquet",
        "quality": "results/autoencoders/{autoencoder}/seed{seed}/quality.parquet",
    }
    labels = {"name": "autoencoder"}
    name: str
    seed: int
    moments: MomentMatching | None
    n: int
    shown: int = SHOWN


class ReconstructionsFigure(FigureSpec):
    """Test images and what autoencoders make of them."""

    kind: Literal["reconstructions"] = Field(description="test images and their reconstructions")
    autoencoders: tuple[AutoencoderName, ...] = Field(min_length=1, description="autoencoders shown, a row each")
    images: Count = Field(16, description="test images shown")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        for name in self.autoencoders:
            test = study.facts(study.dataset_of(name)).test
            yield "images", min(SHOWN, test), f"reconstructions kept of {name!r}"

    def needs(self) -> Iterator[Need]:
        for name in self.autoencoders:
            yield Need("autoencoders", (name,), "reconstructions")
            yield Need("autoencoders", (name,), "quality")


class MomentCurvesFigure(FigureSpec):
    """Reconstruction error, moment loss and its factor over training, on a logarithmic axis."""

    kind: Literal["moment_curves"] = Field(description="the three series of moment matching")
    autoencoders: tuple[AutoencoderName, ...] = Field(min_length=1, description="autoencoders shown, a panel each")

    def needs(self) -> Iterator[Need]:
        for name in self.autoencoders:
            yield Need("autoencoders", (name,), "history")


class LatentDistributionFigure(FigureSpec):
    """Distribution of latent numbers over training against the normal one, pooled and per dimension."""

    kind: Literal["latent_distribution"] = Field(description="distribution functions of z over training")
    autoencoders: tuple[AutoencoderName, ...] = Field(min_length=1, description="autoencoders shown, a row each")

    def needs(self) -> Iterator[Need]:
        for name in self.autoencoders:
            yield Need("autoencoders", (name,), "snapshots")


class LatentSpectrumFigure(FigureSpec):
    """Eigenvalues of the covariance of z, and what the decoder makes of N(0, I)."""

    kind: Literal["latent_spectrum"] = Field(description="covariance spectrum and decoded normal draws")
    autoencoders: tuple[AutoencoderName, ...] = Field(min_length=1, description="autoencoders shown")
    samples: Count = Field(24, description="decoded draws shown for each")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        yield "samples", min(SHOWN, study.evaluation.gan_samples), "decoded draws kept of each autoencoder"

    def needs(self) -> Iterator[Need]:
        for name in self.autoencoders:
            yield Need("autoencoders", (name,), "quality")
            yield Need("autoencoders", (name,), "decoded")


class Autoencoders(Kind[AutoencoderDefinition]):
    """Autoencoders."""

    definition = AutoencoderDefinition
    description = "autoencoders"
    order = 21
    tasks = (TrainAutoencoder, EvaluateAutoencoder)
    sanity_inputs = (("evaluate_autoencoder", "quality"), ("evaluate_autoencoder", "reconstructions"))
    summaries = {"autoencoders": Summary("autoencoder_quality", "evaluate_autoencoder", "quality")}
    figures = (ReconstructionsFigure, MomentCurvesFigure, LatentDistributionFigure, LatentSpectrumFigure)

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        study, definition = planner.study, self.get_definition(planner.study, name)
        shape = study.facts(definition.dataset).shape
        [data], [judge] = planner.jobs_of("datasets", definition.dataset), planner.jobs_of("judges", definition.dataset)
        calibration = planner.get_kind("judges").calibrated(planner, definition.dataset).outputs["calibration"]
        jobs = []
        for seed in study.seeds_of(name):
            task = TrainAutoencoder(
                name=name,
                seed=seed,
                model=definition.model.fit(shape),
                training=definition.training,
                validation=study.validation_images(definition.dataset),
            )
            wildcards = {"autoencoder": name, "seed": str(seed)}
            jobs.append(planner.add(task, wildcards, {"data": data.outputs["train"]}))
            inputs = {"model": jobs[-1].outputs["model"], "judge": judge.outputs["model"], "data": data.outputs["test"]}
            inputs |= {"calibration": calibration, "train": data.outputs["train"]}
            evaluate = EvaluateAutoencoder(
                name=name, seed=seed, moments=definition.training.moments, n=study.evaluation.gan_samples
            )
            planner.add(evaluate, wildcards, inputs)
        return jobs

    def check(self, study: Study) -> Iterator[Mistake]:
        for name, definition in self.definitions(study):
            shape = study.facts(definition.dataset).shape
            yield from check_fits(("autoencoders", name, "model"), definition.model, shape)
            yield from check_batch(
                ("autoencoders", name, "training"), definition.training, study.training_images(definition.dataset)
            )


KIND = Autoencoders()
