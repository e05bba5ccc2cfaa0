"""Masks that hide some of the pixels."""

from typing import Annotated, Literal

from pydantic import Field

from advgen.geometry.glasses import glasses_frame
from advgen.specs.base import MAX_COUNT, Count, Shape, Spec


class MaskSpec(Spec):
    """Base of all masks."""

    def missing(self, shape: Shape) -> int:
        """Return the number of hidden pixels of an image: at least one and not all."""
        raise NotImplementedError


class PepperMask(MaskSpec):
    """Hides a random fraction of the pixels."""

    kind: Literal["pepper"] = Field(description="random pixels are hidden")
    fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.3, description="fraction of hidden pixels, rounded to an integer number"
    )

    def missing(self, shape: Shape) -> int:
        return round(self.fraction * shape[1] * shape[2])


class CrosswalkMask(MaskSpec):
    """Hides every n-th row."""

    kind: Literal["crosswalk"] = Field(description="every n-th row is hidden")
    period: Annotated[int, Field(ge=2, le=MAX_COUNT)] = Field(2, description="one in this many rows is hidden")

    def missing(self, shape: Shape) -> int:
        return shape[1] // self.period * shape[2]


class SquareMask(MaskSpec):
    """Hides one square at a random position."""

    kind: Literal["square"] = Field(description="one square is hidden")
    size: Count = Field(8, description="pixels along one side of the square")

    def missing(self, shape: Shape) -> int:
        return self.size**2 if self.size <= min(shape[1:]) else 0


class GlassesMask(MaskSpec):
    """Hides the frame of a pair of glasses in the upper half of the image (Sharif et al. 2016)."""

    kind: Literal["glasses"] = Field(description="the frame of a pair of glasses")
    thickness: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.07, description="thickness of the frame, as a fraction of the image's width"
    )

    def missing(self, shape: Shape) -> int:
        return len(glasses_frame(shape, self.thickness))
