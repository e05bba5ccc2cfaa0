"""The class of a whole study: the common keys, and one map of definitions per kind."""

from typing import Any

from pydantic import Field, create_model

from advgen import registry
from advgen.core import catalog
from advgen.core.definitions import CvDefinition, Name
from advgen.core.definitions import Study as StudyBase

_KEYS: dict[str, tuple[int, Any, str]] = {
    **{name: (kind.order, kind.definition, kind.description) for name, kind in catalog.STUDY_KINDS.items()},
    "masks": (30, registry.AnyMask, "masks for inpainting"),
    "figures": (90, registry.AnyFigure, "figures to draw"),
}
FAMILIES = tuple(sorted(_KEYS, key=lambda name: _KEYS[name][0]))
"""The maps of definitions, in order."""
SWEPT = tuple(family for family in FAMILIES if family != "figures")
"""Families whose definitions may have a `sweep`."""


def _field(family: str) -> tuple[Any, Any]:
    _, definition, text = _KEYS[family]
    field: Any = Field(min_length=1, description=text) if family == "datasets" else Field({}, description=text)
    return dict[Name, definition], field  # type: ignore[valid-type]


_FIELDS: dict[str, Any] = {family: _field(family) for family in FAMILIES}
_FIELDS["cv"] = (CvDefinition | None, Field(None, description="the CV; null: none"))
Study: type[StudyBase] = create_model(
    "Study", __base__=StudyBase, __doc__="Everything that is computed and shown.", **_FIELDS
)
