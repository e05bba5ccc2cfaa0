"""Error of each target model on the examples crafted on each source model, one heat map per attack."""

from collections.abc import Mapping

import matplotlib
import pandas as pd
import pyarrow as pa
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from advgen.experiments.transfers.errors import (
    describe_spread,
    exclude_chance_models,
    measure_error,
    select_diagonal,
    summarise_pairs,
)
from advgen.experiments.transfers.experiment import TransferMatrixFigure
from advgen.figures.drawing import map_colour
from advgen.figures.findings import Choice, Explorer, Finding, Row, Strips, Tile, interval_columns
from advgen.figures.formatting import (
    describe_threat,
    format_n,
    format_number,
    format_percent,
    format_seeds,
    format_share,
    interval_units,
    join_parts,
)
from advgen.figures.heat_table import Cell, HeatTable
from advgen.figures.layout import GAP, Columns, content_width, heading_height, titled_page
from advgen.figures.statistics import first_seed, to_frame
from advgen.figures.style import with_style
from advgen.figures.text import label_width
from advgen.io.tables import read_images

SMALLEST, LARGEST, BETWEEN, CLEAN_GAP = 17.0, 30.0, 5.0, 0.25
TITLE = "Transfer of adversarial examples"
IMAGES = 10
"""Examples of a cell to browse."""


@with_style
def draw(tables: Mapping[str, pa.Table], spec: TransferMatrixFigure) -> Figure:
    """Draw sources as rows and targets as columns; the bottom row is each target's error on the clean images."""
    full = content_width(spec)
    facts, excluded = exclude_chance_models(tables)
    sources = sorted(set(facts["source"]))
    controls = set(facts.loc[facts["norm"] == "none", "attack"])
    targets = sorted(set(facts["target"]), key=lambda name: (name not in sources, name))
    attacks = sorted(set(facts["attack"]), key=lambda name: (name in controls, name))
    several = facts["source_seed"].nunique() > 1 or facts["target_seed"].nunique() > 1
    margin = label_width([f"on {name}" for name in (*sources, "no attack")], 0.22 * full)
    sizes = (SMALLEST * len(targets), LARGEST * len(targets), BETWEEN)
    columns = Columns(len(attacks), full - margin, *sizes, margin)
    table = HeatTable(targets, columns.width / len(targets), 15.0 if several else 12.0, 6.5)
    details = {attack: _describe_attack(facts[facts["attack"] == attack]) for attack in attacks}
    head = heading_height(columns.width, *details.values())
    rows = len(sources) + CLEAN_GAP + 1
    block = head + table.heading_height + table.row_height * rows + GAP
    page, above = titled_page(full, TITLE, _details(facts, several) + excluded, columns.lines * block - GAP + 1)
    colours = matplotlib.colormaps[spec.colormap]
    for number, attack in enumerate(attacks):
        left, top = columns.place(number, above + 1, block)
        page.heading(left, top, columns.width, attack, details[attack])
        top += head + table.heading_height
        of_attack = facts[facts["attack"] == attack]
        table.draw(page, left, top, rows, _make_cells(of_attack, sources, targets, colours))
        if columns.is_leftmost(number):
            height = table.row_height
            page.row_labels(margin - 2, top, [f"on {source}" for source in sources], height, margin - 2)
            bottom = top + height * (len(sources) + CLEAN_GAP)
            page.row_labels(margin - 2, bottom, ["no attack"], height, margin - 2)
    return page.figure


def _make_cells(
    rows: pd.DataFrame, sources: list[str], targets: list[str], colours: Colormap
) -> dict[tuple[float, int], Cell]:
    """Return the cells of an attack, and a bottom row with the clean errors."""
    cells = {}
    for t, target in enumerate(targets):
        of_target = rows[rows["target"] == target]
        for s, source in enumerate(sources):
            pairs = of_target[of_target["source"] == source]
            if len(pairs):
                error, lines = summarise_pairs(pairs, source == target)
                cells[float(s), t] = Cell(f"{100 * error:.1f}", map_colour(colours, error), lines, source == target)
        clean = of_target.groupby("target_seed")["clean_error"].mean()
        if len(clean):
            error = float(clean.mean())
            cell = Cell(f"{100 * error:.1f}", map_colour(colours, error), describe_spread(clean))
            cells[len(sources) + CLEAN_GAP, t] = cell
    return cells


def _describe_attack(rows: pd.DataFrame) -> str:
    scaled = "scaled to RMS" if rows["amplified"].any() else "RMS of perturbations that fool their source"
    size = format_number(rows["rms"].mean()) if rows["rms"].notna().any() else "undefined"
    return f"{describe_threat(rows.iloc[0])}; {scaled} {size}"


def _details(facts: pd.DataFrame, several: bool) -> str:
    words = f"error (%) of the column's model on examples crafted on the row's model, {format_n(facts['n'])}; "
    words += f"small: 95 % interval over {interval_units(several)}" + (", range over seeds" if several else "")
    return words + "; noise: the same perturbations with shuffled pixels; outlined: a model on its own examples"


def finding(tables: Mapping[str, pa.Table], spec: TransferMatrixFigure) -> Finding:
    """Compare the error of each target on each source's examples with noise and with the clean error."""
    facts, excluded = exclude_chance_models(tables)
    controls = set(facts.loc[facts["norm"] == "none", "attack"])
    rows: list[Row] = []
    transferred: dict[str, list[tuple[float, str]]] = {}
    for (attack, source, target), pairs in facts.groupby(["attack", "source", "target"]):
        counted = select_diagonal(pairs, source == target)
        error, low, high = measure_error(counted)
        rows.append(
            {"attack": attack, "source": source, "target": target, "n": pairs["n"].min(), "rms": pairs["rms"].mean()}
            | interval_columns("error", (error, low, high))
            | {"error_rounded": counted["error_rounded"].mean(), "error_unaimed": counted["error_unaimed"].mean()}
            | {"clean_error": pairs["clean_error"].mean()}
        )
        if source != target:
            noise = format_percent(counted["error_unaimed"].mean())
            words = f"{source} → {target} {format_share(error, low, high)} (noise {noise})"
            transferred.setdefault(str(attack), []).append((error, words))
    parts = []
    for attack in sorted(transferred, key=lambda name: name in controls):
        errors = [words for _, words in sorted(transferred[attack], reverse=True)]
        parts.append(f"{attack}{' (the control)' if attack in controls else ''} {join_parts(errors, 2)}")
    clean = format_percent(facts["clean_error"].mean())
    subject = "Error of the target model on examples crafted on the source model (on random noise of the same norm)"
    sentence = f"{subject}: {'; '.join(parts) or 'no target'}"
    counts = f"{format_n(facts['n'])}, {format_seeds(facts['source_seed'])}"
    return Finding(TITLE, f"{sentence}; without attack {clean} ({counts}){excluded}.", rows)


def explorer(tables: Mapping[str, pa.Table], spec: TransferMatrixFigure) -> Explorer | None:
    """Show examples of a cell's source with the predictions of its target; None if they were scaled, so not saved."""
    facts, _ = exclude_chance_models(tables)
    if facts["amplified"].any():
        return None
    predictions = first_seed(first_seed(to_frame(tables["transferred"]), "source_seed"), "target_seed")
    crafted = to_frame(tables["examples"])
    images, adversarial = read_images(tables["examples"]), read_images(tables["examples"], "adversarial")
    ordered = facts.assign(is_noise=facts["norm"] == "none").sort_values(["is_noise", "attack", "source"])
    crafted_on = list(dict.fromkeys(zip(ordered["attack"], ordered["source"], strict=True)))
    targets = sorted(set(facts["target"]))
    strips: Strips = {}
    cells = {}
    for r, (attack, source) in enumerate(crafted_on):
        examples = crafted[(crafted["attack"] == attack) & (crafted["source"] == source)]
        examples = first_seed(examples, "source_seed").sort_values("index").iloc[:IMAGES]
        for t, target in enumerate(targets):
            pairs, of_cell = (
                rows[(rows["attack"] == attack) & (rows["source"] == source) & (rows["target"] == target)]
                for rows in (facts, predictions)
            )
            if pairs.empty:
                continue
            cells[r, t], *_ = measure_error(select_diagonal(pairs, source == target))
            of_cell = of_cell.set_index("index").loc[examples["index"]]
            for s, (pixels, column) in enumerate(((adversarial, "predicted"), (images, "predicted_clean"))):
                strips[r, t, s] = [
                    Tile(pixels[place], f"{label} → {predicted}", predicted != label)
                    for place, label, predicted in zip(examples.index, examples["label"], of_cell[column], strict=True)
                ]
    about = "Point at a cell, or select it with the keyboard: examples crafted on the row's model, "
    about += "label → prediction of the column's model, framed: wrong."
    choices = [
        Choice("examples", [f"{attack} on {source}" for attack, source in crafted_on]),
        Choice("target", targets),
        Choice("image", ("adversarial", "original")),
    ]
    measure = "Error of the column's model on examples crafted on the row's model"
    return Explorer(about, choices, strips, cells, measure)
