"""A figure of one's own: `plugins: [confusion.py]`; its caption stands beside it, in confusion.rst."""

from typing import Literal

from pydantic import Field

from advgen.registry import register
from advgen.specs.base import AttackName, ClassifierName, Need
from advgen.specs.figures import FigureSpec


class ConfusionFigure(FigureSpec):
    """What a classifier takes the attacked images of each class for."""

    group = "Adversarial lab"
    kind: Literal["confusion"] = Field(description="classes taken for each other under attack")
    source: ClassifierName = Field(description="attacked classifier")
    attack: AttackName = Field(description="the attack")

    def needs(self):
        yield Need("attacks", (self.source, self.attack), "examples")


def confusion(tables, spec):
    """A row per class, a column per answer, in percent of the class's images over all seeds."""
    import pandas as pd  # here, so that the plan of a study needs none

    from advgen.figures.formatting import format_n
    from advgen.figures.layout import Page, content_width
    from advgen.figures.statistics import to_frame
    from advgen.figures.style import INK, style_sheet

    facts = to_frame(tables["examples"])
    share = pd.crosstab(facts["label"], facts["predicted"], normalize="index")
    (rows, columns), full, left, top, tall = share.shape, content_width(spec), 12.0, 11.0, 6.5
    with style_sheet():
        page = Page(full, top + tall * rows + 9)
        details = f"attack {spec.attack}; {format_n({len(facts)})} images, {facts['source_seed'].nunique()} seeds"
        page.heading(0, 0, full, f"{spec.source}: percent of each class", details)
        axes = page.axes(left, top, full - left, tall * rows)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for row in range(rows):
            for column in range(columns):
                part = share.iloc[row, column]
                colour = "white" if part > 0.6 else INK
                axes.text(column, row, f"{100 * part:.0f}", ha="center", va="center", size=6.5, color=colour)
        axes.set_xticks(range(columns), share.columns)
        axes.set_yticks(range(rows), share.index)
        axes.grid(False)
        axes.set_xlabel("answer")
        axes.set_ylabel("class")
    return page.figure


register(ConfusionFigure, confusion, packages=["pandas"])
