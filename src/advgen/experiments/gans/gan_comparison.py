"""Measures of several GANs side by side, a tick per seed, means with intervals over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.gans.experiment import GanComparisonFigure
from advgen.figures.dot_plot import Mark, Measure, draw_dot_plot
from advgen.figures.findings import Finding, interval_columns
from advgen.figures.formatting import format_n, format_number, join_parts
from advgen.figures.layout import content_width
from advgen.figures.statistics import mean_over_seeds, present_in_order, to_frame
from advgen.figures.style import INK, with_style


class Words(NamedTuple):
    """How a measure is called, what is good (`{real}`: what real images have), and the range that it cannot leave."""

    title: str
    note: str
    limits: tuple[float, float] | None = None
    log: bool = False
    factor: float = 1.0


WORDS = {
    "frechet_distance": Words("Fréchet distance", "log; less is better; real images: {real}, dashed", log=True),
    "classifier_score": Words("classifier score", "by the judge; more is better"),
    "precision": Words("precision", "k-NN; more is better", (0, 1)),
    "recall": Words("recall", "k-NN; more is better", (0, 1)),
    "density": Words("density", "k-NN; 1 where real and generated are alike"),
    "coverage": Words("coverage", "k-NN; more is better", (0, 1)),
    "variety": Words("variety", "distance to the next sample; real: 1"),
    "classes": Words("classes covered", "by the judge, over 1 % of samples"),
    "classes_both": Words("classes by both", "over 1 % of samples, both classifiers"),
    "agreement": Words("classifiers agree", "% of samples, judge and a second one", (0, 100), factor=100),
    "total_variation": Words("total variation", "class shares to the prior; less is better", (0, 1)),
    "vanishing": Words("vanishing gradient", "% of steps; less is better", (0, 100), factor=100),
    "overpowered": Words("overpowering D", "% of steps; less is better", (0, 100), factor=100),
    "isolated_energy": Words("isolated pixels", "energy of salt and pepper; less is better"),
    "sharpness": Words("sharpness", "Laplacian variance; real images: {real}, dashed"),
}


@with_style
def draw(tables: Mapping[str, pa.Table], spec: GanComparisonFigure) -> Figure:
    """A row per GAN, a panel per measure."""
    full = content_width(spec)
    quality = to_frame(tables["gan_quality"].drop_columns(["class_share"]))
    gans = present_in_order(spec.gans, quality["gan"])
    rows = {gan: quality[quality["gan"] == gan] for gan in gans}
    shown_measures = _measures(spec)
    measures = [_measure(name, rows) for name in shown_measures]
    labels = [f"{gan}\n{_recipe(one)}" for gan, one in rows.items()]
    shown = pd.concat(list(rows.values()))
    figure = draw_dot_plot("GANs compared", _details(shown), labels, measures, [], full)
    for name in OF_REAL & set(shown_measures):
        axes = figure.axes[shown_measures.index(name)]
        axes.axvline(_real(name, shown), color=INK, linewidth=0.8, linestyle=(0, (2, 1.5)))
    return figure


def _real(name: str, rows: pd.DataFrame) -> float:
    return float(rows[f"{name}_real"].mean())


def _measures(spec: GanComparisonFigure) -> list[str]:
    """Those asked for; the classes that the judge counts have beside them those that a second classifier finds, too."""
    shown: list[str] = list(spec.measures)
    if "classes" in shown and "classes_both" not in shown:
        shown.insert(shown.index("classes") + 1, "classes_both")
    return shown


def _measure(name: str, rows: Mapping[str, pd.DataFrame]) -> Measure:
    words = WORDS[name]
    marks = []
    for number, one in enumerate(rows.values()):
        values = words.factor * one[name].to_numpy(float)
        if words.log:
            # A logarithm needs positive numbers.
            values = values.clip(min=0.01)
        mean, low, high = mean_over_seeds(values)
        if words.log:
            low = max(low, 0.01)
        elif words.limits is not None:
            low, high = max(low, words.limits[0]), min(high, words.limits[1])
        marks.append(Mark(number, mean, low, high, values))
    real = format_number(_real(name, pd.concat(list(rows.values())))) if name in OF_REAL else ""
    return Measure(words.title, words.note.format(real=real), marks, words.log, words.limits, reference=REAL.get(name))


OF_REAL = {"frechet_distance", "sharpness"}
"""Measures that real images have, too. Their line may lie far from all GANs, so it asks for no room."""
REAL = {"density": 1.0, "variety": 1.0}
"""Measures that are relative to real images."""


def _recipe(rows: pd.DataFrame) -> str:
    """What was varied, in a few words."""
    first = rows.iloc[0]
    words = f"{first['loss'].replace('_', ' ')}, gs {first['generator_steps']}, ds {first['discriminator_steps']}"
    if first["unroll"]:
        words += f", k {first['unroll']}"
    return words


def _details(quality: pd.DataFrame) -> str:
    seeds = quality.groupby("gan")["seed"].nunique()
    words = f"{format_n(quality['n'])} samples of each; gs, ds: steps of G and D per batch, k: unrolled steps"
    if seeds.max() > 1:
        words += (
            f"; marks: means of up to {seeds.max()} seeds, ticks: the seeds, bars: 95 % Student intervals over them"
        )
    return words


def finding(tables: Mapping[str, pa.Table], spec: GanComparisonFigure) -> Finding:
    """The best and the worst GAN by the first measure that the figure shows, and every measure of each."""
    quality = to_frame(tables["gan_quality"].drop_columns(["class_share"]))
    rows: list[dict[str, Any]] = []
    for gan in present_in_order(spec.gans, quality["gan"]):
        one = quality[quality["gan"] == gan]
        rows.append({"gan": gan, "seeds": one["seed"].nunique(), "n": one["n"].min()})
        for name in _measures(spec):
            rows[-1] |= interval_columns(name, mean_over_seeds(one[name].to_numpy(float)))
        others = ("frechet_distance_real", "classes_both", "agreement")
        rows[-1] |= {name: one[name].mean() for name in others if name not in rows[-1]}
    first = spec.measures[0]
    order = sorted(rows, key=lambda row: row[first])
    several = quality.groupby("gan")["seed"].nunique().max() > 1
    parts = []
    for row in order:
        low, high = row[f"{first}_low"], row[f"{first}_high"]
        interval = f" [{format_number(low)}, {format_number(high)}]" if several else ""
        parts.append(f"{row['gan']} {format_number(row[first])}{interval}")
    over = "95 % Student intervals over seeds" if several else "one seed each, so without intervals"
    sentence = f"{WORDS[first].title}, smallest first: {join_parts(parts)} ({format_n(quality['n'])}; {over})."
    return Finding("GANs compared", sentence, rows)
