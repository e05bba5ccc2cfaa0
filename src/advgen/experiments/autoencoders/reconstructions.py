"""Test images and their reconstructions by autoencoders."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advgen.experiments.autoencoders.experiment import ReconstructionsFigure
from advgen.figures.findings import Choice, Explorer, Finding, Strips, Tables, Tile, interval_columns
from advgen.figures.formatting import (
    format_n,
    format_number,
    format_percent,
    format_seeds,
    format_share,
    format_value,
    join_parts,
)
from advgen.figures.images import ImageBands, ImageGrid
from advgen.figures.layout import content_width, titled_page
from advgen.figures.reconstruction import baseline_columns, describe_baselines
from advgen.figures.statistics import first_seed, present_in_order, split_in_order, to_frame
from advgen.figures.style import with_style
from advgen.figures.text import label_width
from advgen.io.tables import read_images
from advgen.metrics.intervals import interval_over_runs_and_images


@with_style
def draw(tables: Tables, spec: ReconstructionsFigure) -> Figure:
    """Draw the first test images at the top, then a row per autoencoder (its first seed) and per baseline."""
    width = content_width(spec)
    table = tables["reconstructions"]
    facts = to_frame(table)
    images, restored = read_images(table), read_images(table, "reconstruction")
    rows = {name: first_seed(runs) for name, runs in split_in_order(facts, "autoencoder", spec.autoencoders).items()}
    quality = _read_quality(tables)
    baselines = _read_baselines(rows, table, quality)
    errors = {name: float(quality.loc[[name], "mse"].mean()) for name in rows}
    errors |= {name: error for name, (error, *_) in baselines.items()}
    labels = ["test image", *(f"{name}\nMSE {format_number(error)}" for name, error in errors.items())]
    margin = label_width(labels, 0.25 * width)

    count = min(spec.images, min(map(len, rows.values())))
    bands = ImageBands(count, len(labels), width - margin, images.shape[1:])
    band_height = bands.height + 3
    details = _details(quality.loc[list(rows)])
    page, top = titled_page(width, "Reconstructions", details, len(bands.bands) * band_height - 2)
    for number, band in enumerate(bands.bands):
        down = top + number * band_height
        strips = [images[next(iter(rows.values())).index[band]]]
        strips += [restored[run.index[band]] for run in rows.values()]
        strips += [pictures[places[band]] for _, places, pictures in baselines.values()]
        grid = ImageGrid(page, margin, down, bands.width, strips, bands.columns)
        page.row_labels(margin - 2, down, labels, grid.row_height, margin - 2)
        for line, run in enumerate(rows.values(), 1):
            grid.frame_where(line, (run["judged"] != run["label"])[band])
    return page.figure


def _read_quality(tables: Tables) -> pd.DataFrame:
    """Return the measures over all test images by autoencoder, a row per seed."""
    return to_frame(tables["autoencoder_quality"].drop_columns(["spectrum"])).set_index("autoencoder")


def _read_baselines(
    rows: dict[str, pd.DataFrame], table: pa.Table, quality: pd.DataFrame
) -> dict[str, tuple[float, pd.Index, NDArray[np.float32]]]:
    """Return error, rows and images of each baseline: PCA with each size of z, and the nearest training image."""
    found = {}
    sizes = {name: len(run["z"].iloc[0]) for name, run in rows.items()}
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        error = float(quality.loc[[name], "mse_principal"].mean())
        found[f"PCA, {size} dimensions"] = error, rows[name].index, read_images(table, "principal")
    name, run = next(iter(rows.items()))
    error = float(quality.loc[[name], "mse_nearest"].mean())
    return {**found, "nearest training image": (error, run.index, read_images(table, "nearest"))}


def _details(quality: pd.DataFrame) -> str:
    seeds = quality.groupby(level=0).size().max()
    words = f"first test images, not selected; MSE over {format_n(quality['n'])} test images"
    words += f", means of up to {seeds} seeds (images: first seed)" if seeds > 1 else ""
    return f"{words}; framed: the reference classifier predicts another class than the label"


def finding(tables: Tables, spec: ReconstructionsFigure) -> Finding:
    """Report error and share of images that keep their class over all test images, compared with the baselines."""
    facts, quality = to_frame(tables["reconstructions"]), _read_quality(tables)
    rows, parts = [], []
    for name, stored in split_in_order(facts, "autoencoder", spec.autoencoders).items():
        runs = quality.loc[[name]]
        # The table holds single errors of the first images only; they estimate the spread over all.
        half_width = 1.96 * float(stored["mse"].std()) / math.sqrt(runs["n"].min())
        mse = interval_over_runs_and_images(runs["mse"], (half_width, half_width))
        share, low, high = (float(runs[f"class_kept{end}"].mean()) for end in ("", "_low", "_high"))
        kept = interval_over_runs_and_images(runs["class_kept"], (share - low, high - share), share=True)
        rows.append(
            {"autoencoder": name, "seeds": runs["seed"].nunique(), "n": runs["n"].min()}
            | {**interval_columns("mse", mse), **interval_columns("class_kept", kept)}
            | {"class_kept_real": runs["class_kept_real"].mean(), **baseline_columns(runs)}
        )
        parts.append(
            f"{name} {format_value(*mse)} ({describe_baselines(runs)}), "
            f"{format_share(*kept)} are still assigned the original class"
        )
    measured = quality.loc[[row["autoencoder"] for row in rows]]
    sentence = (
        f"Autoencoder reconstruction error (MSE): {join_parts(parts)}; accuracy on the original images: "
        f"{format_percent(measured['class_kept_real'].mean())} ({format_n(measured['n'])} test images, "
        f"{format_seeds(measured['seed'])})."
    )
    return Finding("Autoencoder reconstructions", sentence, rows)


def explorer(tables: Tables, spec: ReconstructionsFigure) -> Explorer:
    """Show the same test images before and after each autoencoder."""
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
    about = "Switch between test images and reconstructions; label → predicted class, framed where they differ."
    return Explorer(about, [Choice("shown", ("test image", *names))], strips)
