"""Clean, attacked and certified accuracy against eps, a panel for each classifier."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from advgen.experiments.attacks import accuracies
from advgen.experiments.certifications.experiment import CertifiedAccuracyFigure
from advgen.figures.drawing import draw_interval
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import NORM_NAMES, format_n, format_percent, format_seeds, format_share, join_parts
from advgen.figures.layout import Page, Panels, content_width, heading_height, legend_height
from advgen.figures.statistics import to_frame
from advgen.figures.style import GREY, series_colour, with_style
from advgen.metrics.chance import majority_class_accuracy

TALL, LEFT, FOOT = 40.0, 11.0, 10.0
LINES = ("right under all attacks up to eps", "right and certified for eps")


@with_style
def draw(tables: Mapping[str, pa.Table], spec: CertifiedAccuracyFigure) -> Figure:
    """A panel per certification and classifier; open marks are the accuracy without attack."""
    full = content_width(spec)
    certified = to_frame(tables["certification"])
    certified["right"] = certified["predicted"] == certified["label"]
    facts = accuracies.load_examples(tables)
    facts = facts[facts["attack"].isin(spec.attacks) & facts["eps"].notna()]
    shown = [
        (rows, facts[(facts["source"] == source) & (facts["norm"] == rows["norm"].iloc[0])])
        for certification in spec.certifications
        for source in spec.sources
        if len(rows := certified[(certified["certification"] == certification) & (certified["source"] == source)])
    ]
    farthest = {norm: max(_reach(rows, examples) for rows, examples in of) for norm, of in _by_norm(shown).items()}
    named = facts[facts["source"].isin(spec.sources)]
    details = _details(certified) + accuracies.describe_transferred(named) + accuracies.describe_excluded(named)
    head = heading_height(full, details)
    legend = legend_height(LINES, full)
    panels = Panels(max(1, len(shown)), full, 42.0, TALL, LEFT, FOOT)
    page = Page(full, head + legend + panels.height - 1)
    page.heading(0, 0, full, "Certified beside attacked", details)
    page.legend(0, head, full, LINES)
    for number, (rows, examples) in enumerate(shown):
        title = f"{rows['source'].iloc[0]}, {_method(rows.iloc[0])}"
        axes = panels.axes(page, head + legend, number, title)
        norm = rows["norm"].iloc[0]
        same = examples.merge(rows[["seed", "index"]].rename(columns={"seed": "source_seed"}))  # the same images
        _panel(axes, rows, same, farthest[norm])
        axes.set_xlabel(f"{NORM_NAMES[norm]} radius eps")
        axes.set_ylim(0, 102)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        if panels.is_leftmost(number):
            axes.set_ylabel("test images right (%)")
    return page.figure


Panel = tuple[pd.DataFrame, pd.DataFrame]
"""A classifier's certificates, and its examples in their norm."""


def _by_norm(shown: list[Panel]) -> dict[str, list[Panel]]:
    norms = [str(rows["norm"].iloc[0]) for rows, _ in shown]
    return {norm: [panel for panel, its in zip(shown, norms, strict=True) if its == norm] for norm in norms}


def _reach(rows: pd.DataFrame, examples: pd.DataFrame) -> float:
    """The largest radius that occurs, but for the last percent of the images."""
    budget = float(examples["eps"].max()) if len(examples) else 0.0
    return max(budget, float(rows["radius"].quantile(0.99))) or 1.0


def _panel(axes: Axes, rows: pd.DataFrame, examples: pd.DataFrame, farthest: float) -> None:
    """Attacked and certified accuracy of one classifier; between them what is not known.

    What an attack left right is a bound for every larger eps, too, until the next attack.
    """
    under = {0.0: accuracies.measure(examples, "clean")}
    for eps in sorted(set(examples["eps"])):
        within = examples[examples["eps"] <= eps]
        under[float(eps)] = accuracies.measure(accuracies.combine(within, sorted(set(within["attack"]))))
    known = {eps: right for eps, right in under.items() if right is not None}
    x = np.linspace(0, 1.03 * farthest, 400)
    smoothed = bool(rows["smoothed"].iloc[0])
    curves = np.array([_compute_certified_curve(one, x) for _, one in rows.groupby("seed")])
    axes.plot(x, curves.mean(0), color=series_colour(1), linewidth=1.5)
    if len(curves) > 1:
        axes.fill_between(x, curves.min(0), curves.max(0), color=series_colour(1), alpha=0.2, linewidth=0)
    if known:
        means = np.array([100 * right.mean for right in known.values()])
        bound = means[np.searchsorted(list(known), x, side="right") - 1]
        axes.plot(x, bound, color=series_colour(0), linewidth=1.5, linestyle="--" if smoothed else "-")
        if not smoothed:
            axes.fill_between(x, curves.mean(0), bound, color=GREY, alpha=0.15, linewidth=0)
    for eps, right in known.items():
        face = {"markerfacecolor": "white"} if eps == 0 else {}
        draw_interval(axes, eps, 100 * right.mean, 100 * right.low, 100 * right.high, 0, **face)
        proven = accuracies.measure(_as_examples(rows, eps), "clean")
        assert proven is not None
        draw_interval(axes, eps, 100 * proven.mean, 100 * proven.low, 100 * proven.high, 1, **face)
    axes.axhline(
        100 * majority_class_accuracy(rows["label"]),
        color=GREY,
        linewidth=0.8,
        linestyle=(0, (1, 2)),
        zorder=0.5,
    )
    axes.set_xlim(-0.03 * farthest, 1.03 * farthest)


def _compute_certified_curve(rows: pd.DataFrame, x: np.ndarray) -> np.ndarray:
    """Share (%) of one net's images that are right and certified for each radius."""
    reach = np.where(rows["right"], rows["radius"], -1.0)
    return 100 * np.asarray((reach[None] >= x[:, None]).mean(1))


def _as_examples(rows: pd.DataFrame, eps: float) -> pd.DataFrame:
    """Certificates as accuracies take examples."""
    return rows.rename(columns={"seed": "source_seed"}).assign(clean=rows["right"] & (rows["radius"] >= eps))


def _method(row: pd.Series) -> str:
    return f"smoothed at σ = {row['sigma']:g}" if row["smoothed"] else "interval bounds"


def _details(certified: pd.DataFrame) -> str:
    n = format_n(certified.groupby(["certification", "source", "seed"]).size())
    words = f"{n} test images, the same for both lines; open marks: without attack"
    words += "; bars: 95 % intervals over nets and images; dotted: always naming the commonest class"
    if certified["seed"].nunique() > 1:
        words += "; means over seeds"
    smoothed = certified[certified["smoothed"]]
    if len(smoothed):
        row = smoothed.iloc[0]
        words += f"; smoothed: {row['samples']:.0f} noisy copies, each radius fails with a chance of {row['alpha']:g}; "
        words += "dashed: the net without noise"
    if not certified["smoothed"].all():
        words += "; shaded: neither fooled nor proven safe"
    return words


def finding(tables: Mapping[str, pa.Table], spec: CertifiedAccuracyFigure) -> Finding:
    """What is proven and what attacks left at the largest eps attacked, by classifier."""
    certified = to_frame(tables["certification"])
    certified["right"] = certified["predicted"] == certified["label"]
    facts = accuracies.load_examples(tables)
    facts = facts[facts["attack"].isin(spec.attacks) & facts["eps"].notna()]
    rows: list[Row] = []
    parts = []
    for certification in spec.certifications:
        for source in spec.sources:
            of = certified[(certified["certification"] == certification) & (certified["source"] == source)]
            if of.empty:
                continue
            same = facts[(facts["source"] == source) & (facts["norm"] == of["norm"].iloc[0])]
            same = same.merge(of[["seed", "index"]].rename(columns={"seed": "source_seed"}))
            eps = float(same["eps"].max()) if len(same) else 0.0
            proven = accuracies.measure(_as_examples(of, eps), "clean")
            every = accuracies.combine(same, sorted(set(same["attack"])))
            left, rounded = accuracies.measure(every), accuracies.measure(every, "robust_rounded")
            assert proven is not None
            row = {"certification": certification, "source": source, "norm": of["norm"].iloc[0], "eps": eps}
            row |= {"n": proven.n, "seeds": len(proven.per_model), "commonest": majority_class_accuracy(of["label"])}
            row |= interval_columns("certified", (proven.mean, proven.low, proven.high))
            words = f"{source} is certified on {format_share(proven.mean, proven.low, proven.high)}"
            if left is not None and rounded is not None:
                row |= interval_columns("attacked", (left.mean, left.low, left.high))
                row["attacked_rounded"] = rounded.mean
                words += f" and right under attack on {format_share(left.mean, left.low, left.high)}"
            rows.append(row)
            parts.append(f"{words} at {NORM_NAMES[str(of['norm'].iloc[0])]} ≤ {eps:g}")
    n = format_n(certified.groupby(["certification", "source", "seed"]).size())
    constant = " or ".join(sorted({format_percent(row["commonest"]) for row in rows}))
    sentence = f"{join_parts(parts)} ({n} test images, {format_seeds(certified['seed'])}; "
    sentence += f"always naming the commonest class is right on {constant} at every radius"
    sentence += f"{accuracies.describe_transferred(facts[facts['source'].isin(spec.sources)])})."
    return Finding("What is proven, beside what attacks find", sentence, rows)
