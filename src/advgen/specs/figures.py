"""The base of all figures; each figure is specified in the room of its kind of experiment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from advgen.specs.base import Need, Spec

Group = Literal["Comparisons", "Data and judge", "Generative lab", "Adversarial lab"]
"""A part of the report."""


class FigureSpec(Spec):
    """Base of all figures. `needs()` names the tables that it is drawn from; `group` is its part of the report."""

    group: ClassVar[Group] = "Generative lab"

    width_mm: Annotated[float, Field(ge=60, le=400)] = Field(
        180.0,
        description="width on paper: 85 is a column, 180 a page; letters keep their size, so for a slide ask for 120 "
        "and enlarge the PDF",
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if cls.group not in get_args(Group):
            raise ValueError(f"{cls.__name__}: group = {cls.group!r}: must be one of {', '.join(get_args(Group))}")

    def needs(self) -> Iterator[Need]:
        """The tables that the figure is drawn from."""
        raise NotImplementedError

    def needs_from_study(self, study: Any) -> Iterator[Need]:
        """Further tables, of what a study holds about what the figure shows."""
        return iter(())

    def size_limits(self, study: Any) -> Iterator[tuple[str, int, str]]:
        """Keys that say how many are shown, with how many a study has, and of what."""
        return iter(())
