"""Eigenvalues of the covariance of z, and what the decoder makes of N(0, I)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from advgen.experiments.autoencoders.experiment import LatentSpectrumFigure
from advgen.figures.drawing import format_log_axis
from advgen.figures.findings import Finding, interval_columns
from advgen.figures.formatting import format_n, format_number, format_seeds, join_parts
from advgen.figures.images import ImageGrid, grid_height
from advgen.figures.layout import Page, content_width, heading_height, legend_height
from advgen.figures.statistics import first_seed, mean_over_seeds, present_in_order, to_frame
from advgen.figures.style import INK, series_colour, series_marker, with_style
from advgen.io.tables import read_images

TALL, LEFT, FOOT, LARGEST, FLOOR = 44.0, 13.0, 10.0, 12.0, 1e-4


@with_style
def draw(tables: Mapping[str, pa.Table], spec: LatentSpectrumFigure) -> Figure:
    """The spectra on top, a line per autoencoder; below, decoded draws of each (its first seed)."""
    full = content_width(spec)
    quality = tables["autoencoder_quality"].to_pandas()
    table = tables["decoded"]
    facts, images = to_frame(table), read_images(table)
    names = present_in_order(spec.autoencoders, quality["autoencoder"])
    quality = quality[quality["autoencoder"].isin(names)]
    details = _details(quality)
    head = heading_height(full, details)
    legend = legend_height(names, full)

    first = {name: first_seed(facts[facts["autoencoder"] == name]).index for name in names}
    count = min(spec.samples, *map(len, first.values()))
    rows = math.ceil(count / max(1, full // 7))
    columns = math.ceil(count / rows)
    grid_width = min(full, LARGEST * columns)
    height = grid_height(grid_width, rows, columns, images.shape[1:])
    words = {name: _decoded(quality[quality["autoencoder"] == name]) for name in names}
    above = heading_height(full, *words.values())
    top = head + legend + 2
    page = Page(full, top + TALL + FOOT + len(names) * (above + height + 3) - 2)
    page.heading(0, 0, full, "Covariance of latent vectors", details)
    page.legend(0, head, full, names)
    _spectra(page.axes(LEFT, top, full - LEFT - 2, TALL), quality, names)
    for number, name in enumerate(names):
        down = top + TALL + FOOT + number * (above + height + 3)
        page.heading(0, down, full, f"{name}: decoded draws", words[name])
        pictures = images[first[name][:count]]
        ImageGrid(page, 0, down + above, grid_width, [pictures[i * columns :][:columns] for i in range(rows)], columns)
    return page.figure


def _spectra(axes: Axes, quality: pd.DataFrame, names: list[str]) -> None:
    axes.axhline(1, color=INK, linewidth=0.9, linestyle=(0, (2.5, 1.5)))
    ranks = 1
    for number, name in enumerate(names):
        spectra = [np.clip(one, FLOOR, None) for one in quality.loc[quality["autoencoder"] == name, "spectrum"]]
        rank = np.arange(1, len(spectra[0]) + 1)
        ranks = max(ranks, len(rank))
        if len(spectra) > 1:
            for one in spectra:
                axes.plot(rank, one, color=series_colour(number), linewidth=0.5, alpha=0.5)
        look: dict[str, Any] = {
            "marker": series_marker(number),
            "markersize": 3.5,
            "markevery": max(1, len(rank) // 10),
        }
        axes.plot(rank, np.mean(spectra, axis=0), color=series_colour(number), linewidth=1.5, **look)
    axes.set_yscale("log")
    format_log_axis(axes.yaxis, 8)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlim(1, max(ranks, 2))
    axes.set_xlabel("eigenvalue by rank")
    axes.set_ylabel("eigenvalue (log scale)")


def _decoded(quality: pd.DataFrame) -> str:
    frechet_distance = " / ".join(format_number(value) for value in quality["frechet_distance_decoded"])
    largest = format_number(quality["ks_dimension_max"].mean())
    mean = format_number(quality["ks_dimension_mean"].mean())
    pooled = format_number(quality["ks_pooled"].mean())
    fitted = " / ".join(format_number(value) for value in quality["frechet_distance_fitted"])
    real = format_number(quality["frechet_distance_real"].mean())
    words = f"Fréchet distance {frechet_distance} (from a Gaussian fitted to its z: {fitted}; real images: {real})"
    words += f"; Kolmogorov–Smirnov distance {pooled} pooled"
    return f"{words}, {mean} mean and {largest} largest of the dimensions"


def _details(quality: pd.DataFrame) -> str:
    seeds = quality.groupby("autoencoder")["seed"].nunique().max()
    words = f"{format_n(quality['n'])} test images; dashes: N(0, I)"
    if seeds > 1:
        words += f"; thick: mean of up to {seeds} seeds, thin: the seeds"
    return words + "; pictures: the decoder on draws from N(0, I), unselected"


def finding(tables: Mapping[str, pa.Table], spec: LatentSpectrumFigure) -> Finding:
    """How unequal the eigenvalues are, and what the decoder makes of normal draws."""
    quality = tables["autoencoder_quality"].to_pandas()
    rows, parts = [], []
    for name in present_in_order(spec.autoencoders, quality["autoencoder"]):
        one = quality[quality["autoencoder"] == name]
        ends = [(max(spectrum), min(spectrum)) for spectrum in one["spectrum"]]
        largest, smallest = (float(np.mean(end)) for end in zip(*ends, strict=True))
        distance = mean_over_seeds(one["frechet_distance_decoded"].to_numpy(float))
        rows.append(
            {"autoencoder": name, "seeds": len(one), "n": one["n"].min(), "largest": largest, "smallest": smallest}
            | interval_columns("frechet_distance_decoded", distance)
            | {name: one[name].mean() for name in ("frechet_distance_fitted", "frechet_distance_real")}
        )
        parts.append(
            f"{name} spans {format_number(smallest)} to {format_number(largest)} (decoded draws: "
            f"Fréchet distance {format_number(distance[0])}, from a Gaussian fitted to its z "
            f"{format_number(one['frechet_distance_fitted'].mean())}, of real images "
            f"{format_number(one['frechet_distance_real'].mean())})"
        )
    sentence = (
        f"Eigenvalues of the latent covariance, all 1 for N(0, I): {join_parts(parts)}; "
        f"{format_n(quality['n'])}, {format_seeds(quality['seed'])}."
    )
    return Finding("Covariance of latent vectors", sentence, rows)
