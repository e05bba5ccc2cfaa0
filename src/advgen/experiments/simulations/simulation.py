"""The series of simulations with their intervals, a panel each."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.simulations.experiment import SimulationFigure
from advgen.figures import common, findings

TALL, LEFT, FOOT = 44.0, 13.0, 10.0


@common.styled
def draw(tables: Mapping[str, pa.Table], spec: SimulationFigure) -> Figure:
    """Panels in the order of the spec; each has its own series, named above it."""
    full = common.inside(spec)
    facts = common.frame(tables["simulation"])
    names = common.in_order(spec.simulations, facts["simulation"])
    facts = facts[facts["simulation"].isin(names)]
    series = {name: list(dict.fromkeys(facts.loc[facts["simulation"] == name, "series"])) for name in names}
    details = f"{common.n_is(facts['n'])} behind each point; bars: 95 % intervals"
    head = common.heading_height(full, details)
    places = common.Panels(len(names), full, 70.0, TALL, LEFT, FOOT)
    legend = max(common.legend_height(one, places.inner) for one in series.values())
    panels = common.Panels(len(names), full, 70.0, TALL, LEFT, FOOT, title=5.0 + legend)
    page = common.Page(full, head + panels.height - 1)
    page.heading(0, 0, full, "Simulations", details)
    for number, name in enumerate(names):
        line, column = divmod(number, panels.columns)
        rows = facts[facts["simulation"] == name]
        axes = panels.axes(page, head, number, "")
        left = column * full / panels.columns + LEFT
        top = head + line * (panels.title + TALL + FOOT)
        words = f"{name} ({str(rows['kind'].iloc[0]).replace('_', ' ')})"
        page.text(left, top, words, weight="bold", size=common.fitting_size(words, panels.inner, 7.5, weight="bold"))
        page.legend(left, top + 4.5, panels.inner, series[name])
        _panel(axes, rows, series[name])
    return page.figure


def _panel(axes: Axes, rows: pd.DataFrame, series: list[str]) -> None:
    wide = rows["x"].min() > 0 and rows["x"].max() / rows["x"].min() > 20
    if wide:
        axes.set_xscale("log")
    for number, name in enumerate(series):
        one = rows[rows["series"] == name].sort_values("x")
        axes.plot(one["x"], one["y"], color=common.colour(number), linewidth=1.3)
        for point in one.itertuples():
            common.interval(axes, point.x, point.y, point.y_low, point.y_high, number)
    low, high = rows[["y", "y_low"]].min().min(), rows[["y", "y_high"]].max().max()
    room = 0.04 * (high - low) or 0.1
    axes.set_ylim(min(0.0, low) if low < 0 else -0.2 * room, high + room)
    if wide:
        common.log_numbers(axes.xaxis, 6)
    axes.set_xlabel(f"{rows['x_name'].iloc[0]}{' (log scale)' if wide else ''}")
    axes.set_ylabel(str(rows["y_name"].iloc[0]))


def finding(tables: Mapping[str, pa.Table], spec: SimulationFigure) -> findings.Finding:
    """The first and the last point of each series."""
    facts = common.frame(tables["simulation"])
    names = common.in_order(spec.simulations, facts["simulation"])
    facts = facts[facts["simulation"].isin(names)]
    parts = []
    for (_, series), one in facts.groupby(["simulation", "series"], sort=False):
        one = one.sort_values("x")
        ends = [
            f"{findings.value(point.y, point.y_low, point.y_high)} at {point.x:g}"
            for point in (next(one.itertuples()), list(one.itertuples())[-1])
        ]
        parts.append(f"{series}: {' against '.join(ends)}")
    first = facts.iloc[0]
    what = f"{first['y_name']} by {first['x_name']}"
    sentence = f"{what[:1].upper()}{what[1:]}, {'; '.join(parts[:3])} ({common.n_is(facts['n'])} each)."
    columns = ["simulation", "series", "x", "y", "y_low", "y_high", "n"]
    return findings.Finding("Simulations on known distributions", sentence, facts[columns].to_dict("records"))
