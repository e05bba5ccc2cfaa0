"""A custom figure: `plugins: [confusion.py]`. Its caption is in confusion.rst, in the same folder."""

from typing import Literal

from pydantic import Field

from advgen.registry import register
from advgen.specs.base import AttackName, ClassifierName, Need
from advgen.specs.figures import FigureSpec


class ConfusionFigure(FigureSpec):
    """The predictions of a classifier for the adversarial examples of each class."""

    group = "Adversarial lab"
    kind: Literal["confusion"] = Field(description="confusion matrix under attack")
    source: ClassifierName = Field(description="attacked classifier")
    attack: AttackName = Field(description="the attack")

    def needs(self):
        yield Need("attacks", (self.source, self.attack), "examples")


def confusion(tables, spec):
    """Draw a row per class and a column per prediction, in percent of the class's images over all seeds."""
    import pandas as pd  # imported here, because planning a study must not import pandas

    from advgen.figures.formatting import format_n
    from advgen.figures.layout import Page, content_width
    from advgen.figures.statistics import to_frame
    from advgen.figures.style import INK, style_sheet

    examples = to_frame(tables["examples"])
    share = pd.crosstab(examples["label"], examples["predicted"], normalize="index")
    (rows, columns), full, left, top, tall = share.shape, content_width(spec), 12.0, 11.0, 6.5
    with style_sheet():
        page = Page(full, top + tall * rows + 9)
        details = f"attack {spec.attack}; {format_n({len(examples)})} images, {examples['source_seed'].nunique()} seeds"
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
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
    return page.figure


register(ConfusionFigure, confusion, packages=["pandas"])
