"""Error of several inversions against the number of random starts, of which the best is kept."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from advgen.experiments.inversions.experiment import InversionComparisonFigure
from advgen.figures.drawing import draw_interval
from advgen.figures.findings import Finding, Row, Tables, interval_columns
from advgen.figures.formatting import format_count, format_n, format_seeds, format_value, interval_units
from advgen.figures.layout import Panels, content_width, titled_page
from advgen.figures.reconstruction import (
    BASELINES,
    baseline_columns,
    class_kept,
    class_kept_columns,
    describe_baselines,
)
from advgen.figures.statistics import count_images, mean_over_images, split_in_order, to_frame
from advgen.figures.style import DASHED, DOTTED, INK, series_colour, with_style

HEIGHT, LEFT, BOTTOM, TITLE = 42.0, 14.0, 10.0, 5.0


@with_style
def draw(tables: Tables, spec: InversionComparisonFigure) -> Figure:
    """Draw a block per generator with the mean squared error and the share of kept classes, a line per inversion."""
    width = content_width(spec)
    inversions = split_in_order(to_frame(tables["inversion"]), "inversion", spec.inversions)
    facts = pd.concat(inversions.values())
    blocks = {str(name): rows for name, rows in facts.groupby("generator")}
    panels = Panels(2, width, 55.0, HEIGHT, LEFT, BOTTOM)
    block = TITLE + panels.height + 2
    names = [_describe_inversion(rows) for rows in inversions.values()]
    page, top = titled_page(width, "Best of n starts", _details(facts), len(blocks) * block - 3, names)
    for number, (generator, rows) in enumerate(blocks.items()):
        down = top + number * block
        page.subheading(LEFT, down, width - LEFT, generator, 8)
        error = panels.axes(page, down + TITLE, 0, "mean squared error (lower is better)")
        kept = panels.axes(page, down + TITLE, 1, "class kept (%), reference classifier")
        for k, inversion in enumerate(inversions):
            shift = 0.07 * (k - (len(inversions) - 1) / 2)
            _draw_lines(error, kept, rows[rows["inversion"] == inversion], k, shift)
        _draw_baselines(error, rows)
        for axes in (error, kept):
            axes.set(xlim=(0.6, facts["start"].max() + 1.4), xlabel="number of starts (the best is kept)")
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        error.set_ylim(bottom=0)
        error.set_ylabel("MSE")
        kept.set(ylim=(0, 102), ylabel="images (%)")
    return page.figure


def _draw_lines(error: Axes, kept: Axes, rows: pd.DataFrame, number: int, shift: float) -> None:
    """Draw error and share of kept classes of the best of the first n starts, for every n."""
    if rows.empty:
        return
    counts = np.arange(1, int(rows["start"].max()) + 2)
    best = [_best_of(rows, int(count)) for count in counts]
    means = [mean_over_images(starts, "mse") for starts in best]
    shares = [[100 * share for share in class_kept(starts)] for starts in best]
    for axes, values in ((error, means), (kept, shares)):
        axes.plot(counts + shift, [mean for mean, *_ in values], color=series_colour(number))
        for x, (mean, low, high) in zip(counts + shift, values, strict=True):
            draw_interval(axes, x, mean, low, high, number)


def _draw_baselines(axes: Axes, rows: pd.DataFrame) -> None:
    errors = baseline_columns(rows[rows["start"] == 0].drop_duplicates("index"))
    styles = ((DASHED, 0.99, "right"), (DOTTED, 0.01, "left"))
    for (name, level), (line, place, ha) in zip(errors.items(), styles, strict=True):
        axes.axhline(level, color=INK, linewidth=0.9, linestyle=line)
        where: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        axes.annotate(BASELINES[name], (place, level), (0, 2), ha=ha, size=5.5, **where)


def _best_of(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the best of the first `count` starts of each image and seed."""
    starts = rows[rows["start"] < count]
    return starts.loc[starts.groupby(["seed", "index"])["mse"].idxmin()]


def _describe_inversion(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    steps = format_count(int(first["history_step"][-1]), "step")
    start = "" if first["first_start"] == "random" else f", first start from {first['first_start']}"
    return f"{first['inversion']} ({first['optimizer']}, lr {first['lr']:g}, {steps}{start})"


def _format_n(facts: pd.DataFrame) -> str:
    return format_n(facts.groupby(["inversion", "generator"])["index"].nunique())


def _details(facts: pd.DataFrame) -> str:
    several = facts["seed"].nunique() > 1
    words = f"{_format_n(facts)} test images; bars: 95 % intervals over {interval_units(several)}"
    return words + (f"; means of {format_seeds(facts['seed'])}" if several else "")


def finding(tables: Tables, spec: InversionComparisonFigure) -> Finding:
    """Report the error of each inversion after its first start and after all of them."""
    facts = to_frame(tables["inversion"])
    facts = facts[facts["inversion"].isin(spec.inversions)]
    rows: list[Row] = []
    parts = []
    for (generator, inversion), of_search in facts.groupby(["generator", "inversion"]):
        steps = int(of_search["history_step"].iloc[0][-1])
        ends = []
        for starts in sorted({1, int(of_search["start"].max()) + 1}):
            best = _best_of(of_search, starts)
            mse = mean_over_images(best, "mse")
            ends.append(f"{format_value(*mse)} after {format_count(starts, 'start')}")
            rows.append(
                {"generator": generator, "inversion": inversion, "starts": starts, "steps": steps}
                | count_images(of_search)
                | interval_columns("mse", mse)
                | class_kept_columns(best)
                | baseline_columns(best)
            )
        words = f"an MSE of {', '.join(ends)} ({describe_baselines(of_search)})"
        parts.append(f"{inversion} on {generator} has {words}")
    sentence = (
        f"{'; '.join(parts[:4])} ({_format_n(facts)} images, {format_seeds(facts['seed'])}; "
        "the number of steps can differ)."
    )
    return Finding("How much do restarts help an inversion?", sentence, rows)
