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
from advgen.figures import common, findings

TALL, LEFT, FOOT, TITLE = 42.0, 14.0, 10.0, 5.0


@common.styled
def draw(tables: Mapping[str, pa.Table], spec: InversionComparisonFigure) -> Figure:
    """A block per generator; panels: mean squared error, class kept. A line per inversion."""
    full = common.inside(spec)
    facts = common.frame(tables["inversion"])
    facts = facts[facts["inversion"].isin(spec.inversions)]
    inversions = common.in_order(spec.inversions, facts["inversion"])
    names = [_name(facts[facts["inversion"] == one]) for one in inversions]
    blocks = {str(name): rows for name, rows in facts.groupby("generator")}
    details = _details(facts)
    head = common.heading_height(full, details)
    top = head + common.legend_height(names, full)
    panels = common.Panels(2, full, 55.0, TALL, LEFT, FOOT)
    block = TITLE + panels.height + 2
    page = common.Page(full, top + len(blocks) * block - 3)
    page.heading(0, 0, full, "The best of n starts", details)
    page.legend(0, head, full, names)
    for number, (generator, rows) in enumerate(blocks.items()):
        down = top + number * block
        size = common.fitting_size(generator, full - LEFT, 8, weight="bold")
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
    means = [common.mean_over_images(one, "mse") for one in best]
    shares = [findings.kept(one) for one in best]
    colour = common.colour(number)
    error.plot(counts + shift, [mean for mean, *_ in means], color=colour)
    kept.plot(counts + shift, [100 * share for share, *_ in shares], color=colour)
    for x, mean, (share, low, high) in zip(counts + shift, means, shares, strict=True):
        common.interval(error, x, *mean, number)
        common.interval(kept, x, 100 * share, 100 * low, 100 * high, number)


def _baselines(error: Axes, rows: pd.DataFrame) -> None:
    """What as many principal components as z has numbers, and the nearest training image, are off by."""
    first = rows[rows["start"] == 0].drop_duplicates("index")
    for number, (column, words) in enumerate(findings.TRIVIAL.items()):
        level = float(first[column].mean())
        error.axhline(level, color=common.INK, linewidth=0.9, linestyle=((0, (2.5, 1.5)), (0, (1, 1.5)))[number])
        where: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        place, end = ((0.99, "right"), (0.01, "left"))[number]
        error.annotate(words, (place, level), (0, 2), ha=end, size=5.5, **where)


def _best(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    tried = rows[rows["start"] < count]
    return tried.loc[tried.groupby(["seed", "index"])["mse"].idxmin()]


def _name(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    steps = common.counted(int(first["history_step"][-1]), "step")
    start = "" if first["first_start"] == "random" else f", first start from {first['first_start']}"
    return f"{first['inversion']} ({first['optimizer']}, lr {first['lr']:g}, {steps}{start})"


def _details(rows: pd.DataFrame) -> str:
    seeds = rows["seed"].nunique()
    n = common.n_is(rows.groupby(["inversion", "generator"])["index"].nunique())
    words = f"{n} test images; bars: 95 % intervals over {common.over_what(seeds > 1)}"
    return words + (f"; means of {seeds} seeds" if seeds > 1 else "")


def finding(tables: Mapping[str, pa.Table], spec: InversionComparisonFigure) -> findings.Finding:
    """Error of each search after its first start and after all of them."""
    facts = common.frame(tables["inversion"])
    facts = facts[facts["inversion"].isin(spec.inversions)]
    rows: list[findings.Row] = []
    parts = []
    for (generator, inversion), one in facts.groupby(["generator", "inversion"]):
        ends = []
        for starts in sorted({1, int(one["start"].max()) + 1}):
            best = _best(one, starts)
            mse = common.mean_over_images(best, "mse")
            steps = int(one["history_step"].iloc[0][-1])
            ends.append(f"{findings.value(*mse)} after {common.counted(starts, 'start')}")
            rows.append(
                {"generator": generator, "inversion": inversion, "starts": starts, "steps": steps}
                | {"n": one["index"].nunique(), "seeds": one["seed"].nunique()}
                | findings.columns_of("mse", mse)
                | findings.kept_columns(best)
                | findings.trivial_columns(best)
            )
        parts.append(f"{inversion} on {generator} has an MSE of {', '.join(ends)} ({findings.trivial(one)})")
    n = common.n_is(facts.groupby(["inversion", "generator"])["index"].nunique())
    sentence = (
        f"{'; '.join(parts[:4])} ({n} images, {findings.seeds(facts['seed'])}; the searches differ in their steps)."
    )
    return findings.Finding("How much do restarts help an inversion?", sentence, rows)
