"""The series of simulations with their intervals, a panel each."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.simulations.experiment import SimulationFigure
from advgen.figures.drawing import draw_interval, format_log_axis
from advgen.figures.findings import Finding, Tables
from advgen.figures.formatting import format_n, format_value
from advgen.figures.layout import Panels, content_width, legend_height, titled_page
from advgen.figures.statistics import split_in_order, to_frame
from advgen.figures.style import series_colour, with_style

HEIGHT, LEFT, BOTTOM = 44.0, 13.0, 10.0


@with_style
def draw(tables: Tables, spec: SimulationFigure) -> Figure:
    """Draw a panel per simulation with a legend of its series."""
    width = content_width(spec)
    blocks = split_in_order(to_frame(tables["simulation"]), "simulation", spec.simulations)
    series = {name: list(dict.fromkeys(rows["series"])) for name, rows in blocks.items()}
    panels = Panels(len(blocks), width, 70.0, HEIGHT, LEFT, BOTTOM)
    legend = max(legend_height(names, panels.axes_width) for names in series.values())
    panels = replace(panels, title=5.0 + legend)
    details = f"{_format_n(blocks)} per point; bars: 95 % intervals"
    page, top = titled_page(width, "Simulations", details, panels.height - 1)
    for number, (name, rows) in enumerate(blocks.items()):
        axes = panels.axes(page, top, number, "")
        left, down = panels.corner(top, number)
        kind = str(rows["kind"].iloc[0]).replace("_", " ")
        page.subheading(left, down, panels.axes_width, f"{name} ({kind})")
        page.legend(left, down + 4.5, panels.axes_width, series[name])
        _draw_panel(axes, rows, series[name])
    return page.figure


def _format_n(blocks: Mapping[str, pd.DataFrame]) -> str:
    return format_n(pd.concat(blocks.values())["n"])


def _draw_panel(axes: Axes, rows: pd.DataFrame, series: list[str]) -> None:
    is_wide = rows["x"].min() > 0 and rows["x"].max() / rows["x"].min() > 20
    if is_wide:
        axes.set_xscale("log")
    for number, name in enumerate(series):
        points = rows[rows["series"] == name].sort_values("x")
        axes.plot(points["x"], points["y"], color=series_colour(number), linewidth=1.3)
        for point in points.itertuples():
            draw_interval(axes, point.x, point.y, point.y_low, point.y_high, number)
    low, high = rows[["y", "y_low"]].min().min(), rows[["y", "y_high"]].max().max()
    margin = 0.04 * (high - low) or 0.1
    axes.set_ylim(low if low < 0 else -0.2 * margin, high + margin)
    if is_wide:
        format_log_axis(axes.xaxis, 6)
    axes.set_xlabel(f"{rows['x_name'].iloc[0]}{' (log scale)' if is_wide else ''}")
    axes.set_ylabel(str(rows["y_name"].iloc[0]))


def finding(tables: Tables, spec: SimulationFigure) -> Finding:
    """Report the first and the last point of each series."""
    blocks = split_in_order(to_frame(tables["simulation"]), "simulation", spec.simulations)
    facts = pd.concat(blocks.values())
    parts = []
    for (_, series), points in facts.groupby(["simulation", "series"], sort=False):
        points = points.sort_values("x")
        ends = [
            f"{format_value(point.y, point.y_low, point.y_high)} at {point.x:g}"
            for point in points.iloc[[0, -1]].itertuples()
        ]
        parts.append(f"{series}: {' against '.join(ends)}")
    first = facts.iloc[0]
    subject = f"{first['y_name']} by {first['x_name']}"
    sentence = f"{subject[:1].upper()}{subject[1:]}, {'; '.join(parts[:3])} ({_format_n(blocks)} per point)."
    columns = ["simulation", "series", "x", "y", "y_low", "y_high", "n"]
    return Finding("Simulations on known distributions", sentence, facts[columns].to_dict("records"))
