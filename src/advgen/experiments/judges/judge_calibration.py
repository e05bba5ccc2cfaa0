"""The judge's Fréchet distance for images of known quality, and where generators stand on that calibration."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.judges.experiment import JudgeCalibrationFigure
from advgen.figures.drawing import format_log_axis
from advgen.figures.findings import Finding
from advgen.figures.formatting import format_n, format_number, format_percent, join_parts
from advgen.figures.layout import Page, content_width, heading_height
from advgen.figures.statistics import present_in_order, to_frame
from advgen.figures.style import BLUE, GREY, INK, VERMILLION, with_style
from advgen.figures.text import MM_PER_POINT, fit_font_size, label_width, wrap_text

ROW, TOP, VALUE = 6.0, 7.0, 10.0
COLUMNS = ("precision", "recall", "coverage", "agreement")


@with_style
def draw(tables: Mapping[str, pa.Table], spec: JudgeCalibrationFigure) -> Figure:
    """One dot per level and generator, best on top, on a logarithmic axis; further measures as numbers beside it."""
    full = content_width(spec)
    calibration = to_frame(tables["calibration"])
    rows = measured(tables, spec)

    margin = label_width(rows["label"], 0.34 * full, weight="bold")
    cell = min(14.0, 0.068 * full)
    width = full - margin - 3 - len(COLUMNS) * cell
    details = _details(calibration)
    top = heading_height(full, details) + TOP
    words = wrap_text("Fréchet distance to the test split (log scale; left is better)", width, 7)
    page = Page(full, top + len(rows) * ROW + 5.5 + 3.2 * len(words))
    page.heading(0, 0, full, f"Judge of {spec.dataset}", details)
    axes = page.axes(margin, top, width, len(rows) * ROW)
    for y, row in rows.iterrows():
        colour = VERMILLION if row["generator"] else BLUE
        if row["low"] < row["high"]:
            axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2.5, alpha=0.35)
        axes.plot(row["frechet_distance"], y, "D" if row["generator"] else "o", color=colour, markersize=5)
        value = format_number(row["frechet_distance"])
        axes.annotate(value, (row["frechet_distance"], y), (6, 0), textcoords="offset points", va="center", size=6.5)
        _label(page, margin, top + (y + 0.5) * ROW, row, colour)
        for k, column in enumerate(COLUMNS):
            x = margin + width + 3 + (k + 0.5) * cell
            text = f"{row[column]:.2f}"
            page.text(x, top + (y + 0.5) * ROW, text, ha="center", va="center", size=6.5, color=INK)
    for k, head in enumerate(COLUMNS):
        x = margin + width + 3 + (k + 0.5) * cell
        size = fit_font_size(head, cell - 1, 6, 4)
        page.text(x, top - 1, head, ha="center", va="bottom", size=size, color=GREY)

    low, high = rows["low"].min(), rows["high"].max()
    axes.set_xscale("log")
    # Room for the largest value's number, whatever the width.
    decades = np.log10(high / low) + 0.2
    axes.set_xlim(low / 10**0.2, high * 10 ** (decades * VALUE / (width - VALUE)))
    format_log_axis(axes.xaxis, max(3, int(width // 12)))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("\n".join(words))
    return page.figure


def measured(tables: Mapping[str, pa.Table], spec: JudgeCalibrationFigure) -> pd.DataFrame:
    """A row per damage of real images and per generator, the best first."""
    levels = [_row(name, rows, generator=False) for name, rows in to_frame(tables["calibration"]).groupby("level")]
    generators = []
    if spec.gans:
        quality = to_frame(tables["gan_quality"])
        generators = [
            _row(name, quality[quality["gan"] == name], generator=True)
            for name in present_in_order(spec.gans, quality["gan"])
        ]
    return pd.DataFrame(levels + generators).sort_values("frechet_distance", kind="stable").reset_index(drop=True)


def _row(name: str, rows: pd.DataFrame, generator: bool) -> dict[str, object]:
    # A logarithm needs positive numbers, and a distance of nothing can come out as one below.
    distances = np.maximum(rows["frechet_distance"].to_numpy(), 0.01)
    label = str(name)
    if generator and len(rows) > 1:
        label += f" (mean of {len(rows)} seeds)"
    return {
        "name": name,
        "label": label,
        "generator": generator,
        "seeds": len(rows) if generator else 0,
        "frechet_distance": distances.mean(),
        "low": distances.min(),
        "high": distances.max(),
        **{column: rows[column].mean() for column in COLUMNS},
    }


def _label(page: Page, margin: float, middle: float, row: pd.Series, colour: str) -> None:
    weight = "bold" if row["generator"] else "normal"
    # Bold letters are wider than those that `wrapped` reckons with.
    lines = wrap_text(row["label"], 0.88 * (margin - 2))
    largest = min(6.5, 0.9 * ROW / MM_PER_POINT / (1.15 * len(lines)))
    size = min(fit_font_size(line, margin - 2, largest, weight=weight) for line in lines)
    colour = colour if row["generator"] else INK
    words = "\n".join(lines)
    page.text(
        margin - 2, middle, words, ha="right", va="center", size=size, weight=weight, color=colour, linespacing=1.1
    )


def _details(calibration: pd.DataFrame) -> str:
    n = format_n(calibration["n"])
    error = format_percent(calibration["judge_error"].iloc[0])
    second = format_percent(calibration["second_error"].iloc[0])
    judge = f"the judge itself errs on {error} of the test split, the second classifier on {second}"
    return f"{n} images a level; {judge}; agreement: of the two; diamonds are generators, bars their seeds"


def finding(tables: Mapping[str, pa.Table], spec: JudgeCalibrationFigure) -> Finding:
    """Between which damages of real images each generator lies."""
    rows = measured(tables, spec)
    levels, generators = rows[~rows["generator"]], rows[rows["generator"]]
    best = levels.iloc[0]
    parts = []
    for one in generators.itertuples():
        worse = levels[levels["frechet_distance"] > one.frechet_distance]
        beside = f"better than {worse['name'].iloc[0]}" if len(worse) else f"worse than {levels['name'].iloc[-1]}"
        parts.append(f"{one.name} at {format_number(one.frechet_distance)} ({beside})")
    n = format_n(to_frame(tables["calibration"])["n"])
    sentence = f"The control, {best['name']}, lies at a Fréchet distance of {format_number(best['frechet_distance'])}"
    real = format_percent(best["agreement"])
    sentence += f"; the generators: {join_parts(parts)}" if parts else ""
    sentence += f"; on {best['name']} images the two classifiers agree in {real}"
    if len(generators):
        sentence += f", on samples in {format_percent(generators['agreement'].min())} or more"
    sentence += f"; {n} images a level."
    columns = ["name", "generator", "seeds", "frechet_distance", *COLUMNS]
    return Finding(f"How bad is a Fréchet distance on {spec.dataset}?", sentence, rows[columns].to_dict("records"))
