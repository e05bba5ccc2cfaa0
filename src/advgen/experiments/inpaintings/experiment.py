"""Test images restored from behind masks with a generator."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import Files, OnGenerators, Planner, Summary
from advgen.core.tasks import GeneratorTask
from advgen.registry import AnyMask
from advgen.specs.base import Count, GeneratorName, MaskName, Need, Reference, Spec, format_shape
from advgen.specs.figures import FigureSpec
from advgen.specs.masks import SquareMask
from advgen.specs.searches import LatentSearch

Method = Literal["full", "contextual", "contextual_prior"]
InpaintingName = Annotated[str, Reference(("inpaintings",))]


class InpaintingDefinition(Spec):
    """For each generator, test images restored from behind masks."""

    generators: tuple[GeneratorName, ...] = Field(min_length=1, description="GANs or generators that restore")
    masks: tuple[MaskName, ...] = Field(min_length=1, description="masks tried")
    methods: tuple[Method, ...] = Field(
        ("full", "contextual"),
        min_length=1,
        description="losses tried: full counts missing pixels as black ones, contextual leaves them out, "
        "contextual_prior adds to that the discriminator's opinion of the whole image; harmonic fill and Poisson fill, "
        "without a generator, stand beside them",
    )
    images: Count = Field(64, description="test images restored")
    search: LatentSearch = Field(LatentSearch(), description="how z is searched")


class Inpaint(GeneratorTask):
    """Restore test images from behind masks with one generator."""

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
    """Original, masked and restored images for each mask and method."""

    kind: Literal["inpainting_gallery"] = Field(description="original, masked, restored")
    inpainting: InpaintingName = Field(description="inpainting shown")
    images: Count = Field(5, description="images shown per mask")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        yield "images", study.inpaintings[self.inpainting].images, f"images in inpainting {self.inpainting!r}"

    def needs(self) -> Iterator[Need]:
        yield Need("inpaintings", (self.inpainting,), "inpainting")


class InpaintingErrorsFigure(FigureSpec):
    """Error of each method under each mask, with intervals."""

    kind: Literal["inpainting_errors"] = Field(description="error by mask and method")
    inpainting: InpaintingName = Field(description="inpainting shown")

    def needs(self) -> Iterator[Need]:
        yield Need("inpaintings", (self.inpainting,), "inpainting")


class SquarePositionFigure(FigureSpec):
    """Error of inpainting against where the square lies and how much intensity it covers."""

    kind: Literal["square_position"] = Field(description="error against the square's position and intensity below")
    inpainting: InpaintingName = Field(description="inpainting shown")
    mask: MaskName = Field(description="a square mask of that inpainting")

    def needs(self) -> Iterator[Need]:
        yield Need("inpaintings", (self.inpainting,), "inpainting")


class Inpaintings(OnGenerators[InpaintingDefinition]):
    """Restorations from behind masks."""

    definition = InpaintingDefinition
    description = "restorations from behind masks"
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
                        f" = {generator!r}: has no discriminator, which 'contextual_prior' needs; leave one of them out"
                    )
                    yield ("inpaintings", name, "generators", number), message
                shape = study.facts(study.dataset_of(generator)).shape
                for index, mask in enumerate(inpainting.masks):
                    if not 0 < study.masks[mask].missing(shape) < shape[1] * shape[2]:
                        message = (
                            f" = {mask!r}: loses nothing or everything of {format_shape(shape)} images; change the mask"
                        )
                        yield ("inpaintings", name, "masks", index), message
        for name, figure in study.figures.items():
            if isinstance(figure, SquarePositionFigure):
                masks = study.inpaintings[figure.inpainting].masks
                squares = [mask for mask in masks if isinstance(study.masks[mask], SquareMask)]
                if figure.mask not in squares:
                    known = ", ".join(squares) or "it has none"
                    message = f" = {figure.mask!r}: is no square mask of inpainting {figure.inpainting!r} ({known})"
                    yield ("figures", name, "mask"), message


KIND = Inpaintings()
