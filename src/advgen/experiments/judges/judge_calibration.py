"""The Fréchet distance of images of known quality, and the generators on that scale."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.judges.experiment import JudgeCalibrationFigure
from advgen.figures.drawing import format_log_axis
from advgen.figures.findings import Finding, Tables
from advgen.figures.formatting import format_n, format_number, format_percent, join_parts
from advgen.figures.layout import Page, content_width, titled_page
from advgen.figures.statistics import split_in_order, to_frame
from advgen.figures.style import BLUE, GREY, INK, VERMILLION, with_style
from advgen.figures.text import MM_PER_POINT, fit_font_size, label_width, wrap_text

ROW, TOP, VALUE = 6.0, 7.0, 10.0
COLUMNS = ("precision", "recall", "coverage", "agreement")
SMALLEST = 0.01
"""Smaller distances are drawn as this one, because the axis is logarithmic; sampling can make them negative."""


@with_style
def draw(tables: Tables, spec: JudgeCalibrationFigure) -> Figure:
    """Draw a row per level and generator, the best at the top: the distance as a dot, further measures as numbers."""
    width = content_width(spec)
    rows = _read_rows(tables, spec)
    margin = label_width(rows["label"], 0.34 * width, weight="bold")
    cell = min(14.0, 0.068 * width)
    axes_width = width - margin - 3 - len(COLUMNS) * cell
    label = wrap_text("Fréchet distance to the test split (log scale; left is better)", axes_width, 7)
    height = len(rows) * ROW
    body = TOP + height + 5.5 + 3.2 * len(label)
    page, top = titled_page(
        width, f"Calibration of the Fréchet distance: {spec.dataset}", _details(to_frame(tables["calibration"])), body
    )
    top += TOP
    axes = page.axes(margin, top, axes_width, height)
    for y, row in rows.iterrows():
        colour = VERMILLION if row["generator"] else BLUE
        _draw_row(axes, y, row, colour)
        _draw_label(page, margin - 2, top + (y + 0.5) * ROW, row, colour)
    for k, column in enumerate(COLUMNS):
        x = margin + axes_width + 3 + (k + 0.5) * cell
        size = fit_font_size(column, cell - 1, 6, 4)
        page.text(x, top - 1, column, ha="center", va="bottom", size=size, color=GREY)
        for y, value in enumerate(rows[column]):
            page.text(x, top + (y + 0.5) * ROW, f"{value:.2f}", ha="center", va="center", size=6.5, color=INK)

    low, high = rows["low"].min(), rows["high"].max()
    axes.set_xscale("log")
    # The range leaves space for the number next to the largest value, whatever the width.
    decades = np.log10(high / low) + 0.2
    axes.set_xlim(low / 10**0.2, high * 10 ** (decades * VALUE / (axes_width - VALUE)))
    format_log_axis(axes.xaxis, max(3, int(axes_width // 12)))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("\n".join(label))
    return page.figure


def _read_rows(tables: Tables, spec: JudgeCalibrationFigure) -> pd.DataFrame:
    """Return a row per level of damage to real images and per generator, the best first."""
    levels = to_frame(tables["calibration"]).groupby("level")
    rows = [_measure(str(name), runs, is_generator=False) for name, runs in levels]
    if spec.gans:
        gans = split_in_order(to_frame(tables["gan_quality"]), "gan", spec.gans)
        rows += [_measure(name, runs, is_generator=True) for name, runs in gans.items()]
    return pd.DataFrame(rows).sort_values("frechet_distance", kind="stable").reset_index(drop=True)


def _measure(name: str, runs: pd.DataFrame, is_generator: bool) -> dict[str, object]:
    distances = np.maximum(runs["frechet_distance"].to_numpy(), SMALLEST)
    seeds = len(runs) if is_generator else 0
    return {
        "name": name,
        "label": f"{name} (mean of {seeds} seeds)" if seeds > 1 else name,
        "generator": is_generator,
        "seeds": seeds,
        "frechet_distance": distances.mean(),
        "low": distances.min(),
        "high": distances.max(),
        **{column: runs[column].mean() for column in COLUMNS},
    }


def _draw_row(axes: Axes, y: int, row: pd.Series, colour: str) -> None:
    distance = row["frechet_distance"]
    if row["low"] < row["high"]:
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2.5, alpha=0.35)
    axes.plot(distance, y, "D" if row["generator"] else "o", color=colour, markersize=5)
    where: dict[str, Any] = {"textcoords": "offset points", "va": "center", "size": 6.5}
    axes.annotate(format_number(distance), (distance, y), (6, 0), **where)


def _draw_label(page: Page, right: float, middle: float, row: pd.Series, colour: str) -> None:
    weight, colour = ("bold", colour) if row["generator"] else ("normal", INK)
    # `wrap_text` measures normal weight; bold letters are wider.
    lines = wrap_text(row["label"], 0.88 * right)
    largest = min(6.5, 0.9 * ROW / MM_PER_POINT / (1.15 * len(lines)))
    size = min(fit_font_size(line, right, largest, weight=weight) for line in lines)
    text_style = {"ha": "right", "va": "center", "size": size, "weight": weight, "color": colour, "linespacing": 1.1}
    page.text(right, middle, "\n".join(lines), **text_style)


def _details(calibration: pd.DataFrame) -> str:
    judge, second = (format_percent(calibration[f"{name}_error"].iloc[0]) for name in ("judge", "second"))
    return (
        f"{format_n(calibration['n'])} images per level; error on the test split: reference classifier {judge}, second "
        f"classifier {second}; agreement: between both; diamonds: generators, bars: range over seeds"
    )


def finding(tables: Tables, spec: JudgeCalibrationFigure) -> Finding:
    """Report between which levels of damage to real images each generator is."""
    rows = _read_rows(tables, spec)
    levels, generators = rows[~rows["generator"]], rows[rows["generator"]]
    best = levels.iloc[0]
    parts = []
    for generator in generators.itertuples():
        worse = levels[levels["frechet_distance"] > generator.frechet_distance]
        place = f"better than {worse['name'].iloc[0]}" if len(worse) else f"worse than {levels['name'].iloc[-1]}"
        parts.append(f"{generator.name} at {format_number(generator.frechet_distance)} ({place})")
    sentence = f"The control, {best['name']}, has a Fréchet distance of {format_number(best['frechet_distance'])}"
    sentence += f"; the generators: {join_parts(parts)}" if parts else ""
    sentence += f"; on {best['name']} images the two classifiers agree on {format_percent(best['agreement'])}"
    if len(generators):
        sentence += f", on generated samples on {format_percent(generators['agreement'].min())} or more"
    sentence += f"; {format_n(to_frame(tables['calibration'])['n'])} images per level."
    columns = ["name", "generator", "seeds", "frechet_distance", *COLUMNS]
    title = f"What does a Fréchet distance mean on {spec.dataset}?"
    return Finding(title, sentence, rows[columns].to_dict("records"))
