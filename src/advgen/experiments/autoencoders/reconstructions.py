"""Test images and what autoencoders make of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advgen.experiments.autoencoders.experiment import ReconstructionsFigure
from advgen.figures import common, told
from advgen.io.tables import read_images

SMALLEST = 9.0


@common.styled
def draw(tables: Mapping[str, pa.Table], spec: ReconstructionsFigure) -> Figure:
    """The first test images on top, then a row per autoencoder (its first seed)."""
    full = common.inside(spec)
    table = tables["reconstructions"]
    facts = common.frame(table)
    images, restored = read_images(table), read_images(table, "reconstruction")
    names = common.in_order(spec.autoencoders, facts["autoencoder"])
    rows = {name: common.first_seed(facts[facts["autoencoder"] == name]) for name in names}
    trivial = _trivial(rows, table)
    labels = ["test image", *(f"{name}\nMSE {common.number(rows[name]['mse'].mean())}" for name in names)]
    labels += [f"{name}\nMSE {common.number(error)}" for name, (error, *_) in trivial.items()]
    margin = common.label_width(labels, 0.25 * full)

    count = min(spec.images, min(map(len, rows.values())))
    room = full - margin
    columns = math.ceil(count / math.ceil(count / max(1, room // SMALLEST)))
    width = min(room, 16.0 * columns)
    bands = [range(start, min(start + columns, count)) for start in range(0, count, columns)]
    height = common.grid_height(width, len(labels), columns, images.shape[1:])
    details = _details(rows)
    head = common.heading_height(full, details)
    page = common.Page(full, head + len(bands) * (height + 3) - 2)
    page.heading(0, 0, full, "Reconstructions", details)
    for number, band in enumerate(bands):
        top = head + number * (height + 3)
        first = rows[names[0]]
        grid_rows = [[common.as_rgb(images[first.index[i]]) for i in band]]
        grid_rows += [[common.as_rgb(restored[rows[name].index[i]]) for i in band] for name in names]
        grid_rows += [[common.as_rgb(pictures[places[i]]) for i in band] for _, places, pictures in trivial.values()]
        padded = [row + [None] * (columns - len(row)) for row in grid_rows]
        grid = common.Grid(page, margin, top, width, padded)
        page.row_labels(margin - 2, top, labels, grid.row, margin - 2)
        for r, name in enumerate(names, 1):
            for c, i in enumerate(band):
                row = rows[name].iloc[i]
                if row["judged"] != row["label"]:
                    grid.mark(r, c)
    return page.figure


def _trivial(rows: dict[str, pd.DataFrame], table: pa.Table) -> dict[str, tuple[float, pd.Index, NDArray[np.float32]]]:
    """By name, the error and pictures of what needs no autoencoder: principal components, as many as each size of z."""
    first = next(iter(rows.values()))
    found = {}
    sizes = {name: len(one["z"].iloc[0]) for name, one in rows.items()}
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        shown = rows[name]
        found[f"{size} principal components"] = (
            float(shown["mse_principal"].mean()),
            shown.index,
            read_images(table, "principal"),
        )
    nearest = float(first["mse_nearest"].mean()), first.index, read_images(table, "nearest")
    return {**found, "nearest training image": nearest}


def _details(rows: dict[str, pd.DataFrame]) -> str:
    n = common.n_is([len(one) for one in rows.values()])
    return f"first test images, unselected; MSE over {n}; framed where the judge sees another class than the label"


def finding(tables: Mapping[str, pa.Table], spec: ReconstructionsFigure) -> told.Finding:
    """Error and class kept of each autoencoder, beside the mean image."""
    table = tables["reconstructions"]
    facts, images = common.frame(table), read_images(table).astype(float)
    rows, parts = [], []
    for name in common.in_order(spec.autoencoders, facts["autoencoder"]):
        one = facts[facts["autoencoder"] == name]
        mse, kept = told.mean_over_images(one, "mse"), told.kept(one)
        rows.append(
            {"autoencoder": name, "seeds": one["seed"].nunique(), "n": one["index"].nunique()}
            | told.columns_of("mse", mse)
            | told.kept_columns(one)
            | told.trivial_columns(one)
        )
        error = f"{name} with an MSE of {told.value(*mse)} ({told.trivial(one)})"
        parts.append(f"{error}, {told.share(*kept)} keep their class")
    shown = images[common.first_seed(facts[facts["autoencoder"] == facts["autoencoder"].iloc[0]]).index]
    blank = common.number(float(((shown - shown.mean(0)) ** 2).mean()))
    n = common.n_is(facts.groupby(["autoencoder", "seed"]).size())
    sentence = (
        f"Test images come back: {told.listed(parts)}; {told.of_originals(facts)}, and the mean image instead of each "
        f"has {blank} ({n} test images, {told.seeds(facts['seed'])})."
    )
    return told.Finding("Reconstructions by autoencoders", sentence, rows)


def explorer(tables: Mapping[str, pa.Table], spec: ReconstructionsFigure) -> told.Explorer:
    """The same test images before and after each autoencoder."""
    table = tables["reconstructions"]
    facts, images, restored = common.frame(table), read_images(table), read_images(table, "reconstruction")
    names = common.in_order(spec.autoencoders, facts["autoencoder"])
    strips: told.Strips = {}
    for number, name in enumerate(("", *names)):
        rows = common.first_seed(facts[facts["autoencoder"] == (name or names[0])]).iloc[: spec.images]
        strips[(number,)] = [
            told.Tile(restored[row.Index], f"{row.label} → {row.judged}", row.judged != row.label)
            if name
            else told.Tile(images[row.Index], f"{row.label}")
            for row in rows.itertuples()
        ]
    about = "Flip between test images and what is left of them; label → class by the judge, framed where they differ."
    return told.Explorer(about, [told.Choice("shown", ("test image", *names))], strips)
