"""Clean accuracy of each classifier and its accuracy under each attack, as a table with its defence."""

from collections.abc import Mapping

import matplotlib
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.experiment import DefenceTableFigure
from advgen.figures.drawing import map_colour
from advgen.figures.findings import Finding
from advgen.figures.formatting import describe_threat, format_number
from advgen.figures.heat_table import Cell, HeatTable
from advgen.figures.layout import content_width, count_columns, titled_page
from advgen.figures.style import with_style
from advgen.figures.text import label_width

LARGEST, SMALLEST = 24.0, 10.0
NEUTRAL = (0.95, 0.95, 0.95, 1.0)


@with_style
def draw(tables: Mapping[str, pa.Table], spec: DefenceTableFigure) -> Figure:
    """Draw a row per classifier: clean accuracy, accuracy under each attack, and worst case for each norm and eps."""
    width = content_width(spec)
    facts, sources, attacks = accuracies.select_examples(tables, spec)
    of_source = {source: facts[facts["source"] == source] for source in sources}
    labels = [_label(source, rows) for source, rows in of_source.items()]
    bounded, worst = accuracies.select_bounded(facts, attacks), accuracies.list_worst_cases(facts, attacks)
    columns = ["clean", *(_name_column(facts[facts["attack"] == name], name in bounded) for name in attacks), *worst]
    margin = label_width(labels, 0.3 * width)
    count = count_columns(len(columns), width - margin, SMALLEST)
    row_height = 12.5 if facts.groupby("source")["source_seed"].nunique().max() > 1 else 10.5
    bands = [
        HeatTable(
            columns[start : start + count],
            min(LARGEST, (width - margin) / count),
            row_height,
            bold=("clean", *worst),
        )
        for start in range(0, len(columns), count)
    ]
    names = max(band.heading_height for band in bands)
    block = names + row_height * len(sources) + 4
    page, top = titled_page(width, "Accuracy by defence (%)", _details(facts), len(bands) * block - 3)
    cells = [_make_cells(rows, attacks, bounded, worst) for rows in of_source.values()]
    for number, band in enumerate(bands):
        down = top + 1 + number * block + names
        first = number * count
        of_band = {
            (float(s), k): cell
            for s, row in enumerate(cells)
            for k, cell in enumerate(row[first : first + count])
            if cell is not None
        }
        band.draw(page, margin, down, len(sources), of_band)
        page.row_labels(margin - 2, down, labels, row_height, margin - 2)
    return page.figure


def _make_cells(
    rows: pd.DataFrame, attacks: list[str], bounded: list[str], worst: Mapping[str, list[str]]
) -> list[Cell | None]:
    """Return the cells of one classifier's row."""
    cells = [_make_accuracy_cell(accuracies.measure(rows, "clean"))]
    for attack in attacks:
        examples = rows[rows["attack"] == attack]
        cells.append(_make_attack_cell(examples) if attack in bounded else _make_size_cell(examples))
    return cells + [_make_attack_cell(accuracies.combine(rows, within)) for within in worst.values()]


def _make_attack_cell(rows: pd.DataFrame) -> Cell | None:
    return _make_accuracy_cell(accuracies.measure(rows), accuracies.measure_control(rows))


def _make_accuracy_cell(
    accuracy: accuracies.Accuracy | None, control: accuracies.Accuracy | None = None
) -> Cell | None:
    if accuracy is None:
        return None
    mean, low, high = accuracy.percent
    lines = [f"{low:.1f}–{high:.1f}"]
    if control is not None:
        lines.append(f"random {100 * control.mean:.1f}")
    if len(accuracy.per_model) > 1:
        lines.append(f"seeds {100 * accuracy.per_model.min():.1f}–{100 * accuracy.per_model.max():.1f}")
    return Cell(f"{mean:.1f}", map_colour(matplotlib.colormaps["Blues"], 0.9 * accuracy.mean), lines)


def _make_size_cell(rows: pd.DataFrame) -> Cell | None:
    """Return the median size of successful perturbations of an attack without a budget, in its own norm."""
    if rows.empty:
        return None
    tried = rows[rows["clean"]]
    fooled = tried[~tried["robust"]]
    median = format_number(float(fooled[rows["norm"].iloc[0]].median())) if len(fooled) else "–"
    return Cell(median, NEUTRAL, [f"fools {100 * len(fooled) / max(len(tried), 1):.0f} %"])


def _label(source: str, rows: pd.DataFrame) -> str:
    defence = str(rows["defence"].iloc[0])
    return f"{source}\n{'no defence' if defence == 'none' else defence}"


def _name_column(rows: pd.DataFrame, has_budget: bool) -> str:
    words = f"{rows['attack'].iloc[0]}: {describe_threat(rows.iloc[0])}"
    return words if has_budget else f"{words}; median"


def _details(facts: pd.DataFrame) -> str:
    words = f"{accuracies.describe_counts(facts)}; under attack: robust accuracy"
    words += "; small: 95 % interval over models and images"
    words += ", accuracy under random perturbations of the same size"
    several = facts.groupby("source")["source_seed"].nunique().max() > 1
    words += ", range over seeds; means over seeds" if several else ""
    words += accuracies.describe_other_attacks(facts)
    free = facts["attack"].nunique() > len(accuracies.select_bounded(facts, sorted(set(facts["attack"]))))
    return words + ("; grey: median size found by attacks without a budget" if free else "")


def finding(tables: Mapping[str, pa.Table], spec: DefenceTableFigure) -> Finding:
    """Compare robust and clean accuracy of each classifier."""
    return accuracies.find_robust_accuracy(tables, spec, "Robust accuracy by defence")
