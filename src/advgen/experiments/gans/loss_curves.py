"""Losses of generator and discriminator per iteration, with epoch ticks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from advgen.experiments.gans.experiment import LossCurvesFigure
from advgen.figures.drawing import label_line_ends
from advgen.figures.findings import Finding, Row
from advgen.figures.formatting import format_count, format_percent, format_seeds, join_parts
from advgen.figures.layout import Page, content_width, count_columns
from advgen.figures.statistics import present_in_order, running_mean, to_frame
from advgen.figures.style import BLUE, GREY, SHADED, VERMILLION, with_style
from advgen.figures.text import fit_font_size

TALL, TOP, BOTTOM, LEFT, RIGHT = 38.0, 12.0, 18.0, 12.0, 24.0

LINEAR, WIDE = 2.0, 3.0
"""Of a scale with a logarithm: where it begins, and how many times larger the largest loss must be for one."""
TICKS = (0, 1, 2, 5, 10, 20, 50, 100, 1000)
FAILED = {"vanishing": "shaded: gradient vanished", "overpowered": "stripes: D overpowers"}
LOOKS: tuple[dict[str, Any], ...] = (
    {"color": SHADED},
    {"facecolor": "none", "edgecolor": SHADED, "hatch": "////"},
)

# Losses of generator and discriminator where the discriminator cannot tell: both logits are 0.
EQUILIBRIA = {
    "non-saturating": (math.log(2), 2 * math.log(2)),
    "minimax": (-math.log(2), 2 * math.log(2)),
    "squared error": (0.25, 0.5),
    "Wasserstein": (0.0, 0.0),
}


@with_style
def draw(tables: Mapping[str, pa.Table], spec: LossCurvesFigure) -> Figure:
    """One panel per GAN and seed: raw losses faint, running means on top."""
    full = content_width(spec)
    history = to_frame(tables["gan_history"])
    panels = [
        (gan, seed, rows)
        for gan in present_in_order(spec.gans, history["gan"])
        for seed, rows in history[history["gan"] == gan].groupby("seed")
    ]
    scales = _scales([rows for *_, rows in panels], spec.smooth)
    columns = count_columns(len(panels), full, 140.0 if len(panels) < 4 else 85.0)
    lines = math.ceil(len(panels) / columns)
    width, height = full / columns, TOP + TALL + BOTTOM
    page = Page(full, lines * height)
    for number, (gan, seed, rows) in enumerate(panels):
        left, top = number % columns * width, number // columns * height
        page.text(left + LEFT, top, str(gan), weight="bold", size=8)
        details = f"seed {seed}, {format_count(int(rows['step'].max()), 'iteration')}; line: mean of {spec.smooth}"
        page.text(left + LEFT, top + 4.2, details, size=6.5, color=GREY)
        failed = [f"{told} ({format_percent(rows[name].mean())})" for name, told in FAILED.items() if rows[name].any()]
        if failed:
            words = "; ".join(failed)
            size = fit_font_size(words, width - LEFT - 1, 6.5)
            page.text(left + LEFT, top + 7.2, words, size=size, color=GREY)
        axes = page.axes(left + LEFT, top + TOP, width - LEFT - RIGHT, TALL)
        _panel(axes, rows, spec.smooth, scales[_objective(rows)])
    return page.figure


class Scale(NamedTuple):
    """The y axis of all panels with the same objective; `log` beyond LINEAR, where some would else be flat."""

    low: float
    high: float
    log: bool


def _scales(panels: Sequence[pd.DataFrame], smooth: int) -> dict[str, Scale]:
    """By the objectives: one axis for all GANs that have it."""
    ends: dict[str, list[tuple[float, float]]] = {}
    for rows in panels:
        ends.setdefault(_objective(rows), []).append(_limits(rows, smooth))
    found = {}
    for objective, spans in ends.items():
        lows, highs = zip(*spans, strict=True)
        found[objective] = Scale(min(lows), max(highs), max(highs) > max(LINEAR, WIDE * min(highs)))
    return found


def _objective(rows: pd.DataFrame) -> str:
    equilibrium = _equilibrium(rows)
    return equilibrium[0] if equilibrium is not None else ""


def _limits(rows: pd.DataFrame, smooth: int) -> tuple[float, float]:
    """Room for both curves and the equilibrium: raw spikes of one batch would flatten everything else."""
    raw = rows[["loss_generator", "loss_discriminator"]].to_numpy(float)
    window = _window(rows, smooth)
    inside = np.concatenate([running_mean(column, window) for column in raw.T])
    low, high = min(np.quantile(raw, 0.005), inside.min()), max(np.quantile(raw, 0.995), inside.max())
    equilibrium = _equilibrium(rows)
    if equilibrium is not None:
        low, high = min(low, *equilibrium[1]), max(high, *equilibrium[1])
    return float(low), float(high)


def _window(rows: pd.DataFrame, smooth: int) -> int:
    """Entries of the history behind a running mean over so many iterations."""
    steps = rows["step"].to_numpy(float)
    stride = float(np.median(np.diff(steps))) if len(steps) > 1 else 1.0
    return max(1, round(smooth / stride))


def _panel(axes: Axes, rows: pd.DataFrame, smooth: int, scale: Scale) -> None:
    steps = rows["step"].to_numpy(float)
    stride = float(np.median(np.diff(steps))) if len(steps) > 1 else 1.0
    window = _window(rows, smooth)
    curves = {
        "discriminator": (rows["loss_discriminator"].to_numpy(float), VERMILLION),
        "generator": (rows["loss_generator"].to_numpy(float), BLUE),
    }
    for name, look in zip(FAILED, LOOKS, strict=True):
        for first, last in spans(rows[name].to_numpy(bool)):
            axes.axvspan(steps[first] - stride, steps[last], linewidth=0, zorder=0, **look)
    for values, colour in curves.values():
        axes.plot(steps, values, color=colour, alpha=0.22, linewidth=0.5, rasterized=len(values) > 4000)
    smoothed = {name: (running_mean(values, window), colour) for name, (values, colour) in curves.items()}
    for values, colour in smoothed.values():
        axes.plot(steps, values, color=colour, linewidth=1.4)

    equilibrium = _equilibrium(rows)
    if scale.log:
        axes.set_yscale("symlog", linthresh=LINEAR)
        axes.yaxis.set_major_locator(FixedLocator([sign * one for sign in (-1, 1) for one in TICKS]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
        axes.yaxis.set_minor_locator(NullLocator())
    room = 0.06 * (min(scale.high, LINEAR) - scale.low if scale.log else scale.high - scale.low) or 0.5
    axes.set_ylim(scale.low - room, scale.high * 1.2 if scale.log else scale.high + room)
    axes.set_xlim(steps[0] - stride, steps[-1])

    ends = [(float(values[-1]), name, colour) for name, (values, colour) in smoothed.items()]
    if equilibrium is not None:
        for value, colour in zip(equilibrium[1], (BLUE, VERMILLION), strict=True):
            axes.axhline(value, color=colour, linewidth=0.8, linestyle=(0, (1, 2)))
            ends.append((value, f"{value:.2f} if D can't tell".replace("-", "−"), colour))
    label_line_ends(axes, ends, TALL, 5.7)
    nats = equilibrium is None or equilibrium[0] not in ("squared error", "Wasserstein")
    axes.set_ylabel(f"loss{' (nats)' if nats else ''}{f', log beyond {LINEAR:g}' if scale.log else ''}")
    axes.set_xlabel("iteration", labelpad=1)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(False, axis="x")
    per_step = float(rows["epoch"].iloc[-1]) / steps[-1]
    epochs = axes.twiny()
    # Its grid belongs under the curves.
    epochs.set_zorder(axes.get_zorder() - 1)
    axes.patch.set_visible(False)
    epochs.set_xlim(*(bound * per_step for bound in axes.get_xlim()))
    epochs.xaxis.set_ticks_position("bottom")
    epochs.xaxis.set_label_position("bottom")
    epochs.spines["bottom"].set_position(("outward", 22))
    epochs.xaxis.set_major_locator(MaxNLocator(6, integer=epochs.get_xlim()[1] > 2))
    epochs.set_xlabel("epoch", labelpad=1)
    epochs.grid(True, axis="x")


def spans(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last position of each run of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(first), int(last) - 1) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _equilibrium(rows: pd.DataFrame) -> tuple[str, tuple[float, float]] | None:
    """Name and losses of the objective whose equilibrium is nearest to the losses where both logits are nearly 0."""
    away = rows["logit_real"].abs() + rows["logit_fake"].abs()
    if away.min() > 1:
        return None
    row = rows.loc[away.idxmin()]
    here = (row["loss_generator"], row["loss_discriminator"])
    name = min(EQUILIBRIA, key=lambda name: math.dist(here, EQUILIBRIA[name]))
    return name, EQUILIBRIA[name]


def finding(tables: Mapping[str, pa.Table], spec: LossCurvesFigure) -> Finding:
    """How the losses end, and how often the generator's gradient vanished."""
    history = to_frame(tables["gan_history"])
    rows: list[Row] = []
    for gan in present_in_order(spec.gans, history["gan"]):
        for seed, one in history[history["gan"] == gan].groupby("seed"):
            last = one.sort_values("step").tail(max(1, len(one) // 10))
            ends = {f"final_{part}_loss": last[f"loss_{part}"].mean() for part in ("generator", "discriminator")}
            rows.append(
                {
                    "gan": gan,
                    "seed": seed,
                    "iterations": one["step"].max(),
                    **ends,
                    "vanishing": one["vanishing"].mean(),
                    "overpowered": one["overpowered"].mean(),
                }
            )
    order = sorted(rows, key=lambda row: float(max(row["vanishing"], row["overpowered"])))
    several = history["seed"].nunique() > 1
    parts = [
        f"{row['gan']}{' seed ' + str(row['seed']) if several else ''} "
        f"{format_percent(row['vanishing'])} and {format_percent(row['overpowered'])} of {row['iterations']:,}"
        for row in order
    ]
    sentence = (
        "Iterations in which the generator's gradient vanished, and in which the discriminator overpowered it: "
        f"{join_parts(parts)} ({format_seeds(history['seed'])} each)."
    )
    return Finding("Losses of generator and discriminator", sentence, rows)
