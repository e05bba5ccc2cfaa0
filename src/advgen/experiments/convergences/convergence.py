"""Accuracy against steps and against restarts, and the spread of final losses over restarts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from advgen.experiments.convergences.experiment import ConvergenceFigure
from advgen.figures.drawing import add_note, draw_interval
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import (
    format_n,
    format_number,
    format_percent,
    format_seeds,
    format_share,
    interval_units,
    join_parts,
)
from advgen.figures.layout import Page, Panels, content_width, heading_height, legend_height
from advgen.figures.statistics import to_frame
from advgen.figures.style import series_colour, with_style
from advgen.metrics.intervals import rate_over_runs

TALL, LEFT, FOOT = 40.0, 12.0, 10.0


@with_style
def draw(tables: Mapping[str, pa.Table], spec: ConvergenceFigure) -> Figure:
    """Three panels, a colour per classifier, means over its seeds."""
    full = content_width(spec)
    facts = to_frame(tables["convergence"])
    facts = facts[facts["convergence"] == spec.convergence]
    sources = sorted(set(facts["source"]))
    details = _details(facts)
    head = heading_height(full, details)
    legend = legend_height(sources, full)
    panels = Panels(3, full, 52.0, TALL, LEFT, FOOT)
    page = Page(full, head + legend + panels.height - 1)
    page.heading(0, 0, full, "What more effort finds", details)
    page.legend(0, head, full, sources)
    steps = panels.axes(page, head + legend, 0, "more steps")
    restarts = panels.axes(page, head + legend, 1, "more restarts")
    losses = panels.axes(page, head + legend, 2, "loss after the last step")
    limit = _limit(facts)
    for number, source in enumerate(sources):
        rows = facts[facts["source"] == source]
        _steps(steps, rows, number)
        _restarts(restarts, rows, number)
        _losses(losses, rows, number, limit)
    steps.set_xlabel("steps; thick: all restarts, thin: one")
    restarts.set_xlabel("restarts, all steps")
    beyond = format_percent(float((_last(facts) > limit).mean()))
    losses.set_xlabel(f"loss of every restart, {beyond} beyond")
    losses.set_ylabel("density")
    losses.set_ylim(0, 1.4 * losses.get_ylim()[1])
    losses.set_xlim(0, limit)
    for axes in (steps, restarts):
        axes.set_ylim(0, 102)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_ylabel("test images right (%)")
    return page.figure


def measure_accuracy_after(rows: pd.DataFrame, steps: ArrayLike) -> NDArray[np.float64]:
    """Share of the images that are right when clean and not fooled within so many steps by any of the restarts.

    Mean over seeds, with the ends of its 95 % interval over seeds and images: (steps, 3).
    """
    images = rows.groupby(["seed", "index"])
    last = images["fooled_step"].min().fillna(np.inf).where(images["right_clean"].min(), -np.inf)
    shares_RS = np.array([(one.to_numpy()[:, None] > steps).mean(0) for _, one in last.groupby(level=0)])
    return np.array([rate_over_runs(shares_R, rows["index"].nunique()) for shares_R in shares_RS.T])


def _steps(axes: Axes, rows: pd.DataFrame, number: int) -> None:
    total = len(rows["losses"].iloc[0]) - 1  # the first is that of the start
    steps = np.arange(total + 1)
    colour = series_colour(number)
    single = np.mean([measure_accuracy_after(one, steps)[:, 0] for _, one in rows.groupby("restart")], axis=0)
    axes.plot(steps, 100 * single, color=colour, linewidth=0.8)
    every, low, high = 100 * measure_accuracy_after(rows, steps).T
    axes.plot(steps, every, color=colour, linewidth=1.6)
    axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xlim(0, total)


def _restarts(axes: Axes, rows: pd.DataFrame, number: int) -> None:
    total = len(rows["losses"].iloc[0]) - 1
    counts = np.arange(1, rows["restart"].nunique() + 1)
    order = sorted(set(rows["restart"]))
    ends = [100 * measure_accuracy_after(rows[rows["restart"].isin(order[:count])], [total])[0] for count in counts]
    axes.plot(counts, [share for share, _, _ in ends], color=series_colour(number))
    for count, (share, low, high) in zip(counts, ends, strict=True):
        draw_interval(axes, count, share, low, high, number)
    axes.set_xlim(0.5, counts[-1] + 0.5)


def _last(rows: pd.DataFrame) -> NDArray[np.float64]:
    return np.array([losses[-1] for losses in rows["losses"]], dtype=np.float64)


def _limit(facts: pd.DataFrame) -> float:
    """End of the axis of losses: a hundredth of them is beyond it."""
    return float(np.quantile(_last(facts), 0.99)) or 1.0


def _losses(axes: Axes, rows: pd.DataFrame, number: int, limit: float) -> None:
    edges = np.linspace(0, limit, 31)
    last = _last(rows)
    # densities of all losses: those beyond the axis are left out, not piled up at its end
    heights = np.histogram(last, edges)[0] / len(last) / np.diff(edges)
    axes.stairs(heights, edges, color=series_colour(number), linewidth=1.2)
    spread = rows.assign(last=_last(rows)).groupby(["seed", "index"])["last"].std().mean()
    text = f"spread over restarts {format_number(float(spread))}"
    if rows["restart"].nunique() > 1:
        add_note(axes, 0.99, 0.99 - 0.085 * number, text, series_colour(number), ha="right")


def _details(facts: pd.DataFrame) -> str:
    first = facts.iloc[0]
    n = format_n(facts.groupby("source")["index"].nunique())
    seeds = facts.groupby("source")["seed"].nunique().max()
    words = f"{first['attack']}, eps {first['eps']:g}; {n} test images"
    words += f", means of up to {seeds} seeds" if seeds > 1 else ""
    words += f"; bars and bands: 95 % intervals over {interval_units(seeds > 1)}"
    return words + "; spread: standard deviation of an image's losses, mean over images"


def finding(tables: Mapping[str, pa.Table], spec: ConvergenceFigure) -> Finding:
    """Accuracy without an attack, after all random starts alone, and after all steps from one start and from all."""
    facts = to_frame(tables["convergence"])
    facts = facts[facts["convergence"] == spec.convergence]
    rows: list[Row] = []
    parts = []
    for source, one in facts.groupby("source"):
        total, n = len(one["losses"].iloc[0]) - 1, int(one["index"].nunique())
        starts = one["restart"].nunique()
        single = one[one["restart"] == one["restart"].min()]
        words = []
        efforts = (("no attack", single, -1), ("starts alone", one, 0), ("one start", single, total))
        for effort, of, steps in (*efforts, ("all starts", one, total)):
            ends = tuple(measure_accuracy_after(of, [steps])[0])
            row: Row = {"source": source, "effort": effort, "steps": max(0, steps), "n": n}
            rows.append({**row, **interval_columns("accuracy", ends)})
            words.append(format_share(*ends))
        after = f"{words[2]} after one start and {words[3]} after {starts}, {words[1]} by these random starts alone"
        parts.append(f"{source} falls from {words[0]} to {after}")
    first = facts.iloc[0]
    sentence = (
        f"Under {first['attack']} at eps {first['eps']:g}, {join_parts(parts)} "
        f"({format_n(facts.groupby('source')['index'].nunique())} test images, {format_seeds(facts['seed'])})."
    )
    return Finding("Does more effort find more?", sentence, rows)
