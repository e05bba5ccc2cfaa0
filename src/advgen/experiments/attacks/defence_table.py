"""Clean accuracy of each classifier and its accuracy under each attack, as a table with its defence."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.experiment import DefenceTableFigure
from advgen.figures.drawing import draw_heat_cell, map_colour
from advgen.figures.findings import Finding
from advgen.figures.formatting import describe_threat, format_number
from advgen.figures.layout import Page, content_width, count_columns, heading_height
from advgen.figures.statistics import present_in_order
from advgen.figures.style import with_style
from advgen.figures.text import fit_font_size, label_width, wrap_text

LARGEST, SMALLEST = 24.0, 10.0
NEUTRAL = (0.95, 0.95, 0.95, 1.0)
Cell = tuple[str, tuple[float, ...], list[str]]


@with_style
def draw(tables: Mapping[str, pa.Table], spec: DefenceTableFigure) -> Figure:
    """Rows are classifiers, columns the clean accuracy, each attack, and the worst case for each norm and eps."""
    full = content_width(spec)
    facts = accuracies.load_examples(tables)
    sources = present_in_order(spec.sources, facts["source"])
    attacks = present_in_order(spec.attacks, facts["attack"])
    facts = facts[facts["source"].isin(sources) & facts["attack"].isin(attacks)]
    labels = [_label(source, facts[facts["source"] == source]) for source in sources]
    budgeted, worst = accuracies.select_bounded(facts, attacks), accuracies.list_worst_cases(facts, attacks)
    heads = ["clean", *(_head(facts[facts["attack"] == attack], attack in budgeted) for attack in attacks), *worst]
    margin = label_width(labels, 0.3 * full)
    band = count_columns(len(heads), full - margin, SMALLEST)
    bands = [heads[start : start + band] for start in range(0, len(heads), band)]
    cell = min(LARGEST, (full - margin) / band)
    several = facts.groupby("source")["source_seed"].nunique().max() > 1
    row = 12.5 if several else 10.5
    details = _details(facts)
    top = heading_height(full, details) + 1
    words = {head: wrap_text(head, cell - 1, 6) for head in heads}
    names = 2.7 * max(map(len, words.values())) + 1.5
    block = names + row * len(sources) + 4
    page = Page(full, top + len(bands) * block - 4)
    page.heading(0, 0, full, "Accuracy by defence (%)", details)
    cells = [_cells(facts[facts["source"] == source], attacks, budgeted, worst) for source in sources]
    for number, shown in enumerate(bands):
        down = top + number * block + names
        for k, head in enumerate(shown):
            size = min(fit_font_size(word, cell - 1, 6) for word in words[head])
            weight = "bold" if head in ("clean", *worst) else "normal"
            middle = margin + (k + 0.5) * cell
            text = "\n".join(words[head])
            page.text(middle, down - 1, text, ha="center", va="bottom", size=size, linespacing=1.1, weight=weight)
        axes = page.axes(margin, down, cell * len(shown), row * len(sources))
        axes.set_xlim(0, len(shown))
        axes.set_ylim(len(sources), 0)
        axes.set_axis_off()
        for s, mine in enumerate(cells):
            for k, (text, fill, lines) in enumerate(mine[number * band : number * band + len(shown)]):
                if text:
                    draw_heat_cell(axes, k, s, text, fill, lines, cell)
        page.row_labels(margin - 2, down, labels, row, margin - 2)
    return page.figure


def _cells(rows: pd.DataFrame, attacks: list[str], budgeted: list[str], worst: Mapping[str, list[str]]) -> list[Cell]:
    """Text, colour and small lines of one classifier's row."""
    cells = [_accuracy(accuracies.measure(rows, "clean"))]
    for attack in attacks:
        mine = rows[rows["attack"] == attack]
        shown = _accuracy(accuracies.measure(mine), accuracies.measure_control(mine))
        cells.append(shown if attack in budgeted else _distance(mine))
    every = [accuracies.combine(rows, within) for within in worst.values()]
    return cells + [_accuracy(accuracies.measure(one), accuracies.measure_control(one)) for one in every]


def _accuracy(right: accuracies.Accuracy | None, control: accuracies.Accuracy | None = None) -> Cell:
    if right is None:
        return "", NEUTRAL, []
    lines = [f"{100 * right.low:.1f}–{100 * right.high:.1f}"]
    if control is not None:
        lines.append(f"unaimed {100 * control.mean:.1f}")
    if len(right.per_model) > 1:
        lines.append(f"seeds {100 * right.per_model.min():.1f}–{100 * right.per_model.max():.1f}")
    return f"{100 * right.mean:.1f}", map_colour(matplotlib.colormaps["Blues"], 0.9 * right.mean), lines


def _distance(rows: pd.DataFrame) -> Cell:
    """The median distance to the mistakes that an attack without a budget found, in its own norm."""
    if rows.empty:
        return "", NEUTRAL, []
    tried = rows[rows["clean"]]
    fooled = tried[~tried["robust"]]
    words = f"fools {100 * len(fooled) / max(len(tried), 1):.0f} %"
    median = float(fooled[rows["norm"].iloc[0]].median()) if len(fooled) else float("nan")
    return format_number(median) if len(fooled) else "–", NEUTRAL, [words]


def _label(source: str, rows: pd.DataFrame) -> str:
    defence = str(rows["defence"].iloc[0])
    return f"{source}\n{'no defence' if defence == 'none' else defence}"


def _head(rows: pd.DataFrame, budget: bool) -> str:
    words = f"{rows['attack'].iloc[0]}: {describe_threat(rows.iloc[0])}"
    return words if budget else f"{words}; median"


def _details(facts: pd.DataFrame) -> str:
    words = f"{accuracies.describe_counts(facts)}; right on the clean and the attacked image"
    words += "; small: 95 % interval over nets and images"
    several = facts.groupby("source")["source_seed"].nunique().max() > 1
    words += ", accuracy under the same change unaimed"
    words += ", range over seeds; means over seeds" if several else ""
    words += accuracies.describe_transferred(facts)
    free = facts["attack"].nunique() > len(accuracies.select_bounded(facts, sorted(set(facts["attack"]))))
    return words + ("; grey: median distance of attacks without a budget" if free else "")


def finding(tables: Mapping[str, pa.Table], spec: DefenceTableFigure) -> Finding:
    """What is left of the clean accuracy of each classifier where least is left."""
    facts = accuracies.load_examples(tables)
    sources, attacks = present_in_order(spec.sources, facts["source"]), present_in_order(spec.attacks, facts["attack"])
    facts = facts[facts["source"].isin(sources) & facts["attack"].isin(attacks)]
    return Finding("What defences keep under attack", *accuracies.compare_with_clean(facts, sources, attacks))
