"""The base of all figures. Each figure is specified in the package of its kind of experiment."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from advgen.specs.base import Need, Spec

Group = Literal["Comparisons", "Data and judge", "Generative lab", "Adversarial lab"]
"""A part of the report."""


class FigureSpec(Spec):
    """Base of all figures. `group` is its part of the report.

    `reads` gives the roles of the tables that it shows, by the field that names their definitions: a field `gans` names
    definitions in `gans`, a field `inversion` names one in `inversions`.
    """

    group: ClassVar[Group] = "Generative lab"
    reads: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    width_mm: Annotated[float, Field(ge=60, le=400)] = Field(
        180.0,
        description="width on paper: 85 for a column, 180 for a page. The font size is fixed: for a slide, use 120 and "
        "enlarge the PDF",
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if cls.group not in get_args(Group):
            raise ValueError(f"{cls.__name__}: group = {cls.group!r}: must be one of {', '.join(get_args(Group))}")

    def needs(self) -> Iterator[Need]:
        """Yield the tables that the figure shows."""
        for field, roles in self.reads.items():
            names = getattr(self, field)
            for name in (names,) if isinstance(names, str) else names:
                yield from (Need(field.removesuffix("s") + "s", (name,), role) for role in roles)

    def needs_from_study(self, study: Any) -> Iterator[Need]:
        """Yield further tables, which depend on the other definitions of the study."""
        return iter(())

    def size_limits(self, study: Any) -> Iterator[tuple[str, int, str]]:
        """Yield each key that is a number of shown items, with the number available in the study and what they are."""
        return iter(())
