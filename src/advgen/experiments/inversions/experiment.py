"""Latent vectors whose images are nearest to test images."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import Files, OnGenerators, Planner, Summary
from advgen.core.tasks import GeneratorTask
from advgen.specs.base import Count, EncoderName, GeneratorName, Need, Reference, Spec
from advgen.specs.figures import FigureSpec
from advgen.specs.searches import LatentSearch

InversionName = Annotated[str, Reference(("inversions",))]


class InversionDefinition(Spec):
    """For each generator, the latent vectors whose images are nearest to test images."""

    generators: tuple[GeneratorName, ...] = Field(min_length=1, description="GANs or generators inverted")
    images: Count = Field(64, description="test images inverted")
    search: LatentSearch = Field(LatentSearch(), description="how z is searched")
    encoder: EncoderName | None = Field(
        None, description="encoder that gives the first start; further ones are drawn around it; null: random starts"
    )


class Invert(GeneratorTask):
    """Search the latent space of one generator for test images."""

    command = "invert"
    reads = ("generator", "judge", "data", "train", "encoder")
    outputs = {
        "inversion": "results/inversions/{inversion}/{generator}--seed{seed}.parquet",
        "steps": "results/inversions/{inversion}/{generator}--seed{seed}.steps.parquet",
    }
    labels = {"name": "inversion", "generator_name": "generator"}
    images: int
    choice: int
    search: LatentSearch


class InversionCurvesFigure(FigureSpec):
    """Loss of each random start while a latent vector is searched."""

    kind: Literal["inversion_curves"] = Field(description="loss by start during inversion")
    inversion: InversionName = Field(description="inversion shown")
    images: Count = Field(6, description="images shown, one panel each")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        yield "images", study.inversions[self.inversion].images, f"images in inversion {self.inversion!r}"

    def needs(self) -> Iterator[Need]:
        yield Need("inversions", (self.inversion,), "inversion")


class InversionGalleryFigure(FigureSpec):
    """Test images and the nearest images that the generator can make."""

    kind: Literal["inversion_gallery"] = Field(description="targets and the best image found")
    inversion: InversionName = Field(description="inversion shown")
    images: Count = Field(16, description="images shown")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        yield "images", study.inversions[self.inversion].images, f"images in inversion {self.inversion!r}"

    def needs(self) -> Iterator[Need]:
        yield Need("inversions", (self.inversion,), "inversion")
        yield Need("inversions", (self.inversion,), "steps")


class InversionComparisonFigure(FigureSpec):
    """Error of several inversions against the number of starts that the best one is chosen from."""

    kind: Literal["inversion_comparison"] = Field(description="best of n starts, by optimiser and kind of start")
    inversions: tuple[InversionName, ...] = Field(min_length=1, description="inversions compared")

    def needs(self) -> Iterator[Need]:
        for name in self.inversions:
            yield Need("inversions", (name,), "inversion")


class InversionKeepsFigure(FigureSpec):
    """What inversion keeps and loses: extent and mean intensity of the found image, error by class."""

    kind: Literal["inversion_keeps"] = Field(description="extent, mean intensity and class before and after inversion")
    inversion: InversionName = Field(description="inversion shown")

    def needs(self) -> Iterator[Need]:
        yield Need("inversions", (self.inversion,), "inversion")


class Inversions(OnGenerators[InversionDefinition]):
    """Searches for latent vectors."""

    definition = InversionDefinition
    description = "searches for latent vectors"
    order = 40
    tasks = (Invert,)
    sanity_inputs = (("invert", "inversion"),)
    summaries = {"inversions": Summary("inversion_summary", "invert", "inversion", module="summary")}
    figures = (InversionCurvesFigure, InversionGalleryFigure, InversionComparisonFigure, InversionKeepsFigure)

    def extra_inputs(
        self, planner: Planner, definition: InversionDefinition, subject: str, seed: int
    ) -> dict[str, Files]:
        encoders = planner.jobs_of("encoders", definition.encoder) if definition.encoder else []
        [data] = planner.jobs_of("datasets", planner.study.dataset_of(subject))
        files = tuple(job.outputs["model"] for job in encoders if job.seed == seed)
        return {"train": data.outputs["train"], "encoder": files}

    def check(self, study: Study) -> Iterator[Mistake]:
        yield from super().check(study)
        for name, inversion in self.definitions(study):
            made_for = inversion.encoder and study.encoders[inversion.encoder].generator
            if made_for and inversion.generators != (made_for,):
                wrong = (
                    f" = {inversion.encoder!r}: is made for generator {made_for!r}; name that one alone in generators"
                )
                yield ("inversions", name, "encoder"), wrong


KIND = Inversions()
