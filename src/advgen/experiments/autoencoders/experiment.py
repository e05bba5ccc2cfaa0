"""Train autoencoders and evaluate reconstructions and latent distribution: specs, tasks and planning."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from advgen.core.definitions import Definition, Mistake, Study, check_batch, check_fits
from advgen.core.kinds import Kind, PlannedJob, Planner, Summary
from advgen.core.tasks import DeviceTask
from advgen.registry import AnyAutoencoder
from advgen.specs.base import AutoencoderName, Count
from advgen.specs.figures import FigureSpec
from advgen.specs.training import AutoencoderTraining, MomentMatching

STORED = 200
"""Number of reconstructions and decoded samples of each autoencoder that are stored for figures."""


class AutoencoderDefinition(Definition):
    """An encoder and a decoder trained together."""

    model: AnyAutoencoder = Field(description="preset name, or the keys of an autoencoder")
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
    """Reconstruct the test images with one autoencoder and evaluate them with the reference classifier."""

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
    stored: int = STORED


class ReconstructionsFigure(FigureSpec):
    """Test images and their reconstructions by autoencoders."""

    reads = {"autoencoders": ("reconstructions", "quality")}
    kind: Literal["reconstructions"] = Field(description="test images and their reconstructions")
    autoencoders: tuple[AutoencoderName, ...] = Field(min_length=1, description="autoencoders to show, a row each")
    images: Count = Field(16, description="number of test images")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        for name in self.autoencoders:
            test = study.facts(study.dataset_of(name)).test
            yield "images", min(STORED, test), f"stored reconstructions of {name!r}"


class MomentCurvesFigure(FigureSpec):
    """Reconstruction error, moment loss and its factor over training, on a logarithmic axis."""

    reads = {"autoencoders": ("history",)}
    kind: Literal["moment_curves"] = Field(description="the three series of moment matching")
    autoencoders: tuple[AutoencoderName, ...] = Field(min_length=1, description="autoencoders to show, a panel each")


class LatentDistributionFigure(FigureSpec):
    """Distribution of latent values over training compared with the normal distribution, pooled and per dimension."""

    reads = {"autoencoders": ("snapshots",)}
    kind: Literal["latent_distribution"] = Field(description="distribution functions of z over training")
    autoencoders: tuple[AutoencoderName, ...] = Field(min_length=1, description="autoencoders to show, a row each")


class LatentSpectrumFigure(FigureSpec):
    """Eigenvalues of the covariance of z, and images that the decoder makes from N(0, I)."""

    reads = {"autoencoders": ("quality", "decoded")}
    kind: Literal["latent_spectrum"] = Field(description="spectrum of the latent covariance, and decoded samples")
    autoencoders: tuple[AutoencoderName, ...] = Field(min_length=1, description="autoencoders to show")
    samples: Count = Field(24, description="number of decoded samples of each autoencoder")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        yield "samples", min(STORED, study.evaluation.gan_samples), "stored decoded samples of each autoencoder"


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
        calibration = planner.get_kind("judges").plan_calibration(planner, definition.dataset).outputs["calibration"]
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
