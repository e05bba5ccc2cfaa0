"""What every spec is made of: names of definitions, numbers with bounds, and canonical JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Shape = tuple[int, int, int]
"""Channels, height, width."""
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Ref(NamedTuple):
    """Marks a string field as the name of a definition in one of `families` of the study."""

    families: tuple[str, ...]


DatasetName = Annotated[str, Ref(("datasets",))]
GanName = Annotated[str, Ref(("gans",))]
AutoencoderName = Annotated[str, Ref(("autoencoders",))]
ClassifierName = Annotated[str, Ref(("classifiers", "probes"))]
GeneratorName = Annotated[str, Ref(("gans", "generators"))]
EncoderName = Annotated[str, Ref(("encoders",))]
MaskName = Annotated[str, Ref(("masks",))]
AttackName = Annotated[str, Ref(("attacks",))]


class Spec(BaseModel):
    """Base of all specs: immutable, closed to unknown keys, finite numbers only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    def canonical(self) -> str:
        """One JSON string with sorted keys and every default filled in."""
        return canonical_json(self.model_dump(mode="json"))


PARSERS: dict[str, Callable[[Any], Any]] = {}
"""How a value becomes a spec of any kind of a family, by family; the registry, which knows the kinds, fills it."""


def of_family(family: str) -> BeforeValidator:
    """Validates a nested spec as any kind of a family."""
    return BeforeValidator(lambda value: PARSERS[family](value))


def canonical_json(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces: equal values give equal strings."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


class Need(NamedTuple):
    """One artefact that something reads: `role` of the job that makes `names` of `family`, over all seeds or one.

    A model's name says its family, so that it may be left empty.
    """

    family: str
    names: tuple[str, ...]
    role: str
    seed: int | None = None


def show_shape(shape: Shape) -> str:
    """A shape as people write it, e.g. 1×28×28."""
    return "×".join(str(side) for side in shape)
