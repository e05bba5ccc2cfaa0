"""Effects of arms beside their baselines: a row per arm, a tick per run, an interval over runs and any images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.comparisons.experiment import ComparisonFigure
from advgen.figures.dot_plot import Mark, Measure, draw_dot_plot
from advgen.figures.findings import Finding
from advgen.figures.formatting import format_count, format_n, format_value, join_parts
from advgen.figures.layout import content_width
from advgen.figures.statistics import to_frame
from advgen.figures.style import with_style

MEASURES = {
    "robust_accuracy": ("accuracy under attack (%)", 100.0),
    "clean_accuracy": ("clean accuracy (%)", 100.0),
    "validation_accuracy": ("accuracy on validation images (%)", 100.0),
    "r_squared": ("R² of a line through each logit", 1.0),
    "frechet_distance": ("Fréchet distance", 1.0),
    "classifier_score": ("classifier score", 1.0),
    "precision": ("precision", 1.0),
    "recall": ("recall", 1.0),
    "total_variation": ("total variation", 1.0),
    "vanishing": ("vanishing gradient (% of steps)", 100.0),
    "frechet_distance_decoded": ("Fréchet distance of decoded N(0, I)", 1.0),
    "ks_dimension_mean": ("Kolmogorov–Smirnov distance per latent number", 1.0),
    "sharpness_decoded": ("sharpness of decoded N(0, I)", 1.0),
    "mse": ("mean squared error", 1.0),
    "mse_missing": ("error per missing pixel", 1.0),
    "mse_whole": ("error of the whole image", 1.0),
}
"""What each measure is called, and the factor to its unit."""


@with_style
def draw(tables: Mapping[str, pa.Table], spec: ComparisonFigure) -> Figure:
    """Two panels: what each arm has, and how far that is from its baseline."""
    full = content_width(spec)
    table = _table(tables)
    shown = pd.concat([_with_baseline_first(table[table["comparison"] == name]) for name in spec.comparisons])
    rows = [row for _, row in shown.iterrows()]
    labels = [_label(row) for row in rows]
    title, factor = MEASURES[rows[0]["measure"]]
    of_arms = [_mark(place, row, "mean", factor) for place, row in enumerate(rows)]
    compared = [(place, row) for place, row in enumerate(rows) if row["arm"] != row["baseline"] and row["compared"]]
    beside = [_mark(place, row, "effect", factor) for place, row in compared]
    measures = [
        Measure(title, "mean of each arm", of_arms),
        Measure("effect", f"{title}: arm − baseline", beside, zero=True),
    ]
    return draw_dot_plot("Comparisons", _details(shown), labels, measures, [], full)


def _table(tables: Mapping[str, pa.Table]) -> pd.DataFrame:
    """Comparisons with whether each arm may be compared: neither it nor its baseline has a run at chance."""
    table = to_frame(tables["comparison"])
    chance = table["at_chance"].fillna(0) > 0
    lost = set(table.loc[chance & (table["arm"] == table["baseline"]), "comparison"])
    return table.assign(compared=~(chance | table["comparison"].isin(lost)))


def _chance(row: pd.Series) -> str:
    """What is said of an arm in which nets are at chance."""
    runs, all_runs = row["at_chance"], row["seeds"]
    some = "" if runs == all_runs else f"{runs:.0f} of {format_count(all_runs, 'run')} "
    return f"{some}at chance, not compared" if runs > 0 else ""


def _with_baseline_first(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows[rows["arm"] == rows["baseline"]], rows[rows["arm"] != rows["baseline"]]])


def _label(row: pd.Series) -> str:
    chance = f"\n{words}" if (words := _chance(row)) else ""
    if row["arm"] == row["baseline"]:
        return f"{row['comparison']}\n{row['arm']} (baseline){chance}"
    confounds = f"\nalso differs in {row['besides']}" if row["besides"] else ""
    return f"{row['arm']}{confounds}{chance}"


def _mark(place: int, row: pd.Series, what: str, factor: float) -> Mark:
    low, high = factor * row[f"{what}_low"], factor * row[f"{what}_high"]
    runs = factor * np.asarray(row["effects"] if what == "effect" else (), dtype=float)
    return Mark(place, factor * row[what], low, high, runs)


def _details(shown: pd.DataFrame) -> str:
    runs, n = sorted(set(shown["seeds"])), shown["n"].max()
    words = f"{format_count(runs[0], 'run')}" + (f" to {runs[-1]}" if len(runs) > 1 else "") + " of each arm"
    if n > 1:
        words += f", {format_n(shown['n'])} images"
    asked = [f"{row['comparison']}: {row['asks']}" for _, row in shown.drop_duplicates("comparison").iterrows()]
    told = f"{words}; bars: 95 % intervals over {_over(shown)}; ticks: the pairs of runs"
    return "\n".join([*asked, told])


def _over(rows: pd.DataFrame) -> str:
    """What intervals are over: what a model has once is no mean over images."""
    return "runs and images" if rows["n"].max() > 1 else "runs"


def finding(tables: Mapping[str, pa.Table], spec: ComparisonFigure) -> Finding:
    """Which arms differ from their baseline, by how much, and which were not told apart from it."""
    table = _table(tables)
    rows: list[dict[str, Any]] = []
    parts = []
    for name in spec.comparisons:
        compared = table[table["comparison"] == name]
        for _, row in compared[compared["arm"] != compared["baseline"]].iterrows():
            factor = MEASURES[row["measure"]][1]
            low, high = factor * row["effect_low"], factor * row["effect_high"]
            verdict = "not told apart" if low <= 0 <= high else "more" if low > 0 else "less"
            effect = f"{format_value(factor * row['effect'], low, high)}, {verdict}"
            if not row["compared"]:
                effect = _chance(row) or "the baseline is at chance, not compared"
            besides = f" (also differs in {row['besides']})" if row["besides"] else ""
            parts.append(f"{row['arm']} against {row['baseline']}{besides}: {effect}")
            kept = ("comparison", "arm", "baseline", "differs", "besides", "measure", "seeds", "n", "at_chance")
            rows.append({key: row[key] for key in (*kept, "mean_rounded", "effect", "effect_low", "effect_high")})
    asked = table[table["comparison"].isin(spec.comparisons)]
    over = f"{format_n(asked['seeds'])} runs of each arm; 95 % intervals over {_over(asked)}"
    title = asked["asks"].iloc[0].rstrip("?.") if len(spec.comparisons) == 1 else "Comparisons"
    return Finding(title, f"Effect on {title_of(asked)}: {join_parts(parts)} ({over}).", rows)


def title_of(rows: pd.DataFrame) -> str:
    """What the measure of some comparisons is called."""
    return MEASURES[rows["measure"].iloc[0]][0]
