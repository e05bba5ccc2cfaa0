"""Accuracy against steps and against restarts, and the spread of final losses over restarts."""

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
from advgen.figures.layout import Panels, content_width, titled_page
from advgen.figures.statistics import to_frame
from advgen.figures.style import series_colour, with_style
from advgen.metrics.intervals import rate_over_runs

HEIGHT, LEFT, BOTTOM = 40.0, 12.0, 10.0


@with_style
def draw(tables: Mapping[str, pa.Table], spec: ConvergenceFigure) -> Figure:
    """Draw accuracy against steps, accuracy against restarts, and the final losses, with a colour per classifier."""
    width = content_width(spec)
    facts = to_frame(tables["convergence"])
    facts = facts[facts["convergence"] == spec.convergence]
    sources = sorted(set(facts["source"]))
    panels = Panels(3, width, 52.0, HEIGHT, LEFT, BOTTOM)
    page, top = titled_page(width, "What more effort finds", _details(facts), panels.height - 1, sources)
    titles = ("more steps", "more restarts", "loss after the last step")
    steps, restarts, losses = (panels.axes(page, top, number, title) for number, title in enumerate(titles))
    limit = float(np.quantile(_last_losses(facts), 0.99)) or 1.0
    for number, source in enumerate(sources):
        rows = facts[facts["source"] == source]
        _plot_steps(steps, rows, number)
        _plot_restarts(restarts, rows, number)
        _plot_losses(losses, rows, number, limit)
    beyond = format_percent(float((_last_losses(facts) > limit).mean()))
    losses.set(xlabel=f"loss of every restart, {beyond} beyond", ylabel="density", xlim=(0, limit))
    losses.set_ylim(0, 1.4 * losses.get_ylim()[1])
    for axes, label in ((steps, "steps; thick: all restarts, thin: one"), (restarts, "restarts, all steps")):
        axes.set(ylim=(0, 102), xlabel=label, ylabel="accuracy (%)")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return page.figure


def measure_accuracy_after(rows: pd.DataFrame, steps: ArrayLike) -> NDArray[np.float64]:
    """Return the accuracy after each number of steps, worst case over restarts, with its 95 % interval: (steps, 3).

    It is the mean over seeds; the interval is over seeds and images. After -1 steps it is the clean accuracy.
    """
    images = rows.groupby(["seed", "index"])
    last = images["fooled_step"].min().fillna(np.inf).where(images["right_clean"].min(), -np.inf)
    shares_RS = np.array([(of_seed.to_numpy()[:, None] > steps).mean(0) for _, of_seed in last.groupby(level=0)])
    return np.array([rate_over_runs(shares_R, rows["index"].nunique()) for shares_R in shares_RS.T])


def _count_steps(rows: pd.DataFrame) -> int:
    """Return the number of steps; the first loss is that of the start."""
    return len(rows["losses"].iloc[0]) - 1


def _plot_steps(axes: Axes, rows: pd.DataFrame, number: int) -> None:
    total, colour = _count_steps(rows), series_colour(number)
    steps = np.arange(total + 1)
    single = np.mean([measure_accuracy_after(restart, steps)[:, 0] for _, restart in rows.groupby("restart")], axis=0)
    axes.plot(steps, 100 * single, color=colour, linewidth=0.8)
    accuracy, low, high = 100 * measure_accuracy_after(rows, steps).T
    axes.plot(steps, accuracy, color=colour, linewidth=1.6)
    axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xlim(0, total)


def _plot_restarts(axes: Axes, rows: pd.DataFrame, number: int) -> None:
    total, restarts = _count_steps(rows), sorted(set(rows["restart"]))
    counts = range(1, len(restarts) + 1)
    points = [100 * measure_accuracy_after(rows[rows["restart"].isin(restarts[:k])], [total])[0] for k in counts]
    axes.plot(counts, [accuracy for accuracy, _, _ in points], color=series_colour(number))
    for count, (accuracy, low, high) in zip(counts, points, strict=True):
        draw_interval(axes, count, accuracy, low, high, number)
    axes.set_xlim(0.5, len(restarts) + 0.5)


def _last_losses(rows: pd.DataFrame) -> NDArray[np.float64]:
    return np.array([losses[-1] for losses in rows["losses"]], dtype=np.float64)


def _plot_losses(axes: Axes, rows: pd.DataFrame, number: int, limit: float) -> None:
    """Plot the density of the final losses; losses above `limit` count in the density but are not drawn."""
    edges = np.linspace(0, limit, 31)
    last = _last_losses(rows)
    heights = np.histogram(last, edges)[0] / len(last) / np.diff(edges)
    axes.stairs(heights, edges, color=series_colour(number), linewidth=1.2)
    spread = rows.assign(last=last).groupby(["seed", "index"])["last"].std().mean()
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
    """Compare the accuracy without attack, under random starts alone, and after all steps from one and all starts."""
    facts = to_frame(tables["convergence"])
    facts = facts[facts["convergence"] == spec.convergence]
    rows: list[Row] = []
    parts = []
    for source, of_source in facts.groupby("source"):
        total, n = _count_steps(of_source), int(of_source["index"].nunique())
        single = of_source[of_source["restart"] == of_source["restart"].min()]
        efforts = {
            "no attack": (single, -1),
            "starts alone": (of_source, 0),
            "one start": (single, total),
            "all starts": (of_source, total),
        }
        words = {}
        for effort, (examples, steps) in efforts.items():
            accuracy = tuple(measure_accuracy_after(examples, [steps])[0])
            row: Row = {"source": source, "effort": effort, "steps": max(0, steps), "n": n}
            rows.append({**row, **interval_columns("accuracy", accuracy)})
            words[effort] = format_share(*accuracy)
        parts.append(
            f"{source} falls from {words['no attack']} to {words['one start']} with one start and to "
            f"{words['all starts']} with {of_source['restart'].nunique()}; random starts alone leave "
            f"{words['starts alone']}"
        )
    first = facts.iloc[0]
    images = format_n(facts.groupby("source")["index"].nunique())
    sentence = f"Accuracy under {first['attack']} at eps {first['eps']:g}: {join_parts(parts)} "
    sentence += f"({images} test images, {format_seeds(facts['seed'])})."
    return Finding("Does more effort find more?", sentence, rows)
