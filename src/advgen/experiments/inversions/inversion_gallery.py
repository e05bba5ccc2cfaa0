"""Test images and the nearest images that a generator can make."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.inversions.experiment import InversionGalleryFigure
from advgen.figures import common, findings
from advgen.io.tables import read_images

LABELS = ("target", "best found", "|difference|")
SMALLEST, WORDS = 9.0, 4.0


@common.styled
def draw(tables: Mapping[str, pa.Table], spec: InversionGalleryFigure) -> Figure:
    """Target, best image found and their difference, a block per generator (its first seed)."""
    full = common.inside(spec)
    table = tables["inversion"]
    facts = common.frame(table)
    images, found = read_images(table), read_images(table, "reconstruction")
    best = facts[facts["best"]]
    blocks = {name: common.first_seed(rows) for name, rows in best.groupby("generator")}

    margin = common.label_width(LABELS, 30)
    room = full - margin
    count = min(spec.images, max(map(len, blocks.values())))
    columns = math.ceil(count / math.ceil(count / max(1, room // SMALLEST)))
    width = min(room, 16.0 * columns)
    band = common.grid_height(width, 3, columns, images.shape[1:]) + WORDS
    bands = math.ceil(count / columns)
    details = [_details(rows) for rows in blocks.values()]
    head = common.heading_height(full, *details)
    block = head + bands * band + common.GAP
    page = common.Page(full, len(blocks) * block - common.GAP)
    for number, (name, rows) in enumerate(blocks.items()):
        page.heading(0, number * block, full, f"Test images found again in {name}", details[number])
        for line in range(bands):
            chosen = rows.iloc[: spec.images].iloc[line * columns : (line + 1) * columns]
            if chosen.empty:
                continue
            top = number * block + head + line * band
            pictures = [
                [common.as_rgb(images[i]) for i in chosen.index],
                [common.as_rgb(found[i]) for i in chosen.index],
                [common.as_rgb(np.abs(images[i] - found[i])) for i in chosen.index],
            ]
            grid = common.Grid(page, margin, top, width, [row + [None] * (columns - len(row)) for row in pictures])
            page.row_labels(margin - 2, top, LABELS, grid.row, margin - 2)
            for c, row in enumerate(chosen.itertuples()):
                changed = row.judged != row.label
                if changed:
                    grid.mark(1, c)
                text = f"{row.label} → {row.judged}" if changed else f"{row.label}"
                grid.below(c, text, color=common.VERMILLION if changed else common.GREY)
    return page.figure


def _details(rows: pd.DataFrame) -> str:
    kept = common.share_of((rows["judged"] == rows["label"]).sum(), len(rows), "images")
    mse = common.number(rows["mse"].mean())
    words = f"mean MSE {mse} ({findings.trivial(rows)}); class kept in {kept} ({findings.of_originals(rows)})"
    return f"{words}; framed where the judge sees another class"


def finding(tables: Mapping[str, pa.Table], spec: InversionGalleryFigure) -> findings.Finding:
    """Error and class kept of the best start of each image, beside the mean image."""
    return found_again(tables, "Test images found again in latent space")


def found_again(tables: Mapping[str, pa.Table], title: str) -> findings.Finding:
    """What an inversion found, by generator."""
    table = tables["inversion"]
    facts, images = common.frame(table), read_images(table).astype(float)
    rows, parts = [], []
    for name, one in facts[facts["best"]].groupby("generator"):
        mse, kept = common.mean_over_images(one, "mse"), findings.kept(one)
        targets = images[common.first_seed(one).index]
        blank = float(((targets - targets.mean(0)) ** 2).mean())
        rows.append(
            {"generator": name, "seeds": one["seed"].nunique(), "n": one["index"].nunique(), "mse_of_mean_image": blank}
            | findings.columns_of("mse", mse)
            | findings.kept_columns(one)
            | findings.trivial_columns(one)
        )
        parts.append(
            f"{name} comes as near as an MSE of {findings.value(*mse)} ({findings.trivial(one)}, the mean image "
            f"{common.number(blank)}); {findings.share(*kept)} keep their class, {findings.of_originals(one)}"
        )
    n = common.n_is([facts["index"].nunique()])
    return findings.Finding(
        title, f"{findings.listed(parts)} ({n} test images, {findings.seeds(facts['seed'])}).", rows
    )


def explorer(tables: Mapping[str, pa.Table], spec: InversionGalleryFigure) -> findings.Explorer:
    """Targets and what each start has found after some steps, over the restarts and the steps."""
    facts, way = common.frame(tables["inversion"]), common.frame(tables["inversion_steps"])
    images, found = read_images(tables["inversion"]), read_images(tables["inversion"], "reconstruction")
    between = read_images(tables["inversion_steps"])
    generators, starts = sorted(set(facts["generator"])), sorted(set(facts["start"]))
    steps = sorted(set(way["step"]))
    last = int(facts["history_step"].iloc[0][-1])
    strips: findings.Strips = {}
    for g, generator in enumerate(generators):
        early = common.first_seed(way[way["generator"] == generator])
        shown = sorted(set(early["index"]))[: spec.images]
        rows = common.first_seed(facts[facts["generator"] == generator]).sort_values("index")
        rows = rows[rows["index"].isin(shown)]
        targets = [
            findings.Tile(images[row.Index], f"{row.label}") for row in rows.drop_duplicates("index").itertuples()
        ]
        for s, start in enumerate(starts):
            strips[g, s, 0] = targets
            mine = early[(early["start"] == start) & early["index"].isin(shown)].sort_values("index")
            for k, step in enumerate(steps, 1):
                strips[g, s, k] = [
                    findings.Tile(between[row.Index], common.number(row.mse))
                    for row in mine[mine["step"] == step].itertuples()
                ]
            strips[g, s, len(steps) + 1] = [
                findings.Tile(found[row.Index], common.number(row.mse), bool(row.best))
                for row in rows[rows["start"] == start].itertuples()
            ]
    about = (
        "Slide from the target over the steps of the search, and over its restarts; below each image its MSE, framed "
        "at the end: the best of its restarts."
    )
    stops = ("target", *(f"after {common.counted(step, 'step')}" for step in (*steps, last)))
    choices = [
        findings.Choice("generator", generators),
        findings.Choice("restart", [f"start {start + 1} of {len(starts)}" for start in starts], "slider"),
        findings.Choice("step", stops, "slider", len(stops) - 1),
    ]
    return findings.Explorer(about, choices, strips)
