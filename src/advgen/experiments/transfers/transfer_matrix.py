"""Error of each target on the examples crafted on each source, one heat map per attack."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from advgen.experiments.transfers.experiment import TransferMatrixFigure
from advgen.figures.drawing import draw_heat_cell, map_colour
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
from advgen.figures.layout import GAP, Page, content_width, count_columns, heading_height
from advgen.figures.statistics import first_seed, to_frame
from advgen.figures.style import INK, with_style
from advgen.figures.text import fit_font_size, label_width, wrap_text
from advgen.io.tables import read_images
from advgen.metrics.chance import models_at_chance
from advgen.metrics.intervals import combine_intervals

SMALLEST, LARGEST, BETWEEN, CLEAN_GAP = 17.0, 30.0, 5.0, 0.25


@with_style
def draw(tables: Mapping[str, pa.Table], spec: TransferMatrixFigure) -> Figure:
    """Rows are sources, columns are targets; the bottom row is each target's error on the clean images."""
    full = content_width(spec)
    facts, left_out = exclude_chance_models(tables)
    sources = sorted(set(facts["source"]))
    controls = set(facts.loc[facts["norm"] == "none", "attack"])
    targets = sorted(set(facts["target"]), key=lambda name: (name not in sources, name))
    attacks = sorted(set(facts["attack"]), key=lambda name: (name in controls, name))
    several = facts["source_seed"].nunique() > 1 or facts["target_seed"].nunique() > 1

    margin = label_width([f"on {name}" for name in (*sources, "no attack")], 0.22 * full)
    room = full - margin
    across = count_columns(len(attacks), room + BETWEEN, SMALLEST * len(targets) + BETWEEN)
    width = min((room - (across - 1) * BETWEEN) / across, LARGEST * len(targets))
    cell = width / len(targets)
    tall = 15.0 if several else 12.0
    heads = {target: wrap_text(target, cell - 1) for target in targets}
    names = 3.0 * max(map(len, heads.values())) + 1
    height = tall * (len(sources) + CLEAN_GAP + 1)
    overall = _details(facts, several) + left_out
    above = heading_height(full, overall) + 1
    details = {attack: _threat(facts[facts["attack"] == attack]) for attack in attacks}
    head = heading_height(width, *details.values())
    block = head + names + height + GAP
    lines = -(-len(attacks) // across)
    page = Page(full, above + lines * block - GAP)
    page.heading(0, 0, full, "Transfer of adversarial examples", overall)
    colours = matplotlib.colormaps[spec.colormap]
    for number, attack in enumerate(attacks):
        rows = facts[facts["attack"] == attack]
        left = margin + number % across * (width + BETWEEN)
        top = above + number // across * block
        page.heading(left, top, width, attack, details[attack])
        down = top + head + names
        for t, target in enumerate(targets):
            size = min(fit_font_size(word, cell - 1, 6.5) for word in heads[target])
            middle = left + (t + 0.5) * cell
            page.text(middle, down - 1, "\n".join(heads[target]), ha="center", va="bottom", size=size, linespacing=1.1)
        axes = page.axes(left, down, width, height)
        _cells(axes, rows, sources, targets, colours, cell)
        if number % across == 0:
            page.row_labels(margin - 2, down, [f"on {source}" for source in sources], tall, margin - 2)
            page.row_labels(margin - 2, down + tall * (len(sources) + CLEAN_GAP), ["no attack"], tall, margin - 2)
    return page.figure


def exclude_chance_models(tables: Mapping[str, pa.Table]) -> tuple[pd.DataFrame, str]:
    """The rows of a transfer table without nets at chance, by their answers to the clean images, and words on those."""
    rows = to_frame(tables["transfer"])
    answers = to_frame(tables["transferred"])
    of_targets = answers[["target", "target_seed", "index", "label", "predicted_clean"]]
    chance = models_at_chance(
        of_targets.set_axis(["source", "source_seed", "index", "label", "predicted_clean"], axis=1)
    )
    pairs = [list(zip(rows[side], rows[f"{side}_seed"], strict=True)) for side in ("source", "target")]
    kept = rows[[source not in chance and target not in chance for source, target in zip(*pairs, strict=True)]]
    if kept.empty or not chance:
        return rows, ""
    return kept, f"; at chance, so left out: {', '.join(f'{net} seed {seed}' for net, seed in chance)}"


def _cells(
    axes: Axes, rows: pd.DataFrame, sources: list[str], targets: list[str], colours: Colormap, cell: float
) -> None:
    bottom = len(sources) + CLEAN_GAP
    axes.set_xlim(0, len(targets))
    axes.set_ylim(bottom + 1, 0)
    axes.set_axis_off()
    for t, target in enumerate(targets):
        mine = rows[rows["target"] == target]
        for s, source in enumerate(sources):
            pairs = mine[mine["source"] == source]
            if len(pairs):
                error, lines = summarise_pairs(pairs, source == target)
                draw_heat_cell(axes, t, s, f"{100 * error:.1f}", map_colour(colours, error), lines, cell)
        clean = mine.groupby("target_seed")["clean_error"].mean()
        if len(clean):
            error = float(clean.mean())
            fill = map_colour(colours, error)
            draw_heat_cell(axes, t, bottom, f"{100 * error:.1f}", fill, _spread(clean), cell)
    for s, source in enumerate(sources):
        if source in targets:
            corner = (targets.index(source) + 0.02, s + 0.02)
            axes.add_patch(Rectangle(corner, 0.96, 0.96, fill=False, edgecolor=INK, linewidth=1.2))


def select_diagonal(pairs: pd.DataFrame, same: bool) -> pd.DataFrame:
    """The pairs of seeds that count: on the diagonal, where `same`, only a net and itself if there is such a pair."""
    alone = pairs["source_seed"] == pairs["target_seed"]
    return pairs[alone] if same and alone.any() else pairs


def measure_error(pairs: pd.DataFrame) -> tuple[float, float, float]:
    """Mean error over pairs of seeds, with its interval over both nets' seeds and over images."""
    mean, low, high = (float(pairs[f"error{end}"].mean()) for end in ("", "_low", "_high"))
    own = (pairs["source_seed"] == pairs["target_seed"]).all() and (pairs["source"] == pairs["target"]).all()
    nets = [pairs.groupby(f"{net}_seed")["error"].mean() for net in (["target"] if own else ["source", "target"])]
    return combine_intervals(mean, [one for one in nets if len(one) > 1], (mean - low, high - mean), share=True)


def summarise_pairs(pairs: pd.DataFrame, same: bool) -> tuple[float, list[str]]:
    """Mean error over pairs of seeds, and lines of small type. On the diagonal only a net and itself count."""
    counted = select_diagonal(pairs, same)
    others = pairs.drop(counted.index)
    pairs = counted
    mean, low, high = measure_error(pairs)
    lines = [f"{100 * low:.1f}–{100 * high:.1f}", *_spread(pairs["error"])]
    lines.append(f"noise {100 * pairs['error_unaimed'].mean():.1f}")
    if len(others):
        lines.append(f"other seeds {100 * others['error'].mean():.1f}")
    return mean, lines


def _spread(errors: pd.Series) -> list[str]:
    low, high = (f"{100 * bound:.1f}" for bound in (errors.min(), errors.max()))
    if len(errors) < 2:
        return []
    return [f"seeds {low}–{high}" if low != high else f"all seeds {low}"]


def _threat(rows: pd.DataFrame) -> str:
    scaled = "scaled to RMS" if rows["amplified"].any() else "RMS of the changes that fooled their own net"
    size = format_number(rows["rms"].mean()) if rows["rms"].notna().any() else "of none"
    return f"{describe_threat(rows.iloc[0])}; {scaled} {size}"


def _details(facts: pd.DataFrame, several: bool) -> str:
    n = format_n(facts["n"])
    words = f"error of the column's net (%) on examples crafted on the row's, {n}; small: 95 % interval over "
    words += interval_units(several) + (", range over seeds" if several else "")
    return words + "; noise: the same changes, their pixels in a random order; outlined: a net on its own examples"


def finding(tables: Mapping[str, pa.Table], spec: TransferMatrixFigure) -> Finding:
    """Error of other nets on each source's examples, beside noise and no attack."""
    facts, left_out = exclude_chance_models(tables)
    controls = set(facts.loc[facts["norm"] == "none", "attack"])
    rows: list[Row] = []
    away: dict[str, list[tuple[float, str]]] = {}
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
            said = f"{source} → {target} {format_share(error, low, high)} (noise of these norms {noise})"
            away.setdefault(str(attack), []).append((error, said))
    parts = []
    for attack in sorted(away, key=lambda name: name in controls):
        words = [words for _, words in sorted(away[attack], reverse=True)]
        parts.append(f"{attack}{' (the control)' if attack in controls else ''} {join_parts(words, 2)}")
    clean = format_percent(facts["clean_error"].mean())
    found = "; ".join(parts) or "no other net was asked"
    sentence = (
        f"Error of nets on examples made for another: {found}; without attack {clean} ({format_n(facts['n'])}, "
        f"{format_seeds(facts['source_seed'])})"
    )
    sentence += f"{left_out}."
    return Finding("Do adversarial examples transfer?", sentence, rows)


def explorer(tables: Mapping[str, pa.Table], spec: TransferMatrixFigure) -> Explorer | None:
    """Point at a cell to see examples of the row's net and what the column's net makes of them."""
    facts, _ = exclude_chance_models(tables)
    if facts["amplified"].any():  # the examples as they were shown, scaled, are not kept
        return None
    answers = to_frame(tables["transferred"])
    answers = first_seed(first_seed(answers, "source_seed"), "target_seed")
    crafted = to_frame(tables["examples"])
    images, adversarial = read_images(tables["examples"]), read_images(tables["examples"], "adversarial")
    ordered = facts.sort_values(
        ["norm", "attack", "source"], key=lambda one: one == "none" if one.name == "norm" else one
    )
    made = list(dict.fromkeys(zip(ordered["attack"], ordered["source"], strict=True)))
    targets = sorted(set(facts["target"]))
    strips: Strips = {}
    cells = {}
    for r, (attack, source) in enumerate(made):
        mine = crafted[(crafted["attack"] == attack) & (crafted["source"] == source)]
        rows = first_seed(mine, "source_seed").sort_values("index").iloc[:SHOWN]
        for t, target in enumerate(targets):
            pairs = facts[(facts["attack"] == attack) & (facts["source"] == source) & (facts["target"] == target)]
            if pairs.empty:
                continue
            cells[r, t], *_ = measure_error(select_diagonal(pairs, source == target))
            said = answers[
                (answers["attack"] == attack) & (answers["source"] == source) & (answers["target"] == target)
            ]
            said = said.set_index("index").loc[rows["index"]]
            for s, (pictures, seen) in enumerate(((adversarial, "predicted"), (images, "predicted_clean"))):
                strips[r, t, s] = [
                    Tile(pictures[place], f"{label} → {one}", one != label)
                    for place, label, one in zip(rows.index, rows["label"], said[seen], strict=True)
                ]
    about = (
        "Point at a cell, or reach it with the keyboard: examples of the row, and label → what the column's net says, "
        "framed: wrong."
    )
    choices = [
        Choice("examples", [f"{attack} on {source}" for attack, source in made]),
        Choice("shown to", targets),
        Choice("image", ("adversarial", "original")),
    ]
    what = "Error of the column's net on examples that were made on the row's"
    return Explorer(about, choices, strips, cells, what)


SHOWN = 10
"""Examples of a cell to look at."""
