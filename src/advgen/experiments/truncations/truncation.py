"""Precision, recall and Fréchet distance against the truncation of z."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.truncations.experiment import TruncationFigure
from advgen.figures.drawing import format_log_axis, label_line_ends
from advgen.figures.findings import Finding, Row
from advgen.figures.formatting import format_n, format_seeds, join_parts
from advgen.figures.layout import GAP, Page, Panels, content_width, heading_height
from advgen.figures.statistics import to_frame
from advgen.figures.style import INK, series_colour, series_marker, with_style

TALL, LEFT, FOOT, NAMES = 40.0, 12.0, 10.0, 17.0


@with_style
def draw(tables: Mapping[str, pa.Table], spec: TruncationFigure) -> Figure:
    """Two panels per generator: precision and recall, and the Fréchet distance."""
    full = content_width(spec)
    quality = to_frame(tables["truncation"].drop_columns(["class_share"]))
    blocks = dict(list(quality.groupby("generator")))
    untruncated = whole(tables)
    panels = Panels(2, full, 62.0, TALL, LEFT, FOOT, NAMES)
    details = [_details(rows) for rows in blocks.values()]
    head = heading_height(full, *details)
    block = head + panels.height + GAP - 2
    page = Page(full, len(blocks) * block - GAP + 2)
    for number, (name, rows) in enumerate(blocks.items()):
        top = number * block
        page.heading(0, top, full, f"{name} with truncated z", details[number])
        axes = panels.axes(page, top + head, 0, "precision and recall")
        axes.set_ylim(0, 1.02)
        ends = [_line(axes, rows, column, k) for k, column in enumerate(("precision", "recall"))]
        for k, column in enumerate(("precision", "recall")):
            _reference(axes, untruncated.loc[name, column], k)
        _decorate(axes, "share", rows)
        label_line_ends(axes, ends, TALL)
        axes = panels.axes(page, top + head, 1, "Fréchet distance (log scale)")
        axes.set_yscale("log")
        rows = rows.assign(frechet_distance=rows["frechet_distance"].clip(lower=0.01))
        end = _line(axes, rows, "frechet_distance", 2)
        axes.axhline(rows["frechet_distance_real"].mean(), color=INK, linewidth=0.9, linestyle=(0, (2.5, 1.5)))
        _reference(axes, untruncated.loc[name, "frechet_distance"], 2)
        format_log_axis(axes.yaxis, 6)
        _decorate(axes, "Fréchet distance", rows)
        label_line_ends(axes, [(end[0], "distance", end[2])], TALL)
    return page.figure


def _line(axes: Axes, rows: pd.DataFrame, column: str, number: int) -> tuple[float, str, str]:
    """The mean over seeds, and faint lines of the seeds; where it ends."""
    colour = series_colour(number)
    if rows["seed"].nunique() > 1:
        for _, one in rows.groupby("seed"):
            one = one.sort_values("threshold")
            axes.plot(one["threshold"], one[column], color=colour, linewidth=0.6, alpha=0.5)
    mean = rows.groupby("threshold")[column].mean()
    axes.plot(mean.index, mean, color=colour, marker=series_marker(number), markersize=3.5)
    return float(mean.iloc[-1]), column, colour


def _reference(axes: Axes, level: float, number: int) -> None:
    """A dashed line where all of z gives this."""
    axes.axhline(level, color=series_colour(number), linewidth=0.9, linestyle=(0, (2.5, 1.5)), zorder=1.5)


def whole(tables: Mapping[str, pa.Table]) -> pd.DataFrame:
    """Means over the seeds of what the generators make of all of z, by their names."""
    quality = to_frame(tables["gan_quality"].drop_columns(["class_share"]))
    means = quality.groupby("gan")[["precision", "recall", "frechet_distance"]].mean()
    return means.assign(frechet_distance=means["frechet_distance"].clip(lower=0.01))


def _decorate(axes: Axes, label: str, rows: pd.DataFrame) -> None:
    axes.set_ylabel(label)
    axes.set_xlabel("threshold of z")
    axes.set_xlim(0, 1.03 * rows["threshold"].max())


def _details(rows: pd.DataFrame) -> str:
    seeds = rows["seed"].nunique()
    words = f"{format_n(rows['n'])} samples at each threshold, beyond which numbers of z are drawn again"
    words += "; dashes: all of z; longer ones: as many real images"
    return words + (
        f"; thick: mean of {seeds} seeds, thin: the seeds" if seeds > 1 else f"; seed {rows['seed'].iloc[0]}"
    )


def finding(tables: Mapping[str, pa.Table], spec: TruncationFigure) -> Finding:
    """Precision, recall and Fréchet distance at the narrowest and the widest truncation."""
    quality = to_frame(tables["truncation"].drop_columns(["class_share"]))
    rows: list[Row] = []
    parts = []
    for name, one in quality.groupby("generator"):
        measures = ["precision", "recall", "frechet_distance", "frechet_distance_real", "classes_both", "agreement"]
        means = one.groupby("threshold")[measures].mean()
        for threshold, mean in means.iterrows():
            rows.append({"generator": name, "threshold": threshold, "seeds": one["seed"].nunique(), **mean})
        ends = [
            f"{mean['precision']:.2f} and {mean['recall']:.2f} at {threshold:g}"
            for threshold, mean in (next(means.iterrows()), (means.index[-1], means.iloc[-1]))
        ]
        all_of_z = whole(tables).loc[name]
        rows.append({"generator": name, "threshold": math.inf, "seeds": one["seed"].nunique(), **all_of_z})
        ends.append(f"{all_of_z['precision']:.2f} and {all_of_z['recall']:.2f} untruncated")
        parts.append(f"{name} {' against '.join(ends)}")
    sentence = (
        f"Precision and recall where z is truncated: {join_parts(parts)} ({format_n(quality['n'])} samples at "
        f"each threshold, {format_seeds(quality['seed'])})."
    )
    return Finding("Truncation: fidelity against variety", sentence, rows)
