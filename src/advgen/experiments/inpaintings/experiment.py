"""Inpainting of test images with a generator: specs, tasks and planning."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import Files, OnGenerators, Planner, Summary
from advgen.core.tasks import GeneratorTask
from advgen.registry import AnyMask
from advgen.specs.base import Count, GeneratorName, MaskName, Reference, Spec, format_shape
from advgen.specs.figures import FigureSpec
from advgen.specs.masks import SquareMask
from advgen.specs.searches import LatentSearch

Method = Literal["full", "contextual", "contextual_prior"]
InpaintingName = Annotated[str, Reference(("inpaintings",))]


class InpaintingDefinition(Spec):
    """For each generator, the inpainting of masked test images."""

    generators: tuple[GeneratorName, ...] = Field(min_length=1, description="GANs or generators to use")
    masks: tuple[MaskName, ...] = Field(min_length=1, description="masks to compare")
    methods: tuple[Method, ...] = Field(
        ("full", "contextual"),
        min_length=1,
        description="losses to compare: full treats missing pixels as black, contextual ignores them, contextual_prior "
        "adds the discriminator's score of the whole image; two baselines without a generator are always included",
    )
    images: Count = Field(64, description="number of test images")
    search: LatentSearch = Field(LatentSearch(), description="settings of the search for z")


class Inpaint(GeneratorTask):
    """Inpaint masked test images with one generator."""

    command = "inpaint"
    reads = ("generator", "judge", "data", "train", "discriminator")
    outputs = {"inpainting": "results/inpaintings/{inpainting}/{generator}--seed{seed}.parquet"}
    labels = {"name": "inpainting", "generator_name": "generator"}
    images: int
    choice: int
    masks: dict[str, AnyMask]
    methods: tuple[str, ...]
    search: LatentSearch


class InpaintingGalleryFigure(FigureSpec):
    """Original, masked and inpainted images for each mask and method."""

    reads = {"inpainting": ("inpainting",)}
    kind: Literal["inpainting_gallery"] = Field(description="original, masked and inpainted images")
    inpainting: InpaintingName = Field(description="inpainting to show")
    images: Count = Field(5, description="number of images per mask")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        yield "images", study.inpaintings[self.inpainting].images, f"images in inpainting {self.inpainting!r}"


class InpaintingErrorsFigure(FigureSpec):
    """Error of each method for each mask, with intervals."""

    reads = {"inpainting": ("inpainting",)}
    kind: Literal["inpainting_errors"] = Field(description="error by mask and method")
    inpainting: InpaintingName = Field(description="inpainting to show")


class SquarePositionFigure(FigureSpec):
    """Inpainting error by the position of the missing square and by the intensity that it covers."""

    reads = {"inpainting": ("inpainting",)}
    kind: Literal["square_position"] = Field(description="error by position and covered intensity of a square")
    inpainting: InpaintingName = Field(description="inpainting to show")
    mask: MaskName = Field(description="a square mask of the inpainting")


class Inpaintings(OnGenerators[InpaintingDefinition]):
    """Inpainting of masked images."""

    definition = InpaintingDefinition
    description = "inpainting of masked images"
    order = 41
    tasks = (Inpaint,)
    sanity_inputs = (("inpaint", "inpainting"),)
    summaries = {"inpaintings": Summary("inpainting_summary", "inpaint", "inpainting", module="summary")}
    figures = (InpaintingGalleryFigure, InpaintingErrorsFigure, SquarePositionFigure)

    def task_fields(self, study: Study, definition: InpaintingDefinition, subject: str) -> dict[str, Any]:
        masks = {"masks": {mask: study.masks[mask] for mask in definition.masks}}
        return super().task_fields(study, definition, subject) | masks

    def extra_inputs(
        self, planner: Planner, definition: InpaintingDefinition, subject: str, seed: int
    ) -> dict[str, Files]:
        [data] = planner.jobs_of("datasets", planner.study.dataset_of(subject))
        prior = "contextual_prior" in definition.methods
        trained = [job for job in planner.jobs_of("gans", subject) if job.seed == seed] if prior else []
        files = tuple(job.outputs["discriminator"] for job in trained)
        return {"train": data.outputs["train"], "discriminator": files}

    def check(self, study: Study) -> Iterator[Mistake]:
        yield from super().check(study)
        for name, inpainting in self.definitions(study):
            for number, generator in enumerate(inpainting.generators):
                if "contextual_prior" in inpainting.methods and generator in study.generators:
                    message = (
                        f" = {generator!r}: has no discriminator, which 'contextual_prior' needs; remove one of them"
                    )
                    yield ("inpaintings", name, "generators", number), message
                shape = study.facts(study.dataset_of(generator)).shape
                for index, mask in enumerate(inpainting.masks):
                    if not 0 < study.masks[mask].missing(shape) < shape[1] * shape[2]:
                        message = f" = {mask!r}: hides none or all of {format_shape(shape)} images; change the mask"
                        yield ("inpaintings", name, "masks", index), message
        for name, figure in study.figures.items():
            if isinstance(figure, SquarePositionFigure):
                masks = study.inpaintings[figure.inpainting].masks
                squares = [mask for mask in masks if isinstance(study.masks[mask], SquareMask)]
                if figure.mask not in squares:
                    allowed = ", ".join(squares) or "it has none"
                    message = (
                        f" = {figure.mask!r}: is not a square mask of inpainting {figure.inpainting!r} ({allowed})"
                    )
                    yield ("figures", name, "mask"), message


KIND = Inpaintings()
