"""The series of simulations with their intervals, a panel each."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.simulations.experiment import SimulationFigure
from advgen.figures.drawing import draw_interval, format_log_axis
from advgen.figures.findings import Finding
from advgen.figures.formatting import format_n, format_value
from advgen.figures.layout import Page, Panels, content_width, heading_height, legend_height
from advgen.figures.statistics import present_in_order, to_frame
from advgen.figures.style import series_colour, with_style
from advgen.figures.text import fit_font_size

TALL, LEFT, FOOT = 44.0, 13.0, 10.0


@with_style
def draw(tables: Mapping[str, pa.Table], spec: SimulationFigure) -> Figure:
    """Panels in the order of the spec; each has its own series, named above it."""
    full = content_width(spec)
    facts = to_frame(tables["simulation"])
    names = present_in_order(spec.simulations, facts["simulation"])
    facts = facts[facts["simulation"].isin(names)]
    series = {name: list(dict.fromkeys(facts.loc[facts["simulation"] == name, "series"])) for name in names}
    details = f"{format_n(facts['n'])} behind each point; bars: 95 % intervals"
    head = heading_height(full, details)
    places = Panels(len(names), full, 70.0, TALL, LEFT, FOOT)
    legend = max(legend_height(one, places.axes_width) for one in series.values())
    panels = Panels(len(names), full, 70.0, TALL, LEFT, FOOT, title=5.0 + legend)
    page = Page(full, head + panels.height - 1)
    page.heading(0, 0, full, "Simulations", details)
    for number, name in enumerate(names):
        line, column = divmod(number, panels.columns)
        rows = facts[facts["simulation"] == name]
        axes = panels.axes(page, head, number, "")
        left = column * full / panels.columns + LEFT
        top = head + line * (panels.title + TALL + FOOT)
        words = f"{name} ({str(rows['kind'].iloc[0]).replace('_', ' ')})"
        page.text(left, top, words, weight="bold", size=fit_font_size(words, panels.axes_width, 7.5, weight="bold"))
        page.legend(left, top + 4.5, panels.axes_width, series[name])
        _panel(axes, rows, series[name])
    return page.figure


def _panel(axes: Axes, rows: pd.DataFrame, series: list[str]) -> None:
    wide = rows["x"].min() > 0 and rows["x"].max() / rows["x"].min() > 20
    if wide:
        axes.set_xscale("log")
    for number, name in enumerate(series):
        one = rows[rows["series"] == name].sort_values("x")
        axes.plot(one["x"], one["y"], color=series_colour(number), linewidth=1.3)
        for point in one.itertuples():
            draw_interval(axes, point.x, point.y, point.y_low, point.y_high, number)
    low, high = rows[["y", "y_low"]].min().min(), rows[["y", "y_high"]].max().max()
    room = 0.04 * (high - low) or 0.1
    axes.set_ylim(min(0.0, low) if low < 0 else -0.2 * room, high + room)
    if wide:
        format_log_axis(axes.xaxis, 6)
    axes.set_xlabel(f"{rows['x_name'].iloc[0]}{' (log scale)' if wide else ''}")
    axes.set_ylabel(str(rows["y_name"].iloc[0]))


def finding(tables: Mapping[str, pa.Table], spec: SimulationFigure) -> Finding:
    """The first and the last point of each series."""
    facts = to_frame(tables["simulation"])
    names = present_in_order(spec.simulations, facts["simulation"])
    facts = facts[facts["simulation"].isin(names)]
    parts = []
    for (_, series), one in facts.groupby(["simulation", "series"], sort=False):
        one = one.sort_values("x")
        ends = [
            f"{format_value(point.y, point.y_low, point.y_high)} at {point.x:g}"
            for point in (next(one.itertuples()), list(one.itertuples())[-1])
        ]
        parts.append(f"{series}: {' against '.join(ends)}")
    first = facts.iloc[0]
    what = f"{first['y_name']} by {first['x_name']}"
    sentence = f"{what[:1].upper()}{what[1:]}, {'; '.join(parts[:3])} ({format_n(facts['n'])} each)."
    columns = ["simulation", "series", "x", "y", "y_low", "y_high", "n"]
    return Finding("Simulations on known distributions", sentence, facts[columns].to_dict("records"))
