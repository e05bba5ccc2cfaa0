"""Base classes of specs: bounded numbers, references to definitions, and canonical JSON."""

import itertools
import json
import math
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

MAX_COUNT = 1_000_000
"""The largest count in a study, ten times what any experiment here needs."""
Positive = Annotated[float, Field(gt=0, le=MAX_COUNT)]
NonNegative = Annotated[float, Field(ge=0, le=MAX_COUNT)]
LearningRate = Annotated[float, Field(gt=0, le=100)]
Epochs = Annotated[float, Field(gt=0, le=MAX_COUNT)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Shape = tuple[Count, Count, Count]
"""Channels, height, width."""
Index = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Size = Annotated[float, Field(gt=0, le=1)]
"""A change of a pixel, on the [0, 1] scale of pixels."""


def _ascending(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for before, after in itertools.pairwise(values):
        if before == after:
            raise ValueError(f"{after} is listed twice; list it once")
        if before > after:
            raise ValueError(f"{after} follows {before}; list numbers in ascending order: {sorted({*values})}")
    return values


Ascending = AfterValidator(_ascending)
"""Marks a list of numbers that must be ascending, because tables and figures sort them."""
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), Ascending]


class Reference(NamedTuple):
    """Marks a text field as the name of a definition in one of the study's `families`."""

    families: tuple[str, ...]


DatasetName = Annotated[str, Reference(("datasets",))]
GanName = Annotated[str, Reference(("gans",))]
AutoencoderName = Annotated[str, Reference(("autoencoders",))]
ClassifierName = Annotated[str, Reference(("classifiers", "probes"))]
GeneratorName = Annotated[str, Reference(("gans", "generators"))]
EncoderName = Annotated[str, Reference(("encoders",))]
MaskName = Annotated[str, Reference(("masks",))]
AttackName = Annotated[str, Reference(("attacks",))]


def _strict(schema: Any) -> Any:
    """Return the schema with strict numbers, text and booleans, which are not converted into each other."""
    if isinstance(schema, dict):
        strict = {"strict": True} if schema.get("type") in ("int", "float", "bool", "str") else {}
        return {key: _strict(value) for key, value in schema.items()} | strict
    return type(schema)(map(_strict, schema)) if type(schema) in (list, tuple) else schema


class Spec(BaseModel):
    """Base of all specs: immutable, without unknown keys; numbers are finite and are not read from text or booleans."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True, defer_build=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # `strict=True` in the config would also refuse lists for tuples and maps for nested specs
        schema: CoreSchema = _strict(handler(source))
        return schema

    def canonical(self) -> str:
        """Return JSON with sorted keys and all defaults."""
        return canonical_json(self.model_dump(mode="json"))


class WrongValue(ValueError):
    """A value that conflicts with other values. `key` is its key, `message` the problem and its remedy."""

    def __init__(self, key: str, value: object, message: str):
        super().__init__(f"{key} = {value}: {message}")
        self.key, self.value, self.message = key, value, message


PARSERS: dict[str, Callable[[Any], Any]] = {}
"""The parser of each family, from a value to a spec of any of its kinds. The registry fills it."""


def of_family(family: str) -> BeforeValidator:
    """Return a validator for a nested spec of any kind of a family."""
    return BeforeValidator(lambda value: PARSERS[family](value))


def canonical_json(value: Any) -> str:
    """Return `value` as JSON with sorted keys and no spaces, so that equal values give equal strings."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


class Need(NamedTuple):
    """An input of a figure or data set: the output `role` of the jobs that make the definition `names` of `family`.

    Of all seeds, or of one. The family of a model may be empty, because names of models are unique.
    """

    family: str
    names: tuple[str, ...]
    role: str
    seed: int | None = None


def check_radius(key: str, radius: float, shape: Shape, norm: str = "l2") -> None:
    """Raise WrongValue if an L2 or L1 ball around an image contains all images of its shape."""
    farthest = math.prod(shape) ** (0.5 if norm == "l2" else 1)
    if radius > farthest:
        message = f"no two {format_shape(shape)} images are farther apart than {farthest:g}; pixels are from 0 to 1"
        raise WrongValue(key, radius, message)


def pixel_scale_hint(value: float) -> str:
    """Return advice for a change of a pixel that was probably given in grey levels."""
    levels = f"; for {value:g} of 255 grey levels write {value / 255:.4f}" if 1 < value <= 255 else ""
    return f", since pixels are from 0 to 1{levels}"


def check_ball(norm: str, eps: float, step: float) -> None:
    """Raise WrongValue if an L∞ ball is larger than the box, or a step longer than needed to cross the ball."""
    if norm == "linf" and eps > 1:
        raise WrongValue("eps", eps, f"must be at most 1{pixel_scale_hint(eps)}")
    if step > 2.5 * eps * (1 + 1e-9):
        message = f"is longer than the diameter of a ball of eps = {eps:g}; omit it, or write at most 2.5 eps"
        raise WrongValue("step_size", step, message)


def format_shape(shape: Shape) -> str:
    """Return a shape as text, e.g. 1×28×28."""
    return "×".join(str(side) for side in shape)
