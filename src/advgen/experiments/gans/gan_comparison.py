"""Measures of several GANs side by side: a tick for each seed, means with intervals over seeds."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from advgen.experiments.gans.experiment import GanComparisonFigure
from advgen.figures.dot_plot import Mark, Measure, draw_dot_plot
from advgen.figures.findings import Finding, Tables, interval_columns
from advgen.figures.formatting import format_n, format_number, join_parts
from advgen.figures.layout import content_width
from advgen.figures.statistics import mean_over_seeds, split_in_order, to_frame
from advgen.figures.style import INK, SHORT_DASHES, with_style


class Description(NamedTuple):
    """Title of a measure, which values are good (`{real}`: that of real images), and the range of possible values."""

    title: str
    note: str
    limits: tuple[float, float] | None = None
    log: bool = False
    factor: float = 1.0


DESCRIPTIONS = {
    "frechet_distance": Description("Fréchet distance", "log; lower is better; dashed: real, {real}", log=True),
    "classifier_score": Description("classifier score", "higher is better"),
    "precision": Description("precision", "k-NN; higher is better", (0, 1)),
    "recall": Description("recall", "k-NN; higher is better", (0, 1)),
    "density": Description("density", "k-NN; real images: 1"),
    "coverage": Description("coverage", "k-NN; higher is better", (0, 1)),
    "variety": Description("variety", "distance to nearest sample; real: 1"),
    "classes": Description("classes covered", "predicted for over 1 % of samples"),
    "classes_both": Description("classes, both classifiers", "predicted by both, over 1 % of samples"),
    "agreement": Description("classifiers agree", "% of samples, reference and second", (0, 100), factor=100),
    "total_variation": Description("total variation", "of class shares; lower is better", (0, 1)),
    "vanishing": Description("vanishing gradient", "% of steps; lower is better", (0, 100), factor=100),
    "overpowered": Description("overpowering D", "% of steps; lower is better", (0, 100), factor=100),
    "isolated_energy": Description("salt and pepper", "energy of isolated pixels; lower is better"),
    "sharpness": Description("sharpness", "Laplacian variance; dashed: real, {real}"),
}
HAS_REAL_VALUE = {"frechet_distance", "sharpness"}
"""Measures with a value for real images. It may be far from all GANs, so that the axis does not extend to it."""
RELATIVE_TO_REAL = {"density": 1.0, "variety": 1.0}
"""Measures relative to real images, and the value of real images."""
SMALLEST = 0.01
"""Smaller values are drawn as this one on a logarithmic axis."""


@with_style
def draw(tables: Tables, spec: GanComparisonFigure) -> Figure:
    """Draw a row per GAN and a column per measure."""
    blocks = _read_quality(tables, spec)
    quality = pd.concat(blocks.values())
    names = _select_measures(spec)
    measures = [_measure(name, blocks, quality) for name in names]
    labels = [f"{gan}\n{_describe_recipe(runs)}" for gan, runs in blocks.items()]
    figure = draw_dot_plot("Comparison of GANs", _details(quality), labels, measures, [], content_width(spec))
    for axes, name in zip(figure.axes, names, strict=True):
        if name in HAS_REAL_VALUE:
            axes.axvline(_real_value(name, quality), color=INK, linewidth=0.8, linestyle=SHORT_DASHES)
    return figure


def _read_quality(tables: Tables, spec: GanComparisonFigure) -> dict[str, pd.DataFrame]:
    return split_in_order(to_frame(tables["gan_quality"].drop_columns(["class_share"])), "gan", spec.gans)


def _real_value(name: str, quality: pd.DataFrame) -> float:
    return float(quality[f"{name}_real"].mean())


def _select_measures(spec: GanComparisonFigure) -> list[str]:
    """Return the configured measures, with `classes_both` after `classes`, because one classifier can be wrong."""
    names: list[str] = list(spec.measures)
    if "classes" in names and "classes_both" not in names:
        names.insert(names.index("classes") + 1, "classes_both")
    return names


def _measure(name: str, blocks: Mapping[str, pd.DataFrame], quality: pd.DataFrame) -> Measure:
    title, note, limits, log, factor = DESCRIPTIONS[name]
    marks = []
    for row, runs in enumerate(blocks.values()):
        values = factor * runs[name].to_numpy(float)
        if log:
            values = values.clip(min=SMALLEST)
        mean, low, high = mean_over_seeds(values)
        if log:
            low = max(low, SMALLEST)
        elif limits is not None:
            low, high = max(low, limits[0]), min(high, limits[1])
        marks.append(Mark(row, mean, low, high, values))
    real = format_number(_real_value(name, quality)) if name in HAS_REAL_VALUE else ""
    return Measure(title, note.format(real=real), marks, log, limits, reference=RELATIVE_TO_REAL.get(name))


def _describe_recipe(runs: pd.DataFrame) -> str:
    """Describe the settings of a GAN in a few words."""
    first = runs.iloc[0]
    words = f"{first['loss'].replace('_', ' ')}, gs {first['generator_steps']}, ds {first['discriminator_steps']}"
    return words + (f", k {first['unroll']}" if first["unroll"] else "")


def _details(quality: pd.DataFrame) -> str:
    seeds = quality.groupby("gan")["seed"].nunique().max()
    words = f"{format_n(quality['n'])} samples per GAN; gs, ds: steps of G and D per batch, k: unrolled steps"
    if seeds > 1:
        words += (
            f"; markers: means of up to {seeds} seeds, ticks: single seeds, bars: 95 % Student intervals over seeds"
        )
    return words


def finding(tables: Tables, spec: GanComparisonFigure) -> Finding:
    """Rank the GANs by the first measure of the figure; the rows hold all measures."""
    blocks = _read_quality(tables, spec)
    rows: list[dict[str, Any]] = []
    for gan, runs in blocks.items():
        row = {"gan": gan, "seeds": runs["seed"].nunique(), "n": runs["n"].min()}
        for name in _select_measures(spec):
            row |= interval_columns(name, mean_over_seeds(runs[name].to_numpy(float)))
        others = ("frechet_distance_real", "classes_both", "agreement")
        rows.append(row | {name: runs[name].mean() for name in others if name not in row})
    first = spec.measures[0]
    several = max(row["seeds"] for row in rows) > 1
    parts = []
    for row in sorted(rows, key=lambda row: row[first]):
        low, high = format_number(row[f"{first}_low"]), format_number(row[f"{first}_high"])
        parts.append(f"{row['gan']} {format_number(row[first])}{f' [{low}, {high}]' if several else ''}")
    over = "95 % Student intervals over seeds" if several else "one seed per GAN, so no intervals"
    n = format_n(pd.concat(blocks.values())["n"])
    sentence = f"{DESCRIPTIONS[first].title}, smallest first: {join_parts(parts)} ({n}; {over})."
    return Finding("Comparison of GANs", sentence, rows)
