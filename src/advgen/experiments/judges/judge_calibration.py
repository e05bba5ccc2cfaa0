"""The judge's Fréchet distance for images of known quality, and where generators stand on that calibration."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.judges.experiment import JudgeCalibrationFigure
from advgen.figures import common, findings

ROW, TOP, VALUE = 6.0, 7.0, 10.0
COLUMNS = ("precision", "recall", "coverage", "agreement")


@common.styled
def draw(tables: Mapping[str, pa.Table], spec: JudgeCalibrationFigure) -> Figure:
    """One dot per level and generator, best on top, on a logarithmic axis; further measures as numbers beside it."""
    full = common.inside(spec)
    calibration = common.frame(tables["calibration"])
    rows = measured(tables, spec)

    margin = common.label_width(rows["label"], 0.34 * full, weight="bold")
    cell = min(14.0, 0.068 * full)
    width = full - margin - 3 - len(COLUMNS) * cell
    details = _details(calibration)
    top = common.heading_height(full, details) + TOP
    words = common.wrapped("Fréchet distance to the test split (log scale; left is better)", width, 7)
    page = common.Page(full, top + len(rows) * ROW + 5.5 + 3.2 * len(words))
    page.heading(0, 0, full, f"Judge of {spec.dataset}", details)
    axes = page.axes(margin, top, width, len(rows) * ROW)
    for y, row in rows.iterrows():
        colour = common.VERMILLION if row["generator"] else common.BLUE
        if row["low"] < row["high"]:
            axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2.5, alpha=0.35)
        axes.plot(row["frechet_distance"], y, "D" if row["generator"] else "o", color=colour, markersize=5)
        value = common.number(row["frechet_distance"])
        axes.annotate(value, (row["frechet_distance"], y), (6, 0), textcoords="offset points", va="center", size=6.5)
        _label(page, margin, top + (y + 0.5) * ROW, row, colour)
        for k, column in enumerate(COLUMNS):
            x = margin + width + 3 + (k + 0.5) * cell
            text = f"{row[column]:.2f}"
            page.text(x, top + (y + 0.5) * ROW, text, ha="center", va="center", size=6.5, color=common.INK)
    for k, head in enumerate(COLUMNS):
        x = margin + width + 3 + (k + 0.5) * cell
        size = common.fitting_size(head, cell - 1, 6, 4)
        page.text(x, top - 1, head, ha="center", va="bottom", size=size, color=common.GREY)

    low, high = rows["low"].min(), rows["high"].max()
    axes.set_xscale("log")
    # Room for the largest value's number, whatever the width.
    decades = np.log10(high / low) + 0.2
    axes.set_xlim(low / 10**0.2, high * 10 ** (decades * VALUE / (width - VALUE)))
    common.log_numbers(axes.xaxis, max(3, int(width // 12)))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("\n".join(words))
    return page.figure


def measured(tables: Mapping[str, pa.Table], spec: JudgeCalibrationFigure) -> pd.DataFrame:
    """A row per damage of real images and per generator, the best first."""
    levels = [_row(name, rows, generator=False) for name, rows in common.frame(tables["calibration"]).groupby("level")]
    generators = []
    if spec.gans:
        quality = common.frame(tables["gan_quality"])
        generators = [
            _row(name, quality[quality["gan"] == name], generator=True)
            for name in common.in_order(spec.gans, quality["gan"])
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


def _label(page: common.Page, margin: float, middle: float, row: pd.Series, colour: str) -> None:
    weight = "bold" if row["generator"] else "normal"
    # Bold letters are wider than those that `wrapped` reckons with.
    lines = common.wrapped(row["label"], 0.88 * (margin - 2))
    largest = min(6.5, 0.9 * ROW / common.MM_PER_POINT / (1.15 * len(lines)))
    size = min(common.fitting_size(line, margin - 2, largest, weight=weight) for line in lines)
    colour = colour if row["generator"] else common.INK
    words = "\n".join(lines)
    page.text(
        margin - 2, middle, words, ha="right", va="center", size=size, weight=weight, color=colour, linespacing=1.1
    )


def _details(calibration: pd.DataFrame) -> str:
    n = common.n_is(calibration["n"])
    error = common.percent(calibration["judge_error"].iloc[0])
    second = common.percent(calibration["second_error"].iloc[0])
    judge = f"the judge itself errs on {error} of the test split, the second classifier on {second}"
    return f"{n} images a level; {judge}; agreement: of the two; diamonds are generators, bars their seeds"


def finding(tables: Mapping[str, pa.Table], spec: JudgeCalibrationFigure) -> findings.Finding:
    """Between which damages of real images each generator lies."""
    rows = measured(tables, spec)
    levels, generators = rows[~rows["generator"]], rows[rows["generator"]]
    best = levels.iloc[0]
    parts = []
    for one in generators.itertuples():
        worse = levels[levels["frechet_distance"] > one.frechet_distance]
        beside = f"better than {worse['name'].iloc[0]}" if len(worse) else f"worse than {levels['name'].iloc[-1]}"
        parts.append(f"{one.name} at {common.number(one.frechet_distance)} ({beside})")
    n = common.n_is(common.frame(tables["calibration"])["n"])
    sentence = f"The control, {best['name']}, lies at a Fréchet distance of {common.number(best['frechet_distance'])}"
    real = common.percent(best["agreement"])
    sentence += f"; the generators: {findings.listed(parts)}" if parts else ""
    sentence += f"; on {best['name']} images the two classifiers agree in {real}"
    if len(generators):
        sentence += f", on samples in {common.percent(generators['agreement'].min())} or more"
    sentence += f"; {n} images a level."
    columns = ["name", "generator", "seeds", "frechet_distance", *COLUMNS]
    return findings.Finding(
        f"How bad is a Fréchet distance on {spec.dataset}?", sentence, rows[columns].to_dict("records")
    )
