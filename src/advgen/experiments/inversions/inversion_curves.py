"""Loss of each random start while a latent vector is searched."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from advgen.experiments.inversions.experiment import InversionCurvesFigure
from advgen.figures.drawing import format_log_axis
from advgen.figures.findings import Finding, interval_columns
from advgen.figures.formatting import format_count, format_n, format_number, format_seeds, format_value
from advgen.figures.images import to_rgb
from advgen.figures.layout import Page, content_width, count_columns, heading_height
from advgen.figures.statistics import first_seed, mean_over_images, to_frame
from advgen.figures.style import BLUE, GREY, INK, PALE, with_style
from advgen.io.tables import read_images

LEFT, BOTTOM, TALL, THUMB = 11.0, 6.0, 31.0, 8.5
REFERENCES = {"mse_principal": (0, (2.5, 1.5)), "mse_nearest": (0, (1, 1.5))}
"""Errors of what needs no generator, and their lines."""


@with_style
def draw(tables: Mapping[str, pa.Table], spec: InversionCurvesFigure) -> Figure:
    """One panel per image, a block per generator (its first seed)."""
    full = content_width(spec)
    table = tables["inversion"]
    facts = to_frame(table)
    images, found = read_images(table), read_images(table, "reconstruction")
    generators = sorted(set(facts["generator"]))
    blocks = {name: first_seed(facts[facts["generator"] == name]) for name in generators}
    chosen = {name: list(dict.fromkeys(rows["index"]))[: spec.images] for name, rows in blocks.items()}
    columns = count_columns(max(map(len, chosen.values())), full - LEFT, 50.0)
    width = (full - LEFT) / columns
    details = [_details(rows) for rows in blocks.values()]
    head = heading_height(full, *details)
    heights = [head + math.ceil(len(chosen[name]) / columns) * (TALL + 5) + BOTTOM - 2 for name in generators]

    page = Page(full, sum(heights))
    top = 0.0
    for name, height, words in zip(generators, heights, details, strict=True):
        rows = blocks[name]
        page.heading(0, top, full, f"Searches in the latent space of {name}", words)
        low, high = _limits(rows[rows["index"].isin(chosen[name])])
        for number, index in enumerate(chosen[name]):
            line, column = divmod(number, columns)
            left = LEFT + column * width
            down = top + head + line * (TALL + 5)
            axes = page.axes(left, down, width - 3, TALL)
            one = rows[rows["index"] == index]
            best = _curves(axes, one)
            axes.set_ylim(low, high)
            for column_, dashes in REFERENCES.items():
                level = float(one[column_].iloc[0])
                axes.axhline(level, color=INK, linewidth=0.8, linestyle=dashes, zorder=1.5)
            _decorate(axes, first=column == 0, last=number + columns >= len(chosen[name]))
            for k, (picture, word) in enumerate(((images[best], "target"), (found[best], "best"))):
                x = left + width - 3 - (2 - k) * (THUMB + 1)
                thumb = page.axes(x, down, THUMB, THUMB)
                thumb.imshow(to_rgb(picture))
                thumb.set_axis_off()
                page.text(x + THUMB / 2, down + THUMB + 0.4, word, ha="center", size=5, color=GREY)
        top += height
    return page.figure


def _curves(axes: Axes, rows: pd.DataFrame) -> int:
    """Draw all starts of one image; the row of the best one."""
    best = int(rows.index[rows["best"]][0])
    for row in rows.drop(index=best).itertuples():
        axes.plot(row.history_step, row.history_mse, color=PALE, linewidth=0.7)
    axes.plot(rows.loc[best, "history_step"], rows.loc[best, "history_mse"], color=BLUE, linewidth=1.6)
    text = f"best: {format_number(rows.loc[best, 'mse'])}"
    axes.text(0.03, 0.05, text, transform=axes.transAxes, size=6.5, color=BLUE, weight="bold")
    axes.set_yscale("log")
    return best


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    values = np.concatenate([*rows["history_mse"], *(rows[name] for name in REFERENCES)])
    low = float(values[values > 0].min()) / 1.7
    # The two pictures stand over the right half of the curves, in the upper two fifths.
    right = max(float(np.max(history[len(history) // 2 :])) for history in rows["history_mse"])
    return low, max(float(values.max()) * 1.5, low * (right / low) ** (1 / 0.58))


def _decorate(axes: Axes, first: bool, last: bool) -> None:
    format_log_axis(axes.yaxis, 5)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.tick_params(labelleft=first, labelbottom=last)
    axes.set_xlim(left=0)
    if first:
        axes.set_ylabel("MSE (log scale)")
    if last:
        axes.set_xlabel("step", labelpad=1)


def _details(rows: pd.DataFrame) -> str:
    starts = format_count(rows["start"].nunique(), "start")
    chosen = format_count(rows["index"].nunique(), "image")
    first = rows.iloc[0]
    how = f"{first['optimizer']}, lr {first['lr']:g}"
    if first["first_start"] != "random":
        starts += f", the first from {first['first_start']}"
    words = f"seed {first['seed']}, {chosen} inverted by {how}, {starts} each; the best start is blue"
    return f"{words}; dashes: as many principal components of training images as z has numbers, dots: the nearest one"


def finding(tables: Mapping[str, pa.Table], spec: InversionCurvesFigure) -> Finding:
    """How far the best start of each image comes, what half of the steps had found, and what one start alone finds."""
    facts = to_frame(tables["inversion"])
    rows, parts = [], []
    for name, one in facts.groupby("generator"):
        at, last = one["history_step"].iloc[0], int(one["history_step"].iloc[0][-1])
        half = int(np.argmin(np.abs(np.asarray(at) - last / 2)))
        one = one.assign(halfway=[history[half] for history in one["history_mse"]])
        best = one[one["best"]]
        end, before, single = (
            mean_over_images(shown, column)
            for shown, column in ((best, "mse"), (best, "halfway"), (one[one["start"] == 0], "mse"))
        )
        rows.append(
            {"generator": name, "seeds": one["seed"].nunique(), "n": one["index"].nunique(), "steps": last}
            | {
                "starts": one["start"].nunique(),
                "halfway_at": int(at[half]),
                "mse_principal": best["mse_principal"].mean(),
            }
            | interval_columns("mse", end)
            | interval_columns("mse_halfway", before)
            | interval_columns("mse_first_start", single)
        )
        parts.append(
            f"in {name} the best of {format_count(one['start'].nunique(), 'start')} reaches an MSE of "
            f"{format_value(*end)} after {format_count(last, 'step')} and had {format_value(*before)} after "
            f"{at[half]}; the first start alone reaches {format_value(*single)}, as many principal components as z "
            f"has numbers {format_number(best['mse_principal'].mean())}"
        )
    n = format_n([facts["index"].nunique()])
    sentence = f"{'; '.join(parts)} ({n} test images, {format_seeds(facts['seed'])})."
    return Finding("Searches in latent space, step by step", sentence[:1].upper() + sentence[1:], rows)
