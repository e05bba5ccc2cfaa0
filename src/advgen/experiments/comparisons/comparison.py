"""Effects of arms relative to their baselines: a row per arm, a tick per run, an interval over runs and images."""

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
    "ks_dimension_mean": ("Kolmogorov–Smirnov distance per latent dimension", 1.0),
    "sharpness_decoded": ("sharpness of decoded N(0, I)", 1.0),
    "mse": ("mean squared error", 1.0),
    "mse_missing": ("error per missing pixel", 1.0),
    "mse_whole": ("error of the whole image", 1.0),
}
"""Display name of each measure, and the factor to its unit."""


@with_style
def draw(tables: Mapping[str, pa.Table], spec: ComparisonFigure) -> Figure:
    """Draw two panels: the mean of each arm, and its difference to the baseline."""
    table = _select_comparisons(tables, spec)
    rows = [row for _, row in table.iterrows()]
    rows.sort(key=lambda row: (spec.comparisons.index(row["comparison"]), not row["is_baseline"]))
    title, factor = MEASURES[rows[0]["measure"]]
    means = [_make_mark(place, row, "mean", factor) for place, row in enumerate(rows)]
    compared = [(place, row) for place, row in enumerate(rows) if row["compared"] and not row["is_baseline"]]
    effects = [_make_mark(place, row, "effect", factor) for place, row in compared]
    measures = [
        Measure(title, "mean of each arm", means),
        Measure("effect", f"{title}: arm − baseline", effects, zero=True),
    ]
    details = _details(pd.DataFrame(rows))
    return draw_dot_plot("Comparisons", details, list(map(_label, rows)), measures, [], content_width(spec))


def _select_comparisons(tables: Mapping[str, pa.Table], spec: ComparisonFigure) -> pd.DataFrame:
    """Return the arms of the figure's comparisons, and whether each can be compared.

    An arm can be compared if neither it nor its baseline has a run at chance.
    """
    table = to_frame(tables["comparison"])
    table["is_baseline"] = table["arm"] == table["baseline"]
    at_chance = table["at_chance"].fillna(0) > 0
    without_baseline = set(table.loc[at_chance & table["is_baseline"], "comparison"])
    table["compared"] = ~(at_chance | table["comparison"].isin(without_baseline))
    return table[table["comparison"].isin(spec.comparisons)]


def _describe_chance(row: pd.Series) -> str:
    """Say how many runs of an arm are at chance; empty if there are none."""
    runs, total = row["at_chance"], row["seeds"]
    some = "" if runs == total else f"{runs:.0f} of {format_count(total, 'run')} "
    return f"{some}at chance, not compared" if runs > 0 else ""


def _label(row: pd.Series) -> str:
    chance = f"\n{words}" if (words := _describe_chance(row)) else ""
    if row["is_baseline"]:
        return f"{row['comparison']}\n{row['arm']} (baseline){chance}"
    confounds = f"\nalso differs in {row['besides']}" if row["besides"] else ""
    return f"{row['arm']}{confounds}{chance}"


def _make_mark(place: int, row: pd.Series, column: str, factor: float) -> Mark:
    low, high = factor * row[f"{column}_low"], factor * row[f"{column}_high"]
    runs = factor * np.asarray(row["effects"] if column == "effect" else (), dtype=float)
    return Mark(place, factor * row[column], low, high, runs)


def _details(arms: pd.DataFrame) -> str:
    runs, n = sorted(set(arms["seeds"])), arms["n"].max()
    words = f"{format_count(runs[0], 'run')}" + (f" to {runs[-1]}" if len(runs) > 1 else "") + " of each arm"
    if n > 1:
        words += f", {format_n(arms['n'])} images"
    words += f"; bars: 95 % intervals over {_interval_units(arms)}; ticks: pairs of runs"
    questions = [f"{row['comparison']}: {row['asks']}" for _, row in arms.drop_duplicates("comparison").iterrows()]
    return "\n".join([*questions, words])


def _interval_units(arms: pd.DataFrame) -> str:
    """Name what the intervals are over: a run may be a single number instead of one per image."""
    return "runs and images" if arms["n"].max() > 1 else "runs"


def finding(tables: Mapping[str, pa.Table], spec: ComparisonFigure) -> Finding:
    """List the effect of each arm and whether it is higher, lower or inconclusive."""
    table = _select_comparisons(tables, spec)
    rows: list[dict[str, Any]] = []
    parts = []
    for name in spec.comparisons:
        for _, row in table[(table["comparison"] == name) & ~table["is_baseline"]].iterrows():
            factor = MEASURES[row["measure"]][1]
            low, high = factor * row["effect_low"], factor * row["effect_high"]
            verdict = "not significantly different" if low <= 0 <= high else "higher" if low > 0 else "lower"
            effect = f"{format_value(factor * row['effect'], low, high)}, {verdict}"
            if not row["compared"]:
                effect = _describe_chance(row) or "the baseline is at chance, not compared"
            confounds = f" (also differs in {row['besides']})" if row["besides"] else ""
            parts.append(f"{row['arm']} against {row['baseline']}{confounds}: {effect}")
            columns = ("comparison", "arm", "baseline", "differs", "besides", "measure", "seeds", "n", "at_chance")
            rows.append({key: row[key] for key in (*columns, "mean_rounded", "effect", "effect_low", "effect_high")})
    counts = f"{format_n(table['seeds'])} runs of each arm; 95 % intervals over {_interval_units(table)}"
    title = table["asks"].iloc[0].rstrip("?.") if len(spec.comparisons) == 1 else "Comparisons"
    measure, _ = MEASURES[table["measure"].iloc[0]]
    return Finding(title, f"Effect on {measure}: {join_parts(parts)} ({counts}).", rows)
