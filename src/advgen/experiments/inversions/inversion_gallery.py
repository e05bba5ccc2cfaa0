"""Test images and the nearest images that a generator can make."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.inversions.experiment import InversionGalleryFigure
from advgen.figures.findings import Choice, Explorer, Finding, Strips, Tile, interval_columns
from advgen.figures.formatting import (
    format_count,
    format_n,
    format_number,
    format_seeds,
    format_share,
    format_value,
    format_wilson_share,
    join_parts,
)
from advgen.figures.images import ImageGrid, grid_height
from advgen.figures.layout import GAP, Page, content_width, heading_height
from advgen.figures.reconstruction import (
    baseline_columns,
    class_kept,
    class_kept_columns,
    describe_baselines,
    describe_real_accuracy,
)
from advgen.figures.statistics import first_seed, mean_over_images, to_frame
from advgen.figures.style import GREY, VERMILLION, with_style
from advgen.figures.text import label_width
from advgen.io.tables import read_images

LABELS = ("target", "best found", "|difference|")
SMALLEST, WORDS = 9.0, 4.0


@with_style
def draw(tables: Mapping[str, pa.Table], spec: InversionGalleryFigure) -> Figure:
    """Target, best image found and their difference, a block per generator (its first seed)."""
    full = content_width(spec)
    table = tables["inversion"]
    facts = to_frame(table)
    images, found = read_images(table), read_images(table, "reconstruction")
    best = facts[facts["best"]]
    blocks = {name: first_seed(rows) for name, rows in best.groupby("generator")}

    margin = label_width(LABELS, 30)
    room = full - margin
    count = min(spec.images, max(map(len, blocks.values())))
    columns = math.ceil(count / math.ceil(count / max(1, room // SMALLEST)))
    width = min(room, 16.0 * columns)
    band = grid_height(width, 3, columns, images.shape[1:]) + WORDS
    bands = math.ceil(count / columns)
    details = [_details(rows) for rows in blocks.values()]
    head = heading_height(full, *details)
    block = head + bands * band + GAP
    page = Page(full, len(blocks) * block - GAP)
    for number, (name, rows) in enumerate(blocks.items()):
        page.heading(0, number * block, full, f"Test images found again in {name}", details[number])
        for line in range(bands):
            chosen = rows.iloc[: spec.images].iloc[line * columns : (line + 1) * columns]
            if chosen.empty:
                continue
            top = number * block + head + line * band
            pictures = [
                images[chosen.index],
                found[chosen.index],
                np.abs(images[chosen.index] - found[chosen.index]),
            ]
            grid = ImageGrid(page, margin, top, width, pictures, columns)
            page.row_labels(margin - 2, top, LABELS, grid.row_height, margin - 2)
            for c, row in enumerate(chosen.itertuples()):
                changed = row.judged != row.label
                if changed:
                    grid.frame(1, c)
                text = f"{row.label} → {row.judged}" if changed else f"{row.label}"
                grid.caption(c, text, color=VERMILLION if changed else GREY)
    return page.figure


def _details(rows: pd.DataFrame) -> str:
    kept = format_wilson_share((rows["judged"] == rows["label"]).sum(), len(rows), "images")
    mse = format_number(rows["mse"].mean())
    words = f"mean MSE {mse} ({describe_baselines(rows)}); class kept in {kept} ({describe_real_accuracy(rows)})"
    return f"{words}; framed where the judge sees another class"


def finding(tables: Mapping[str, pa.Table], spec: InversionGalleryFigure) -> Finding:
    """Error and class kept of the best start of each image, beside the mean image."""
    return found_again(tables, "Test images found again in latent space")


def found_again(tables: Mapping[str, pa.Table], title: str) -> Finding:
    """What an inversion found, by generator."""
    table = tables["inversion"]
    facts, images = to_frame(table), read_images(table).astype(float)
    rows, parts = [], []
    for name, one in facts[facts["best"]].groupby("generator"):
        mse, kept = mean_over_images(one, "mse"), class_kept(one)
        targets = images[first_seed(one).index]
        blank = float(((targets - targets.mean(0)) ** 2).mean())
        rows.append(
            {"generator": name, "seeds": one["seed"].nunique(), "n": one["index"].nunique(), "mse_of_mean_image": blank}
            | interval_columns("mse", mse)
            | class_kept_columns(one)
            | baseline_columns(one)
        )
        parts.append(
            f"{name} comes as near as an MSE of {format_value(*mse)} ({describe_baselines(one)}, the mean image "
            f"{format_number(blank)}); {format_share(*kept)} keep their class, {describe_real_accuracy(one)}"
        )
    n = format_n([facts["index"].nunique()])
    return Finding(title, f"{join_parts(parts)} ({n} test images, {format_seeds(facts['seed'])}).", rows)


def explorer(tables: Mapping[str, pa.Table], spec: InversionGalleryFigure) -> Explorer:
    """Targets and what each start has found after some steps, over the restarts and the steps."""
    facts, way = to_frame(tables["inversion"]), to_frame(tables["inversion_steps"])
    images, found = read_images(tables["inversion"]), read_images(tables["inversion"], "reconstruction")
    between = read_images(tables["inversion_steps"])
    generators, starts = sorted(set(facts["generator"])), sorted(set(facts["start"]))
    steps = sorted(set(way["step"]))
    last = int(facts["history_step"].iloc[0][-1])
    strips: Strips = {}
    for g, generator in enumerate(generators):
        early = first_seed(way[way["generator"] == generator])
        shown = sorted(set(early["index"]))[: spec.images]
        rows = first_seed(facts[facts["generator"] == generator]).sort_values("index")
        rows = rows[rows["index"].isin(shown)]
        targets = [Tile(images[row.Index], f"{row.label}") for row in rows.drop_duplicates("index").itertuples()]
        for s, start in enumerate(starts):
            strips[g, s, 0] = targets
            mine = early[(early["start"] == start) & early["index"].isin(shown)].sort_values("index")
            for k, step in enumerate(steps, 1):
                strips[g, s, k] = [
                    Tile(between[row.Index], format_number(row.mse)) for row in mine[mine["step"] == step].itertuples()
                ]
            strips[g, s, len(steps) + 1] = [
                Tile(found[row.Index], format_number(row.mse), bool(row.best))
                for row in rows[rows["start"] == start].itertuples()
            ]
    about = (
        "Slide from the target over the steps of the search, and over its restarts; below each image its MSE, framed "
        "at the end: the best of its restarts."
    )
    stops = ("target", *(f"after {format_count(step, 'step')}" for step in (*steps, last)))
    choices = [
        Choice("generator", generators),
        Choice("restart", [f"start {start + 1} of {len(starts)}" for start in starts], "slider"),
        Choice("step", stops, "slider", len(stops) - 1),
    ]
    return Explorer(about, choices, strips)
