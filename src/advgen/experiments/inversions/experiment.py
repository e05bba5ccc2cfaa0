"""GAN inversion: search for latent vectors whose images are closest to test images."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import Files, OnGenerators, Planner, Summary
from advgen.core.tasks import GeneratorTask
from advgen.specs.base import Count, EncoderName, GeneratorName, Reference, Spec
from advgen.specs.figures import FigureSpec
from advgen.specs.searches import LatentSearch

InversionName = Annotated[str, Reference(("inversions",))]


class InversionDefinition(Spec):
    """For each generator, the latent vectors whose images are closest to test images."""

    generators: tuple[GeneratorName, ...] = Field(min_length=1, description="GANs or generators to invert")
    images: Count = Field(64, description="number of test images")
    search: LatentSearch = Field(LatentSearch(), description="settings of the search for z")
    encoder: EncoderName | None = Field(
        None,
        description="encoder that predicts the first start; further starts are sampled around it; null: random starts",
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
    """Error of each random start during the search for a latent vector."""

    reads = {"inversion": ("inversion",)}
    kind: Literal["inversion_curves"] = Field(description="error by start during GAN inversion")
    inversion: InversionName = Field(description="inversion to show")
    images: Count = Field(6, description="number of images, one panel each")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        yield "images", study.inversions[self.inversion].images, f"images in inversion {self.inversion!r}"


class InversionGalleryFigure(FigureSpec):
    """Test images and the closest images that the generator can produce."""

    reads = {"inversion": ("inversion", "steps")}
    kind: Literal["inversion_gallery"] = Field(description="targets and their best reconstructions")
    inversion: InversionName = Field(description="inversion to show")
    images: Count = Field(16, description="number of images")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        yield "images", study.inversions[self.inversion].images, f"images in inversion {self.inversion!r}"


class InversionComparisonFigure(FigureSpec):
    """Error of several inversions against the number of random starts, of which the best is kept."""

    reads = {"inversions": ("inversion",)}
    kind: Literal["inversion_comparison"] = Field(description="error of the best of n starts")
    inversions: tuple[InversionName, ...] = Field(min_length=1, description="inversions to compare")


class InversionKeepsFigure(FigureSpec):
    """What inversion keeps and loses: width, height and mean intensity of the reconstruction, error by class."""

    reads = {"inversion": ("inversion",)}
    kind: Literal["inversion_keeps"] = Field(description="size, mean intensity and class before and after inversion")
    inversion: InversionName = Field(description="inversion to show")


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
            trained_for = inversion.encoder and study.encoders[inversion.encoder].generator
            if trained_for and inversion.generators != (trained_for,):
                message = f" = {inversion.encoder!r}: is trained for {trained_for!r}; set generators: [{trained_for}]"
                yield ("inversions", name, "encoder"), message


KIND = Inversions()
