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
from advgen.figures import common, findings
from advgen.io.tables import read_images
from advgen.metrics.intervals import interval_over_runs_and_images

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
    quality = _quality(tables)
    trivial = _trivial(rows, table, quality)
    labels = ["test image", *(f"{name}\nMSE {common.number(quality.loc[[name], 'mse'].mean())}" for name in names)]
    labels += [f"{name}\nMSE {common.number(error)}" for name, (error, *_) in trivial.items()]
    margin = common.label_width(labels, 0.25 * full)

    count = min(spec.images, min(map(len, rows.values())))
    room = full - margin
    columns = math.ceil(count / math.ceil(count / max(1, room // SMALLEST)))
    width = min(room, 16.0 * columns)
    bands = [range(start, min(start + columns, count)) for start in range(0, count, columns)]
    height = common.grid_height(width, len(labels), columns, images.shape[1:])
    details = _details(quality.loc[names])
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


def _quality(tables: Mapping[str, pa.Table]) -> pd.DataFrame:
    """What was measured on all test images, by autoencoder, a row per seed; only the first images are kept."""
    return common.frame(tables["autoencoder_quality"].drop_columns(["spectrum"])).set_index("autoencoder")


def _trivial(
    rows: dict[str, pd.DataFrame], table: pa.Table, quality: pd.DataFrame
) -> dict[str, tuple[float, pd.Index, NDArray[np.float32]]]:
    """By name, the error and pictures of what needs no autoencoder: principal components, as many as each size of z."""
    name, first = next(iter(rows.items()))
    error = float(quality.loc[[name], "mse_nearest"].mean())
    found = {}
    sizes = {name: len(one["z"].iloc[0]) for name, one in rows.items()}
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        shown = rows[name]
        found[f"{size} principal components"] = (
            float(quality.loc[[name], "mse_principal"].mean()),
            shown.index,
            read_images(table, "principal"),
        )
    return {**found, "nearest training image": (error, first.index, read_images(table, "nearest"))}


def _details(quality: pd.DataFrame) -> str:
    seeds = quality.groupby(level=0).size().max()
    words = f"first test images, unselected; MSE over {common.n_is(quality['n'])} test images"
    words += f", means of up to {seeds} seeds, of which the first is pictured" if seeds > 1 else ""
    return f"{words}; framed where the judge sees another class than the label"


def finding(tables: Mapping[str, pa.Table], spec: ReconstructionsFigure) -> findings.Finding:
    """Error and class kept of each autoencoder, over all test images, beside what needs none."""
    kept_back, quality = common.frame(tables["reconstructions"]), _quality(tables)
    names = common.in_order(spec.autoencoders, kept_back["autoencoder"])
    rows, parts = [], []
    for name in names:
        one = quality.loc[[name]]
        # how much images vary, by those that were kept
        spread = float(kept_back.loc[kept_back["autoencoder"] == name, "mse"].std()) / math.sqrt(one["n"].min())
        mse = interval_over_runs_and_images(one["mse"], (1.96 * spread, 1.96 * spread))
        class_kept, low, high = (float(one[f"class_kept{end}"].mean()) for end in ("", "_low", "_high"))
        kept = interval_over_runs_and_images(one["class_kept"], (class_kept - low, high - class_kept), share=True)
        rows.append(
            {"autoencoder": name, "seeds": one["seed"].nunique(), "n": one["n"].min()}
            | {**findings.columns_of("mse", mse), **findings.columns_of("class_kept", kept)}
            | {"class_kept_real": one["class_kept_real"].mean(), **findings.trivial_columns(one)}
        )
        error = f"{name} with an MSE of {findings.value(*mse)} ({findings.trivial(one)})"
        parts.append(f"{error}, {findings.share(*kept)} keep their class")
    shown = quality.loc[names]
    sentence = (
        f"Test images come back: {findings.listed(parts)}; {common.percent(shown['class_kept_real'].mean())} of the "
        f"originals are read rightly ({common.n_is(shown['n'])} test images, {findings.seeds(shown['seed'])})."
    )
    return findings.Finding("Reconstructions by autoencoders", sentence, rows)


def explorer(tables: Mapping[str, pa.Table], spec: ReconstructionsFigure) -> findings.Explorer:
    """The same test images before and after each autoencoder."""
    table = tables["reconstructions"]
    facts, images, restored = common.frame(table), read_images(table), read_images(table, "reconstruction")
    names = common.in_order(spec.autoencoders, facts["autoencoder"])
    strips: findings.Strips = {}
    for number, name in enumerate(("", *names)):
        rows = common.first_seed(facts[facts["autoencoder"] == (name or names[0])]).iloc[: spec.images]
        strips[(number,)] = [
            findings.Tile(restored[row.Index], f"{row.label} → {row.judged}", row.judged != row.label)
            if name
            else findings.Tile(images[row.Index], f"{row.label}")
            for row in rows.itertuples()
        ]
    about = "Flip between test images and what is left of them; label → class by the judge, framed where they differ."
    return findings.Explorer(about, [findings.Choice("shown", ("test image", *names))], strips)
