"""Error of several inversions against the number of starts that the best one is chosen from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from advgen.experiments.inversions.experiment import InversionComparisonFigure
from advgen.figures.drawing import draw_interval
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import format_count, format_n, format_seeds, format_value, interval_units
from advgen.figures.layout import Page, Panels, content_width, heading_height, legend_height
from advgen.figures.reconstruction import (
    BASELINES,
    baseline_columns,
    class_kept,
    class_kept_columns,
    describe_baselines,
)
from advgen.figures.statistics import mean_over_images, present_in_order, to_frame
from advgen.figures.style import INK, series_colour, with_style
from advgen.figures.text import fit_font_size

TALL, LEFT, FOOT, TITLE = 42.0, 14.0, 10.0, 5.0


@with_style
def draw(tables: Mapping[str, pa.Table], spec: InversionComparisonFigure) -> Figure:
    """A block per generator; panels: mean squared error, class kept. A line per inversion."""
    full = content_width(spec)
    facts = to_frame(tables["inversion"])
    facts = facts[facts["inversion"].isin(spec.inversions)]
    inversions = present_in_order(spec.inversions, facts["inversion"])
    names = [_name(facts[facts["inversion"] == one]) for one in inversions]
    blocks = {str(name): rows for name, rows in facts.groupby("generator")}
    details = _details(facts)
    head = heading_height(full, details)
    top = head + legend_height(names, full)
    panels = Panels(2, full, 55.0, TALL, LEFT, FOOT)
    block = TITLE + panels.height + 2
    page = Page(full, top + len(blocks) * block - 3)
    page.heading(0, 0, full, "The best of n starts", details)
    page.legend(0, head, full, names)
    for number, (generator, rows) in enumerate(blocks.items()):
        down = top + number * block
        size = fit_font_size(generator, full - LEFT, 8, weight="bold")
        page.text(LEFT, down, generator, weight="bold", size=size)
        error = panels.axes(page, down + TITLE, 0, "mean squared error (less is better)")
        kept = panels.axes(page, down + TITLE, 1, "class kept, by the judge (%)")
        for k, inversion in enumerate(inversions):
            mine = rows[rows["inversion"] == inversion]
            shift = 0.07 * (k - (len(inversions) - 1) / 2)
            _lines(error, kept, mine, k, shift)
        _baselines(error, rows)
        for axes in (error, kept):
            axes.set_xlim(0.6, facts["start"].max() + 1.4)
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
            axes.set_xlabel("starts that the best is chosen from")
        error.set_ylim(bottom=0)
        kept.set_ylim(0, 102)
        error.set_ylabel("MSE")
        kept.set_ylabel("images (%)")
    return page.figure


def _lines(error: Axes, kept: Axes, rows: pd.DataFrame, number: int, shift: float) -> None:
    """For every n, the best of the first n starts of each image and seed."""
    if rows.empty:
        return
    counts = np.arange(1, int(rows["start"].max()) + 2)
    best = [_best(rows, int(count)) for count in counts]
    means = [mean_over_images(one, "mse") for one in best]
    shares = [class_kept(one) for one in best]
    colour = series_colour(number)
    error.plot(counts + shift, [mean for mean, *_ in means], color=colour)
    kept.plot(counts + shift, [100 * share for share, *_ in shares], color=colour)
    for x, mean, (share, low, high) in zip(counts + shift, means, shares, strict=True):
        draw_interval(error, x, *mean, number)
        draw_interval(kept, x, 100 * share, 100 * low, 100 * high, number)


def _baselines(error: Axes, rows: pd.DataFrame) -> None:
    """What as many principal components as z has numbers, and the nearest training image, are off by."""
    first = rows[rows["start"] == 0].drop_duplicates("index")
    for number, (column, words) in enumerate(BASELINES.items()):
        level = float(first[column].mean())
        error.axhline(level, color=INK, linewidth=0.9, linestyle=((0, (2.5, 1.5)), (0, (1, 1.5)))[number])
        where: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        place, end = ((0.99, "right"), (0.01, "left"))[number]
        error.annotate(words, (place, level), (0, 2), ha=end, size=5.5, **where)


def _best(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    tried = rows[rows["start"] < count]
    return tried.loc[tried.groupby(["seed", "index"])["mse"].idxmin()]


def _name(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    steps = format_count(int(first["history_step"][-1]), "step")
    start = "" if first["first_start"] == "random" else f", first start from {first['first_start']}"
    return f"{first['inversion']} ({first['optimizer']}, lr {first['lr']:g}, {steps}{start})"


def _details(rows: pd.DataFrame) -> str:
    seeds = rows["seed"].nunique()
    n = format_n(rows.groupby(["inversion", "generator"])["index"].nunique())
    words = f"{n} test images; bars: 95 % intervals over {interval_units(seeds > 1)}"
    return words + (f"; means of {seeds} seeds" if seeds > 1 else "")


def finding(tables: Mapping[str, pa.Table], spec: InversionComparisonFigure) -> Finding:
    """Error of each search after its first start and after all of them."""
    facts = to_frame(tables["inversion"])
    facts = facts[facts["inversion"].isin(spec.inversions)]
    rows: list[Row] = []
    parts = []
    for (generator, inversion), one in facts.groupby(["generator", "inversion"]):
        ends = []
        for starts in sorted({1, int(one["start"].max()) + 1}):
            best = _best(one, starts)
            mse = mean_over_images(best, "mse")
            steps = int(one["history_step"].iloc[0][-1])
            ends.append(f"{format_value(*mse)} after {format_count(starts, 'start')}")
            rows.append(
                {"generator": generator, "inversion": inversion, "starts": starts, "steps": steps}
                | {"n": one["index"].nunique(), "seeds": one["seed"].nunique()}
                | interval_columns("mse", mse)
                | class_kept_columns(best)
                | baseline_columns(best)
            )
        parts.append(f"{inversion} on {generator} has an MSE of {', '.join(ends)} ({describe_baselines(one)})")
    n = format_n(facts.groupby(["inversion", "generator"])["index"].nunique())
    sentence = (
        f"{'; '.join(parts[:4])} ({n} images, {format_seeds(facts['seed'])}; the searches differ in their steps)."
    )
    return Finding("How much do restarts help an inversion?", sentence, rows)
