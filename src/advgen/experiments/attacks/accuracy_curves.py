"""Accuracy under attack against the attack's budget, a curve per classifier."""

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.example_explorer import explore_examples
from advgen.experiments.attacks.experiment import AccuracyCurvesFigure
from advgen.experiments.attacks.plots import (
    BOTTOM,
    HEIGHT,
    LEFT,
    draw_baseline,
    offset_line,
    plot_accuracy,
    set_eps_axes,
)
from advgen.figures.findings import Finding, interval_columns
from advgen.figures.formatting import NORM_NAMES, format_n, format_percent, format_seeds, format_value
from advgen.figures.layout import Panels, content_width, titled_page
from advgen.figures.statistics import median_interval
from advgen.figures.style import series_colour, series_marker, with_style
from advgen.metrics.intervals import rate_over_runs
from advgen.metrics.worst_case import BALLS

TITLE = "Accuracy against the attack's budget"
BUDGETS = {
    "linf": "L∞ radius eps",
    "l2": "L2 radius",
    "l1": "L1 radius",
    "l0": "pixels changed",
    "none": "standard deviation of the noise",
}


@with_style
def draw(tables: Mapping[str, pa.Table], spec: AccuracyCurvesFigure) -> Figure:
    """Draw a panel per kind of attack; an attack without a budget gives a curve, the others a point per budget."""
    width = content_width(spec)
    facts, sources, attacks = accuracies.select_examples(tables, spec)
    groups = _group_attacks(facts, attacks)
    panels = Panels(len(groups), width, 52.0, HEIGHT, LEFT, BOTTOM)
    page, top = titled_page(width, TITLE, _details(facts), panels.height - 1, sources)
    for number, (title, rows) in enumerate(groups):
        axes = panels.axes(page, top, number, title, ylabel="accuracy (%)")
        for s, source in enumerate(sources):
            of_source = rows[(rows["source"] == source) & rows["above_chance"]]
            if rows["eps"].isna().any():
                _plot_sizes(axes, of_source, s)
            else:
                plot_accuracy(axes, of_source, s, offset_line(s, len(sources), float(rows["eps"].max())))
        draw_baseline(axes, accuracies.compute_majority_baseline(facts))
        set_eps_axes(axes, BUDGETS.get(rows["norm"].iloc[0], "budget"))
        axes.set_xlim(left=-0.02 * axes.get_xlim()[1])
    return page.figure


def _group_attacks(facts: pd.DataFrame, attacks: list[str]) -> list[tuple[str, pd.DataFrame]]:
    """Return title and rows of each panel: attacks that only differ in their budget, in the order of the attacks."""
    groups: dict[tuple[Any, ...], list[pd.DataFrame]] = {}
    for attack in attacks:
        rows = facts[facts["attack"] == attack]
        first = rows.iloc[0]
        free = bool(pd.isna(first["eps"]))
        key = (first["kind"], first["norm"], first["target"], free, attack if free else "")
        groups.setdefault(key, []).append(rows)
    titled = []
    for (kind, norm, target, free, attack), parts in groups.items():
        title = attack if free else accuracies.ATTACK_NAMES.get(kind, kind)
        title += f", {NORM_NAMES[norm]}" if norm in NORM_NAMES else ""
        title += "" if target == "none" else f", targeted: {target}"
        titled.append((title, pd.concat(parts)))
    return titled


def _plot_sizes(axes: Axes, rows: pd.DataFrame, number: int) -> None:
    """Plot the share of images that stay correct under perturbations up to x; the band is its interval.

    The interval is over models and images; a thin line shows each of several models.
    """
    if rows.empty:
        return
    norm, colour = rows["norm"].iloc[0], series_colour(number)
    size = rows[norm if norm in BALLS else "l2"].to_numpy(float)
    # An attack without a budget that fails has found no perturbation of any size.
    reach = np.where(rows["robust"], np.inf, np.where(rows["clean"], size, 0.0))
    end = float(np.quantile(reach[np.isfinite(reach)], 0.98)) if np.isfinite(reach).any() else 1.0
    x = np.linspace(0, max(end, 1e-6) * 1.05, 120)
    models = rows.assign(reach=reach).groupby("source_seed")["reach"]
    curves = np.array([100 * (reach_N.to_numpy()[None] > x[:, None]).mean(1) for _, reach_N in models])
    for curve in curves if len(curves) > 1 else ():
        axes.plot(x, curve, color=colour, linewidth=0.5, alpha=0.6)
    n = int(models.size().min())
    intervals = np.array([rate_over_runs(shares / 100, n) for shares in curves.T])
    axes.fill_between(x, 100 * intervals[:, 1], 100 * intervals[:, 2], color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, curves.mean(0), color=colour, linewidth=1.5)
    axes.plot(0, 100 * rows["clean"].mean(), series_marker(number), color=colour, clip_on=False)
    axes.lines[-1].set_markerfacecolor("white")


def _details(facts: pd.DataFrame) -> str:
    words = f"{accuracies.describe_counts(facts)}; open markers: clean; bars: 95 % intervals over models and images"
    words += "; grey dots: majority-class baseline"
    words += accuracies.describe_seeds(facts, "thin lines")
    if (facts["norm"].isin(BALLS) & facts["eps"].notna()).any():
        words += "; at each radius: worst case over the panel's attacks up to it, dotted: random perturbations of the "
        words += f"same size{accuracies.describe_other_attacks(facts)}"
    if facts["eps"].isna().any():
        words += "; curves with bands: accuracy under the smallest perturbations found, with their intervals"
    return words


def finding(tables: Mapping[str, pa.Table], spec: AccuracyCurvesFigure) -> Finding:
    """Compare robust and clean accuracy, and summarise the sizes of the smallest perturbations."""
    facts, sources, attacks = accuracies.select_examples(tables, spec)
    bounded = accuracies.select_bounded(facts, attacks)
    medians: dict[tuple[str, str], tuple[float, float, float]] = {}
    parts = []
    for attack, source in product([attack for attack in attacks if attack not in bounded], sources):
        of_pair = facts[(facts["attack"] == attack) & (facts["source"] == source)]
        tried = of_pair[of_pair["above_chance"] & of_pair["clean"]]
        fooled = tried[~tried["robust"]]
        if len(fooled):
            norm, n = str(fooled["norm"].iloc[0]), format_n([tried["index"].nunique()])
            medians[source, attack] = median_interval(fooled[norm].to_numpy(float))
            success = format_percent(len(fooled) / len(tried))
            size = f"{NORM_NAMES[norm]} {format_value(*medians[source, attack])}"
            parts.append(f"{attack} fools {source} on {success} of its correct images, half within {size} ({n})")
    missing = (math.nan, math.nan, math.nan)
    rows = [
        {**row, **interval_columns("half_within", medians.get((str(row["source"]), str(row["under"])), missing))}
        for row in accuracies.build_rows(facts, sources, attacks)
    ]
    sizes = "; ".join(parts[:4])
    if bounded:
        sentence, _ = accuracies.compare_with_clean(facts, sources, bounded)
        return Finding(TITLE, f"{sentence} {sizes}.".removesuffix(" ."), rows)
    words = f"{sizes or 'No attack succeeds'}; {format_seeds(facts['source_seed'])}"
    return Finding(TITLE, f"{words}{accuracies.describe_excluded(facts)}.", rows)


explorer = explore_examples
