"""Interpolation between pairs of test images in latent space: specs, tasks and planning."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import Experiment, Files, Planner, Summary
from advgen.core.tasks import DeviceTask
from advgen.specs.base import MAX_COUNT, Count, Reference, Spec
from advgen.specs.figures import FigureSpec
from advgen.specs.searches import LatentSearch

InterpolationName = Annotated[str, Reference(("interpolations",))]


class InterpolationDefinition(Spec):
    """Frames between pairs of test images, in the latent space of each model."""

    models: tuple[Annotated[str, Reference(("gans", "autoencoders"))], ...] = Field(
        min_length=1, description="GANs (through inversion) and autoencoders (through their encoder)"
    )
    pairs: Count = Field(16, description="pairs of test images with different labels")
    frames: Annotated[int, Field(ge=3, le=MAX_COUNT)] = Field(9, description="frames per pair, with both ends")
    search: LatentSearch = Field(LatentSearch(), description="settings of the search for z in a GAN")


class Interpolate(DeviceTask):
    """Interpolate between pairs of test images in the latent space of one model."""

    command = "interpolate"
    reads = ("model", "judge", "data")
    outputs = {"interpolation": "results/interpolations/{interpolation}/{model}--seed{seed}.parquet"}
    labels = {"name": "interpolation", "model_name": "model"}
    name: str
    model_name: str
    seed: int
    pairs: int
    choice: int
    frames: int
    search: LatentSearch | None


class InterpolationStripsFigure(FigureSpec):
    """Frames between two test images, interpolated in the latent spaces of autoencoders and GANs."""

    reads = {"interpolation": ("interpolation",)}
    kind: Literal["interpolation_strips"] = Field(description="frames between two images")
    interpolation: InterpolationName = Field(description="interpolation to show")
    pairs: Count = Field(4, description="number of pairs per model")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        yield "pairs", study.interpolations[self.interpolation].pairs, f"pairs in interpolation {self.interpolation!r}"


class ThirdClassFigure(FigureSpec):
    """Share of pairs with a third class halfway between two images, and the clearest cases."""

    reads = {"interpolation": ("interpolation",)}
    kind: Literal["third_class"] = Field(description="third classes at the midpoint of interpolations")
    interpolation: InterpolationName = Field(description="interpolation to show")
    pairs: Count = Field(6, description="number of pairs per model, those with the most confident third class")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        yield "pairs", study.interpolations[self.interpolation].pairs, f"pairs in interpolation {self.interpolation!r}"


class SmoothnessFigure(FigureSpec):
    """Smoothness of paths by the classes of their ends, a matrix per model."""

    reads = {"interpolation": ("interpolation",)}
    kind: Literal["smoothness"] = Field(description="smoothness of paths between each pair of classes")
    interpolation: InterpolationName = Field(description="interpolation to show")


class Interpolations(Experiment[InterpolationDefinition]):
    """Interpolations between images."""

    definition = InterpolationDefinition
    description = "interpolations between images"
    order = 42
    subjects_key = "models"
    subject_field = "model_name"
    wildcard = "model"
    tasks = (Interpolate,)
    sanity_inputs = (("interpolate", "interpolation"),)
    summaries = {"interpolations": Summary("interpolation_summary", "interpolate", "interpolation", module="summary")}
    figures = (InterpolationStripsFigure, ThirdClassFigure, SmoothnessFigure)

    def subjects(self, planner: Planner, name: str) -> Iterator[tuple[int, dict[str, Files]]]:
        dataset = planner.study.dataset_of(name)
        data, role = planner.test_split(dataset), "generator" if name in planner.study.gans else "model"
        [judge] = planner.jobs_of("judges", dataset)
        for trained in planner.training_jobs(name):
            yield trained.seed, {"model": trained.outputs[role], "judge": judge.outputs["model"], "data": data}

    def task_fields(self, study: Study, definition: InterpolationDefinition, subject: str) -> dict[str, Any]:
        """Return the fields of the task; an autoencoder has an encoder and needs no search."""
        search = definition.search if subject in study.gans else None
        return super().task_fields(study, definition, subject) | {"search": search}

    def check(self, study: Study) -> Iterator[Mistake]:
        for name, definition in self.definitions(study):
            for model in definition.models:
                test = study.facts(study.dataset_of(model)).test
                if 4 * definition.pairs > test:
                    message = f" = {definition.pairs}: needs four times as many test images, and there are only {test}"
                    yield ("interpolations", name, "pairs"), message


KIND = Interpolations()
