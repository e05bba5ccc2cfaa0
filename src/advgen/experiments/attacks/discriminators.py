"""Robustness of discriminators: accuracy against eps, compared with classifiers of the same architecture."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.experiment import DiscriminatorsFigure
from advgen.experiments.attacks.plots import (
    BOTTOM,
    LEFT,
    draw_accuracy,
    draw_baseline,
    offset_line,
    plot_accuracy,
    set_eps_axes,
)
from advgen.figures.drawing import label_line_ends
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import NORM_NAMES, format_count, format_percent, format_share
from advgen.figures.layout import Panels, content_width, titled_page
from advgen.figures.style import GREY, series_colour, with_style
from advgen.figures.text import fit_font_size

HEIGHT, RIGHT, NOTE = 52.0, 9.0, 3.4
QUESTION = "Are discriminators robust?"


@with_style
def draw(tables: Mapping[str, pa.Table], spec: DiscriminatorsFigure) -> Figure:
    """Draw a panel per question and norm, with a line per group: the worst-case accuracy up to each eps."""
    width = content_width(spec)
    facts = _load_examples(tables, spec)
    names = {name for panel in spec.panels.values() for line in panel.values() for name in line}
    facts = facts[facts["source"].isin(names)]
    lines = list(dict.fromkeys(line for panel in spec.panels.values() for line in panel))
    norms = sorted(set(facts["norm"]), reverse=True)
    panel_list = [
        (title, norm, {line: _select(facts, names, norm) for line, names in panel.items()})
        for title, panel in spec.panels.items()
        for norm in norms
    ]
    panels = Panels(len(panel_list), width, 70.0, HEIGHT, LEFT, BOTTOM, RIGHT, 5.0 + NOTE)
    page, top = titled_page(width, QUESTION, _details(facts), panels.height - 1, lines)
    eps = float(facts["eps"].max())
    for number, (title, norm, panel) in enumerate(panel_list):
        axes = panels.axes(page, top, number, "", ylabel="accuracy (%)")
        _draw_title(axes, title, panel, panels.axes_width)
        examples = pd.concat(list(panel.values()))
        if len(examples):
            baseline = accuracies.compute_majority_baseline(examples)
            draw_baseline(axes, baseline)
            axes.text(0.01 * eps, baseline - 1, "guessing", va="top", size=5.5, color=GREY)
        ends = []
        for line, rows in panel.items():
            k, above_chance = lines.index(line), rows[rows["above_chance"]]
            offset = offset_line(k, len(lines), eps)
            if len(above_chance):
                last = plot_accuracy(axes, above_chance, k, offset)
                ends.append((last, f"{last:.0f} %", series_colour(k)))
            elif (clean := accuracies.measure(rows, "clean")) is not None:
                _draw_at_chance(axes, clean, k, offset)
        set_eps_axes(axes, f"{NORM_NAMES.get(norm, norm)} radius eps (pixels are in [0, 1])")
        axes.set_xlim(-0.03 * eps, 1.03 * eps)
        if ends:
            label_line_ends(axes, ends, HEIGHT)
    return page.figure


def _load_examples(tables: Mapping[str, pa.Table], spec: DiscriminatorsFigure) -> pd.DataFrame:
    """Load the examples of the figure's attacks with a budget, without noise."""
    facts = accuracies.load_examples(tables)
    return facts[facts["attack"].isin(spec.attacks) & (facts["norm"] != "none") & facts["eps"].notna()]


def _select(facts: pd.DataFrame, names: tuple[str, ...], norm: str) -> pd.DataFrame:
    return facts[facts["source"].isin(names) & (facts["norm"] == norm)]


def _draw_at_chance(axes: Axes, clean: accuracies.Accuracy, number: int, offset: float) -> None:
    """Draw the clean accuracy of a line whose models are all at chance."""
    draw_accuracy(axes, offset, clean, number, hollow=True)
    style: dict[str, Any] = {"textcoords": "offset points", "va": "center", "size": 6, "weight": "bold"}
    axes.annotate("at chance", (offset, clean.percent[0]), (7, 0), color=series_colour(number), **style)


def _draw_title(axes: Axes, title: str, panel: Mapping[str, pd.DataFrame], width: float) -> None:
    """Write the question and the number of models of each line."""
    where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
    size = fit_font_size(title, width, 8, weight="bold")
    axes.annotate(title, (0, 1), (0, 14), size=size, weight="bold", **where)
    counts = [len(rows.groupby(["source", "source_seed"])) for rows in panel.values() if len(rows)]
    low, high = min(counts, default=0), max(counts, default=0)
    words = f"{low if low == high else f'{low} to {high}'} {'model' if high == 1 else 'models'} per line"
    axes.annotate(words, (0, 1), (0, 5), size=6, color=GREY, **where)


def _details(facts: pd.DataFrame) -> str:
    if facts.empty:
        return "no attack with a budget"
    words = f"clean accuracy (open markers) and worst-case accuracy up to each eps ({_list_attacks(facts)}); "
    words += accuracies.describe_counts(facts)
    words += "; thick: mean over models with 95 % intervals over models and images, thin: each model"
    words += ", dotted: random perturbations of the same size"
    return words + accuracies.describe_other_attacks(facts)


def _list_attacks(facts: pd.DataFrame) -> str:
    """List the kinds of attacks with their steps and restarts."""
    kinds: dict[str, None] = {}
    for first in facts.drop_duplicates(["kind", "steps", "restarts"]).to_dict("records"):
        effort = f"-{first['steps']:.0f}" if first["steps"] > 1 else ""
        effort += f"×{first['restarts']:.0f}" if first["restarts"] > 1 else ""
        kinds[f"{accuracies.ATTACK_NAMES.get(first['kind'], first['kind'])}{effort}"] = None
    return ", ".join(kinds)


def finding(tables: Mapping[str, pa.Table], spec: DiscriminatorsFigure) -> Finding:
    """Compare the clean accuracy of each line with its worst-case accuracy at the largest eps, by question."""
    facts = _load_examples(tables, spec)
    rows: list[Row] = []
    parts = []
    for title, panel in spec.panels.items():
        words = []
        for line, names in panel.items():
            for norm, examples in facts[facts["source"].isin(names) & facts["above_chance"]].groupby("norm"):
                eps = float(examples["eps"].max())
                combined = accuracies.combine_all(examples)
                clean, robust = accuracies.measure(examples, "clean"), accuracies.measure(combined)
                rounded = accuracies.measure(combined, "robust_rounded")
                if clean is None or robust is None or rounded is None:
                    continue
                models = len(robust.per_model)
                rows.append(
                    {"question": title, "line": line, "norm": norm, "eps": eps, "nets": models, "n": robust.n}
                    | {"clean": clean.mean, **interval_columns("accuracy", robust.interval)}
                    | {"accuracy_rounded": rounded.mean}
                )
                words.append(
                    f"{line} {format_share(*robust.interval)} at {NORM_NAMES[norm]} ≤ {eps:g} "
                    f"({format_percent(clean.mean)} clean, {format_count(models, 'model')})"
                )
        if words:
            parts.append(f"{title}: {', '.join(words[:4])}")
    counts = accuracies.describe_counts(facts) + accuracies.describe_other_attacks(facts)
    return Finding(QUESTION, f"{'; '.join(parts) or 'No attack with a budget'}; {counts}.", rows)
