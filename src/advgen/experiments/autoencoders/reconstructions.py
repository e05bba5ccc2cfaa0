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
from advgen.figures.findings import Choice, Explorer, Finding, Strips, Tile, interval_columns
from advgen.figures.formatting import (
    format_n,
    format_number,
    format_percent,
    format_seeds,
    format_share,
    format_value,
    join_parts,
)
from advgen.figures.images import ImageGrid, grid_height
from advgen.figures.layout import Page, content_width, heading_height
from advgen.figures.reconstruction import baseline_columns, describe_baselines
from advgen.figures.statistics import first_seed, present_in_order, to_frame
from advgen.figures.style import with_style
from advgen.figures.text import label_width
from advgen.io.tables import read_images
from advgen.metrics.intervals import interval_over_runs_and_images

SMALLEST = 9.0


@with_style
def draw(tables: Mapping[str, pa.Table], spec: ReconstructionsFigure) -> Figure:
    """The first test images on top, then a row per autoencoder (its first seed)."""
    full = content_width(spec)
    table = tables["reconstructions"]
    facts = to_frame(table)
    images, restored = read_images(table), read_images(table, "reconstruction")
    names = present_in_order(spec.autoencoders, facts["autoencoder"])
    rows = {name: first_seed(facts[facts["autoencoder"] == name]) for name in names}
    quality = _quality(tables)
    trivial = _trivial(rows, table, quality)
    labels = ["test image", *(f"{name}\nMSE {format_number(quality.loc[[name], 'mse'].mean())}" for name in names)]
    labels += [f"{name}\nMSE {format_number(error)}" for name, (error, *_) in trivial.items()]
    margin = label_width(labels, 0.25 * full)

    count = min(spec.images, min(map(len, rows.values())))
    room = full - margin
    columns = math.ceil(count / math.ceil(count / max(1, room // SMALLEST)))
    width = min(room, 16.0 * columns)
    bands = [range(start, min(start + columns, count)) for start in range(0, count, columns)]
    height = grid_height(width, len(labels), columns, images.shape[1:])
    details = _details(quality.loc[names])
    head = heading_height(full, details)
    page = Page(full, head + len(bands) * (height + 3) - 2)
    page.heading(0, 0, full, "Reconstructions", details)
    for number, band in enumerate(bands):
        top = head + number * (height + 3)
        first = rows[names[0]]
        grid_rows = [images[first.index[band]]]
        grid_rows += [restored[rows[name].index[band]] for name in names]
        grid_rows += [pictures[places[band]] for _, places, pictures in trivial.values()]
        grid = ImageGrid(page, margin, top, width, grid_rows, columns)
        page.row_labels(margin - 2, top, labels, grid.row_height, margin - 2)
        for r, name in enumerate(names, 1):
            for c, i in enumerate(band):
                row = rows[name].iloc[i]
                if row["judged"] != row["label"]:
                    grid.frame(r, c)
    return page.figure


def _quality(tables: Mapping[str, pa.Table]) -> pd.DataFrame:
    """What was measured on all test images, by autoencoder, a row per seed; only the first images are kept."""
    return to_frame(tables["autoencoder_quality"].drop_columns(["spectrum"])).set_index("autoencoder")


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
    words = f"first test images, unselected; MSE over {format_n(quality['n'])} test images"
    words += f", means of up to {seeds} seeds, of which the first is pictured" if seeds > 1 else ""
    return f"{words}; framed where the judge sees another class than the label"


def finding(tables: Mapping[str, pa.Table], spec: ReconstructionsFigure) -> Finding:
    """Error and class kept of each autoencoder, over all test images, beside what needs none."""
    kept_back, quality = to_frame(tables["reconstructions"]), _quality(tables)
    names = present_in_order(spec.autoencoders, kept_back["autoencoder"])
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
            | {**interval_columns("mse", mse), **interval_columns("class_kept", kept)}
            | {"class_kept_real": one["class_kept_real"].mean(), **baseline_columns(one)}
        )
        error = f"{name} with an MSE of {format_value(*mse)} ({describe_baselines(one)})"
        parts.append(f"{error}, {format_share(*kept)} keep their class")
    shown = quality.loc[names]
    sentence = (
        f"Test images come back: {join_parts(parts)}; {format_percent(shown['class_kept_real'].mean())} of the "
        f"originals are read rightly ({format_n(shown['n'])} test images, {format_seeds(shown['seed'])})."
    )
    return Finding("Reconstructions by autoencoders", sentence, rows)


def explorer(tables: Mapping[str, pa.Table], spec: ReconstructionsFigure) -> Explorer:
    """The same test images before and after each autoencoder."""
    table = tables["reconstructions"]
    facts, images, restored = to_frame(table), read_images(table), read_images(table, "reconstruction")
    names = present_in_order(spec.autoencoders, facts["autoencoder"])
    strips: Strips = {}
    for number, name in enumerate(("", *names)):
        rows = first_seed(facts[facts["autoencoder"] == (name or names[0])]).iloc[: spec.images]
        strips[(number,)] = [
            Tile(restored[row.Index], f"{row.label} → {row.judged}", row.judged != row.label)
            if name
            else Tile(images[row.Index], f"{row.label}")
            for row in rows.itertuples()
        ]
    about = "Flip between test images and what is left of them; label → class by the judge, framed where they differ."
    return Explorer(about, [Choice("shown", ("test image", *names))], strips)
