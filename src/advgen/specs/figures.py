"""The base of all figures; each figure is specified in the room of its kind of experiment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from advgen.specs.base import Need, Spec

Group = Literal["Comparisons", "Data and judge", "Generative lab", "Adversarial lab"]
"""A part of the report."""


class FigureSpec(Spec):
    """Base of all figures. `needs()` names the tables that it is drawn from; `group` is its part of the report."""

    group: ClassVar[Group] = "Generative lab"

    width_mm: Annotated[float, Field(ge=60, le=400)] = Field(180.0, description="width on paper")

    def needs(self) -> Iterator[Need]:
        """The tables that the figure is drawn from."""
        raise NotImplementedError

    def shows(self, study: Any) -> Iterator[tuple[str, int, str]]:
        """Keys that say how many are shown, with how many a study has, and of what."""
        return iter(())

    @classmethod
    def caption(cls) -> str:
        """The file of its caption in the package: beside the module that draws it."""
        folders = cls.__module__.split(".")[1:-1]
        kind: str = cls.model_fields["kind"].annotation.__args__[0]  # type: ignore[union-attr]
        return "/".join([*folders, f"{kind}.rst"])
