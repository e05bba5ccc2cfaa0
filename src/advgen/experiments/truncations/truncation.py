"""Precision, recall and Fréchet distance against the truncation of z."""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.truncations.experiment import TruncationFigure
from advgen.figures.drawing import format_log_axis, label_line_ends
from advgen.figures.findings import Finding, Row, Tables
from advgen.figures.formatting import format_n, format_seeds, join_parts, name_seeds
from advgen.figures.layout import Panels, content_width, stacked_page
from advgen.figures.statistics import to_frame
from advgen.figures.style import DASHED, INK, series_colour, series_marker, with_style

HEIGHT, LEFT, BOTTOM, NAMES = 40.0, 12.0, 10.0, 17.0
REFERENCE: dict[str, Any] = {"linewidth": 0.9, "linestyle": DASHED, "zorder": 1.5}
"""Line at the value without truncation."""


@with_style
def draw(tables: Tables, spec: TruncationFigure) -> Figure:
    """Draw two panels per generator: precision and recall, and the Fréchet distance."""
    width = content_width(spec)
    blocks = dict(list(to_frame(tables["truncation"].drop_columns(["class_share"])).groupby("generator")))
    untruncated = measure_untruncated(tables)
    panels = Panels(2, width, 62.0, HEIGHT, LEFT, BOTTOM, NAMES)
    headings = {f"{name} with truncated z": _details(rows) for name, rows in blocks.items()}
    page, tops = stacked_page(width, headings, panels.height, gap=3)
    for top, (name, rows) in zip(tops, blocks.items(), strict=True):
        axes = panels.axes(page, top, 0, "precision and recall")
        axes.set_ylim(0, 1.02)
        ends = [_draw_line(axes, rows, column, k) for k, column in enumerate(("precision", "recall"))]
        for k, column in enumerate(("precision", "recall")):
            axes.axhline(untruncated.loc[name, column], color=series_colour(k), **REFERENCE)
        _set_axes(axes, "share", rows)
        label_line_ends(axes, ends, HEIGHT)

        axes = panels.axes(page, top, 1, "Fréchet distance (log scale)")
        axes.set_yscale("log")
        rows = rows.assign(frechet_distance=rows["frechet_distance"].clip(lower=0.01))
        last, _, colour = _draw_line(axes, rows, "frechet_distance", 2)
        axes.axhline(rows["frechet_distance_real"].mean(), color=INK, linewidth=0.9, linestyle=DASHED)
        axes.axhline(untruncated.loc[name, "frechet_distance"], color=colour, **REFERENCE)
        format_log_axis(axes.yaxis, 6)
        _set_axes(axes, "Fréchet distance", rows)
        label_line_ends(axes, [(last, "distance", colour)], HEIGHT)
    return page.figure


def _draw_line(axes: Axes, rows: pd.DataFrame, column: str, number: int) -> tuple[float, str, str]:
    """Draw the mean over seeds, and a thin line for each seed; return last value, name and colour."""
    colour = series_colour(number)
    if rows["seed"].nunique() > 1:
        for _, run in rows.groupby("seed"):
            run = run.sort_values("threshold")
            axes.plot(run["threshold"], run[column], color=colour, linewidth=0.6, alpha=0.5)
    mean = rows.groupby("threshold")[column].mean()
    axes.plot(mean.index, mean, color=colour, marker=series_marker(number), markersize=3.5)
    return float(mean.iloc[-1]), column, colour


def measure_untruncated(tables: Tables) -> pd.DataFrame:
    """Return precision, recall and Fréchet distance without truncation, means over the seeds of each generator."""
    quality = to_frame(tables["gan_quality"].drop_columns(["class_share"]))
    means = quality.groupby("gan")[["precision", "recall", "frechet_distance"]].mean()
    return means.assign(frechet_distance=means["frechet_distance"].clip(lower=0.01))


def _set_axes(axes: Axes, label: str, rows: pd.DataFrame) -> None:
    axes.set(xlabel="threshold of z", ylabel=label, xlim=(0, 1.03 * rows["threshold"].max()))


def _details(rows: pd.DataFrame) -> str:
    words = f"{format_n(rows['n'])} samples per threshold; values of z beyond it are redrawn"
    words += "; coloured dashes: without truncation; black dashes: real images; "
    seeds = name_seeds(rows["seed"])
    return words + (f"thick: mean of {seeds}, thin: single seeds" if rows["seed"].nunique() > 1 else seeds)


def finding(tables: Tables, spec: TruncationFigure) -> Finding:
    """Compare precision and recall at the narrowest and the widest threshold with those without truncation."""
    quality = to_frame(tables["truncation"].drop_columns(["class_share"]))
    untruncated = measure_untruncated(tables)
    measures = ["precision", "recall", "frechet_distance", "frechet_distance_real", "classes_both", "agreement"]
    rows: list[Row] = []
    parts = []
    for name, of_generator in quality.groupby("generator"):
        seeds = of_generator["seed"].nunique()
        means = of_generator.groupby("threshold")[measures].mean()
        rows += [{"generator": name, "threshold": at, "seeds": seeds, **mean} for at, mean in means.iterrows()]
        rows.append({"generator": name, "threshold": math.inf, "seeds": seeds, **untruncated.loc[name]})
        ends = [
            f"{mean['precision']:.2f} and {mean['recall']:.2f} {where}"
            for where, mean in (
                (f"at {means.index[0]:g}", means.iloc[0]),
                (f"at {means.index[-1]:g}", means.iloc[-1]),
                ("without truncation", untruncated.loc[name]),
            )
        ]
        parts.append(f"{name}: {', '.join(ends)}")
    sentence = (
        f"Precision and recall with truncated z: {join_parts(parts)} ({format_n(quality['n'])} samples per "
        f"threshold, {format_seeds(quality['seed'])})."
    )
    return Finding("Truncation: precision against recall", sentence, rows)
