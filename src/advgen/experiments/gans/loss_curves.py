"""Losses of generator and discriminator per iteration, with epoch ticks."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from advgen.experiments.gans.experiment import LossCurvesFigure
from advgen.figures.drawing import label_line_ends
from advgen.figures.findings import Finding, Row, Tables
from advgen.figures.formatting import format_count, format_percent, format_seeds, join_parts
from advgen.figures.layout import Columns, Page, content_width
from advgen.figures.statistics import running_mean, split_in_order, to_frame
from advgen.figures.style import BLUE, GREY, SHADED, SPARSE_DOTS, VERMILLION, with_style
from advgen.figures.text import fit_font_size

HEIGHT, TOP, BOTTOM, LEFT, RIGHT = 38.0, 12.0, 18.0, 12.0, 24.0

COLOURS = {"discriminator": VERMILLION, "generator": BLUE}
LINEAR = 2.0
"""Where the linear part of a logarithmic scale ends."""
WIDE = 3.0
"""Ratio of the largest losses of two panels from which on their axis is logarithmic."""
TICKS = (0, 1, 2, 5, 10, 20, 50, 100, 1000)
FAILURES: dict[str, tuple[str, dict[str, Any]]] = {
    "vanishing": ("shaded: gradient vanished", {"color": SHADED}),
    "overpowered": ("striped: D overpowers G", {"facecolor": "none", "edgecolor": SHADED, "hatch": "////"}),
}
"""Columns that flag steps of failed training, with the note in the heading and the background of these steps."""
EQUILIBRIA = {
    "non-saturating": (math.log(2), 2 * math.log(2)),
    "minimax": (-math.log(2), 2 * math.log(2)),
    "squared error": (0.25, 0.5),
    "Wasserstein": (0.0, 0.0),
}
"""By objective, the losses of generator and discriminator where both logits are 0: D cannot tell real from fake."""


@with_style
def draw(tables: Tables, spec: LossCurvesFigure) -> Figure:
    """Draw a panel per GAN and seed: thin lines for the raw losses, thick ones for running means."""
    panels = _split_runs(tables, spec)
    scales = _compute_scales([rows for *_, rows in panels], spec.smooth)
    room = content_width(spec)
    places = Columns(len(panels), room, 140.0 if len(panels) < 4 else 85.0, room, 0)
    line = TOP + HEIGHT + BOTTOM
    page = Page(room, places.lines * line)
    for number, (gan, seed, rows) in enumerate(panels):
        left, top = places.place(number, 0, line)
        details = f"seed {seed}, {format_count(int(rows['step'].max()), 'iteration')}; thick: mean of {spec.smooth}"
        page.text(left + LEFT, top, gan, weight="bold", size=8)
        page.text(left + LEFT, top + 4.2, details, size=6.5, color=GREY)
        failures = [
            f"{note} ({format_percent(rows[name].mean())})" for name, (note, _) in FAILURES.items() if rows[name].any()
        ]
        if failures:
            words = "; ".join(failures)
            size = fit_font_size(words, places.width - LEFT - 1, 6.5)
            page.text(left + LEFT, top + 7.2, words, size=size, color=GREY)
        axes = page.axes(left + LEFT, top + TOP, places.width - LEFT - RIGHT, HEIGHT)
        _draw_panel(axes, rows, spec.smooth, scales[_name_objective(rows)])
    return page.figure


def _split_runs(tables: Tables, spec: LossCurvesFigure) -> list[tuple[str, int, pd.DataFrame]]:
    """Return GAN, seed and history of each run."""
    histories = split_in_order(to_frame(tables["gan_history"]), "gan", spec.gans)
    return [(gan, int(seed), rows) for gan, history in histories.items() for seed, rows in history.groupby("seed")]


class Scale(NamedTuple):
    """The y axis of all panels with the same objective; `log` beyond LINEAR, where a linear axis flattens panels."""

    low: float
    high: float
    log: bool


def _compute_scales(panels: Sequence[pd.DataFrame], smooth: int) -> dict[str, Scale]:
    """Return the scale for each objective."""
    ends: dict[str, list[tuple[float, float]]] = {}
    for rows in panels:
        ends.setdefault(_name_objective(rows), []).append(_limits(rows, smooth))
    found = {}
    for objective, spans in ends.items():
        lows, highs = zip(*spans, strict=True)
        found[objective] = Scale(min(lows), max(highs), max(highs) > max(LINEAR, WIDE * min(highs)))
    return found


def _name_objective(rows: pd.DataFrame) -> str:
    equilibrium = _find_equilibrium(rows)
    return equilibrium[0] if equilibrium is not None else ""


def _limits(rows: pd.DataFrame, smooth: int) -> tuple[float, float]:
    """Return a range with the running means and the equilibrium; single batches may be outside."""
    raw = rows[["loss_generator", "loss_discriminator"]].to_numpy(float)
    window, _ = _window(rows, smooth)
    means = np.concatenate([running_mean(losses, window) for losses in raw.T])
    low, high = min(np.quantile(raw, 0.005), means.min()), max(np.quantile(raw, 0.995), means.max())
    equilibrium = _find_equilibrium(rows)
    if equilibrium is not None:
        low, high = min(low, *equilibrium[1]), max(high, *equilibrium[1])
    return float(low), float(high)


def _window(rows: pd.DataFrame, smooth: int) -> tuple[int, float]:
    """Return the rows behind a running mean over `smooth` iterations, and the iterations between two rows."""
    steps = rows["step"].to_numpy(float)
    stride = float(np.median(np.diff(steps))) if len(steps) > 1 else 1.0
    return max(1, round(smooth / stride)), stride


def _draw_panel(axes: Axes, rows: pd.DataFrame, smooth: int, scale: Scale) -> None:
    steps = rows["step"].to_numpy(float)
    window, stride = _window(rows, smooth)
    for name, (_, background) in FAILURES.items():
        for first, last in find_spans(rows[name].to_numpy(bool)):
            axes.axvspan(steps[first] - stride, steps[last], linewidth=0, zorder=0, **background)
    losses = {name: rows[f"loss_{name}"].to_numpy(float) for name in COLOURS}
    for name, values in losses.items():
        axes.plot(steps, values, color=COLOURS[name], alpha=0.22, linewidth=0.5, rasterized=len(values) > 4000)
    ends = []
    for name, values in losses.items():
        mean = running_mean(values, window)
        axes.plot(steps, mean, color=COLOURS[name], linewidth=1.4)
        ends.append((float(mean[-1]), name, COLOURS[name]))

    if scale.log:
        axes.set_yscale("symlog", linthresh=LINEAR)
        axes.yaxis.set_major_locator(FixedLocator([sign * tick for sign in (-1, 1) for tick in TICKS]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
        axes.yaxis.set_minor_locator(NullLocator())
    margin = 0.06 * (min(scale.high, LINEAR) - scale.low if scale.log else scale.high - scale.low) or 0.5
    axes.set_ylim(scale.low - margin, scale.high * 1.2 if scale.log else scale.high + margin)
    axes.set_xlim(steps[0] - stride, steps[-1])
    equilibrium = _find_equilibrium(rows)
    if equilibrium is not None:
        for value, name in zip(equilibrium[1], ("generator", "discriminator"), strict=True):
            axes.axhline(value, color=COLOURS[name], linewidth=0.8, linestyle=SPARSE_DOTS)
            ends.append((value, f"equilibrium {value:.2f}".replace("-", "−"), COLOURS[name]))
    label_line_ends(axes, ends, HEIGHT, 5.7)

    has_unit = equilibrium is None or equilibrium[0] not in ("squared error", "Wasserstein")
    axes.set_ylabel(f"loss{' (nats)' if has_unit else ''}{f', log beyond {LINEAR:g}' if scale.log else ''}")
    axes.set_xlabel("iteration", labelpad=1)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(False, axis="x")
    _add_epoch_axis(axes, float(rows["epoch"].iloc[-1]) / steps[-1])


def _add_epoch_axis(axes: Axes, epochs_per_step: float) -> None:
    """Add a second x axis with epochs below the one with iterations; its grid is behind the curves."""
    epochs = axes.twiny()
    epochs.set_zorder(axes.get_zorder() - 1)
    axes.patch.set_visible(False)
    epochs.set_xlim(*(bound * epochs_per_step for bound in axes.get_xlim()))
    epochs.xaxis.set_ticks_position("bottom")
    epochs.xaxis.set_label_position("bottom")
    epochs.spines["bottom"].set_position(("outward", 22))
    epochs.xaxis.set_major_locator(MaxNLocator(6, integer=epochs.get_xlim()[1] > 2))
    epochs.set_xlabel("epoch", labelpad=1)
    epochs.grid(True, axis="x")


def find_spans(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and last position of each run of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(first), int(last) - 1) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _find_equilibrium(rows: pd.DataFrame) -> tuple[str, tuple[float, float]] | None:
    """Return the objective whose equilibrium is nearest to the losses where the logits are nearest to 0, if any."""
    away = rows["logit_real"].abs() + rows["logit_fake"].abs()
    if away.min() > 1:
        return None
    nearest = rows.loc[away.idxmin()]
    losses = (nearest["loss_generator"], nearest["loss_discriminator"])
    name = min(EQUILIBRIA, key=lambda name: math.dist(losses, EQUILIBRIA[name]))
    return name, EQUILIBRIA[name]


def finding(tables: Tables, spec: LossCurvesFigure) -> Finding:
    """Report how often the generator's gradient vanished and the discriminator overpowered the generator."""
    rows: list[Row] = []
    for gan, seed, history in _split_runs(tables, spec):
        last = history.sort_values("step").tail(max(1, len(history) // 10))
        rows.append(
            {"gan": gan, "seed": seed, "iterations": history["step"].max()}
            | {f"final_{part}_loss": last[f"loss_{part}"].mean() for part in ("generator", "discriminator")}
            | {name: history[name].mean() for name in FAILURES}
        )
    seeds = pd.Series([row["seed"] for row in rows])
    parts = []
    for row in sorted(rows, key=lambda row: float(max(row["vanishing"], row["overpowered"]))):
        run = f"{row['gan']} seed {row['seed']}" if seeds.nunique() > 1 else row["gan"]
        shares = f"{format_percent(row['vanishing'])} and {format_percent(row['overpowered'])}"
        parts.append(f"{run} {shares} of {row['iterations']:,}")
    sentence = (
        "Iterations with a vanished generator gradient, and with a discriminator that overpowers the generator: "
        f"{join_parts(parts)} ({format_seeds(seeds)} each)."
    )
    return Finding("Losses of generator and discriminator", sentence, rows)
