"""Accuracy of each classifier under each kind of damage."""

from collections.abc import Mapping

import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.corruptions.experiment import CorruptionFigure
from advgen.figures.drawing import draw_interval
from advgen.figures.layout import Page, content_width
from advgen.figures.statistics import to_frame
from advgen.figures.style import with_style
from advgen.metrics.intervals import wilson


@with_style
def draw(tables: Mapping[str, pa.Table], spec: CorruptionFigure) -> Figure:
    """A row of marks per kind of damage, a colour per classifier."""
    facts = to_frame(tables["corruption"])
    sources, damages = sorted(set(facts["source"])), sorted(set(facts["damage"]))
    page = Page(content_width(spec), 60)
    page.legend(0, 0, content_width(spec), sources)
    axes = page.axes(12, 8, content_width(spec) - 14, 40)
    for number, source in enumerate(sources):
        for place, damage in enumerate(damages):
            right = facts[(facts["source"] == source) & (facts["damage"] == damage)]["right"]
            low, high = wilson(int(right.sum()), len(right))
            draw_interval(axes, place + number / 10, 100 * right.mean(), 100 * low, 100 * high, number)
    axes.set_xticks(range(len(damages)), damages)
    axes.set_ylim(0, 102)
    axes.set_ylabel("test images right (%)")
    return page.figure
