"""Are discriminators robust? Accuracy against eps beside classifiers of the same body, for each question asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.accuracy_curves import offset_line, plot_accuracy
from advgen.experiments.attacks.experiment import DiscriminatorsFigure
from advgen.figures.drawing import draw_interval, label_line_ends
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import NORM_NAMES, format_count, format_percent, format_share
from advgen.figures.layout import Page, Panels, content_width, heading_height, legend_height
from advgen.figures.style import GREY, series_colour, with_style
from advgen.figures.text import fit_font_size

TALL, LEFT, FOOT, RIGHT, NOTE = 52.0, 11.0, 10.0, 9.0, 3.4


@with_style
def draw(tables: Mapping[str, pa.Table], spec: DiscriminatorsFigure) -> Figure:
    """A panel per question and norm, a line per group of nets: the worst case over all attacks up to each eps."""
    full = content_width(spec)
    facts = accuracies.load_examples(tables)
    # Noise is no attack, and attacks without a budget have no place on the axis.
    names = {name for panel in spec.panels.values() for line in panel.values() for name in line}
    facts = facts[facts["source"].isin(names) & facts["attack"].isin(spec.attacks)]
    facts = facts[(facts["norm"] != "none") & facts["eps"].notna()]
    lines = list(dict.fromkeys(line for panel in spec.panels.values() for line in panel))
    norms = sorted(set(facts["norm"]), reverse=True)
    shown = [
        (title, norm, {line: _rows(facts, names, norm) for line, names in panel.items()})
        for title, panel in spec.panels.items()
        for norm in norms
    ]
    details = _details(facts)
    head = heading_height(full, details)
    legend = legend_height(lines, full)
    panels = Panels(len(shown), full, 70.0, TALL, LEFT, FOOT, RIGHT, 5.0 + NOTE)
    page = Page(full, head + legend + panels.height - 1)
    page.heading(0, 0, full, "Are discriminators robust?", details)
    page.legend(0, head, full, lines)
    eps = float(facts["eps"].max())
    for number, (title, norm, panel) in enumerate(shown):
        axes = panels.axes(page, head + legend, number, "")
        _title(axes, title, panel, panels.axes_width)
        everything = pd.concat(list(panel.values()))
        if len(everything):
            guess = accuracies.compute_majority_baseline(everything)
            axes.axhline(guess, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
            axes.text(0.01 * eps, guess - 1, "guessing", va="top", size=5.5, color=GREY)
        ends = []
        for line, rows in panel.items():
            k, mine = lines.index(line), rows[rows["above_chance"]]
            if len(mine):
                last = plot_accuracy(axes, mine, k, offset_line(k, len(lines), eps))
                ends.append((last, f"{last:.0f} %", series_colour(k)))
            elif (clean := accuracies.measure(rows, "clean")) is not None:
                _at_chance(axes, clean, k, offset_line(k, len(lines), eps))
        axes.set_ylim(0, 102)
        axes.set_xlim(-0.03 * eps, 1.03 * eps)
        if ends:
            label_line_ends(axes, ends, TALL)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.set_xlabel(f"{NORM_NAMES.get(norm, norm)} radius eps (pixels are in [0, 1])")
        if panels.is_leftmost(number):
            axes.set_ylabel("test images right (%)")
    return page.figure


def _rows(facts: pd.DataFrame, names: tuple[str, ...], norm: str) -> pd.DataFrame:
    return facts[facts["source"].isin(names) & (facts["norm"] == norm)]


def _at_chance(axes: Axes, clean: accuracies.Accuracy, number: int, shift: float) -> None:
    """The clean accuracy of a line whose nets have learnt nothing that an attack could take."""
    ends = (100 * clean.mean, 100 * clean.low, 100 * clean.high)
    draw_interval(axes, shift, *ends, number, markerfacecolor="white")
    words: dict[str, Any] = {"textcoords": "offset points", "va": "center", "size": 6, "weight": "bold"}
    axes.annotate("at chance", (shift, ends[0]), (7, 0), color=series_colour(number), **words)


def _title(axes: Axes, title: str, panel: Mapping[str, pd.DataFrame], width: float) -> None:
    """The question, and how many nets stand behind each line."""
    where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
    size = fit_font_size(title, width, 8, weight="bold")
    axes.annotate(title, (0, 1), (0, 14), size=size, weight="bold", **where)
    nets = [len(rows.groupby(["source", "source_seed"])) for rows in panel.values() if len(rows)]
    low, high = min(nets, default=0), max(nets, default=0)
    count = f"{low}" if low == high else f"{low} to {high}"
    words = f"{count} {'net' if high == 1 else 'nets'} a line"
    axes.annotate(words, (0, 1), (0, 5), size=6, color=GREY, **where)


def _details(facts: pd.DataFrame) -> str:
    if facts.empty:
        return "no attack with a budget"
    words = f"clean accuracy (open marks) and under every attack up to each eps ({_attacks(facts)}); "
    words += accuracies.describe_counts(facts)
    words += "; thick: mean over nets with 95 % intervals over nets and images, thin: each net"
    words += ", dotted: under the same changes unaimed"
    return words + accuracies.describe_transferred(facts)


def _attacks(facts: pd.DataFrame) -> str:
    """The attack ensemble in words: kinds with their effort."""
    kinds: dict[str, None] = {}
    for first in facts.drop_duplicates(["kind", "steps", "restarts"]).to_dict("records"):
        effort = f"-{first['steps']:.0f}" if first["steps"] > 1 else ""
        effort += f"×{first['restarts']:.0f}" if first["restarts"] > 1 else ""
        kinds[f"{accuracies.ATTACK_NAMES.get(first['kind'], first['kind'])}{effort}"] = None
    return ", ".join(kinds)


def finding(tables: Mapping[str, pa.Table], spec: DiscriminatorsFigure) -> Finding:
    """Accuracy of each line when clean and under all attacks of the largest eps, by question."""
    facts = accuracies.load_examples(tables)
    facts = facts[facts["attack"].isin(spec.attacks) & (facts["norm"] != "none") & facts["eps"].notna()]
    rows: list[Row] = []
    parts = []
    for title, panel in spec.panels.items():
        words = []
        for line, names in panel.items():
            for norm, mine in facts[facts["source"].isin(names) & facts["above_chance"]].groupby("norm"):
                eps = float(mine["eps"].max())
                clean = accuracies.measure(mine, "clean")
                every = accuracies.combine(mine, sorted(set(mine["attack"])))
                right, rounded = accuracies.measure(every), accuracies.measure(every, "robust_rounded")
                if clean is None or right is None or rounded is None:
                    continue
                rows.append(
                    {
                        "question": title,
                        "line": line,
                        "norm": norm,
                        "eps": eps,
                        "nets": len(right.per_model),
                        "n": right.n,
                    }
                    | {"clean": clean.mean, **interval_columns("accuracy", (right.mean, right.low, right.high))}
                    | {"accuracy_rounded": rounded.mean}
                )
                words.append(
                    f"{line} {format_share(right.mean, right.low, right.high)} at {NORM_NAMES[norm]} ≤ {eps:g} "
                    f"({format_percent(clean.mean)} clean, {format_count(len(right.per_model), 'net')})"
                )
        if words:
            parts.append(f"{title}: {', '.join(words[:4])}")
    counts = accuracies.describe_counts(facts) + accuracies.describe_transferred(facts)
    sentence = f"{'; '.join(parts) or 'No attack with a budget'}; {counts}."
    return Finding("Are discriminators robust?", sentence, rows)
