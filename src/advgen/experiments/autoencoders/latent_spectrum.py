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
from advgen.figures import common, findings
from advgen.io.tables import read_images

TALL, LEFT, FOOT, LARGEST, FLOOR = 44.0, 13.0, 10.0, 12.0, 1e-4


@common.styled
def draw(tables: Mapping[str, pa.Table], spec: LatentSpectrumFigure) -> Figure:
    """The spectra on top, a line per autoencoder; below, decoded draws of each (its first seed)."""
    full = common.inside(spec)
    quality = tables["autoencoder_quality"].to_pandas()
    table = tables["decoded"]
    facts, images = common.frame(table), read_images(table)
    names = common.in_order(spec.autoencoders, quality["autoencoder"])
    quality = quality[quality["autoencoder"].isin(names)]
    details = _details(quality)
    head = common.heading_height(full, details)
    legend = common.legend_height(names, full)

    first = {name: common.first_seed(facts[facts["autoencoder"] == name]).index for name in names}
    count = min(spec.samples, *map(len, first.values()))
    rows = math.ceil(count / max(1, full // 7))
    columns = math.ceil(count / rows)
    grid_width = min(full, LARGEST * columns)
    height = common.grid_height(grid_width, rows, columns, images.shape[1:])
    words = {name: _decoded(quality[quality["autoencoder"] == name]) for name in names}
    above = common.heading_height(full, *words.values())
    top = head + legend + 2
    page = common.Page(full, top + TALL + FOOT + len(names) * (above + height + 3) - 2)
    page.heading(0, 0, full, "Covariance of latent vectors", details)
    page.legend(0, head, full, names)
    _spectra(page.axes(LEFT, top, full - LEFT - 2, TALL), quality, names)
    for number, name in enumerate(names):
        down = top + TALL + FOOT + number * (above + height + 3)
        page.heading(0, down, full, f"{name}: decoded draws", words[name])
        pictures: list[common.Images | None] = [common.as_rgb(images[i]) for i in first[name][:count]]
        pictures += [None] * (rows * columns - len(pictures))
        common.Grid(page, 0, down + above, grid_width, [pictures[i * columns :][:columns] for i in range(rows)])
    return page.figure


def _spectra(axes: Axes, quality: pd.DataFrame, names: list[str]) -> None:
    axes.axhline(1, color=common.INK, linewidth=0.9, linestyle=(0, (2.5, 1.5)))
    ranks = 1
    for number, name in enumerate(names):
        spectra = [np.clip(one, FLOOR, None) for one in quality.loc[quality["autoencoder"] == name, "spectrum"]]
        rank = np.arange(1, len(spectra[0]) + 1)
        ranks = max(ranks, len(rank))
        if len(spectra) > 1:
            for one in spectra:
                axes.plot(rank, one, color=common.colour(number), linewidth=0.5, alpha=0.5)
        look: dict[str, Any] = {
            "marker": common.marker(number)[0],
            "markersize": 3.5,
            "markevery": max(1, len(rank) // 10),
        }
        axes.plot(rank, np.mean(spectra, axis=0), color=common.colour(number), linewidth=1.5, **look)
    axes.set_yscale("log")
    common.log_numbers(axes.yaxis, 8)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlim(1, max(ranks, 2))
    axes.set_xlabel("eigenvalue by rank")
    axes.set_ylabel("eigenvalue (log scale)")


def _decoded(quality: pd.DataFrame) -> str:
    frechet_distance = " / ".join(common.number(value) for value in quality["frechet_distance_decoded"])
    largest = common.number(quality["ks_dimension_max"].mean())
    mean = common.number(quality["ks_dimension_mean"].mean())
    pooled = common.number(quality["ks_pooled"].mean())
    fitted = " / ".join(common.number(value) for value in quality["frechet_distance_fitted"])
    real = common.number(quality["frechet_distance_real"].mean())
    words = f"Fréchet distance {frechet_distance} (from a Gaussian fitted to its z: {fitted}; real images: {real})"
    words += f"; Kolmogorov–Smirnov distance {pooled} pooled"
    return f"{words}, {mean} mean and {largest} largest of the dimensions"


def _details(quality: pd.DataFrame) -> str:
    seeds = quality.groupby("autoencoder")["seed"].nunique().max()
    words = f"{common.n_is(quality['n'])} test images; dashes: N(0, I)"
    if seeds > 1:
        words += f"; thick: mean of up to {seeds} seeds, thin: the seeds"
    return words + "; pictures: the decoder on draws from N(0, I), unselected"


def finding(tables: Mapping[str, pa.Table], spec: LatentSpectrumFigure) -> findings.Finding:
    """How unequal the eigenvalues are, and what the decoder makes of normal draws."""
    quality = tables["autoencoder_quality"].to_pandas()
    rows, parts = [], []
    for name in common.in_order(spec.autoencoders, quality["autoencoder"]):
        one = quality[quality["autoencoder"] == name]
        ends = [(max(spectrum), min(spectrum)) for spectrum in one["spectrum"]]
        largest, smallest = (float(np.mean(end)) for end in zip(*ends, strict=True))
        distance = common.over_seeds(one["frechet_distance_decoded"].to_numpy(float))
        rows.append(
            {"autoencoder": name, "seeds": len(one), "n": one["n"].min(), "largest": largest, "smallest": smallest}
            | findings.columns_of("frechet_distance_decoded", distance)
            | {name: one[name].mean() for name in ("frechet_distance_fitted", "frechet_distance_real")}
        )
        parts.append(
            f"{name} spans {common.number(smallest)} to {common.number(largest)} (decoded draws: "
            f"Fréchet distance {common.number(distance[0])}, from a Gaussian fitted to its z "
            f"{common.number(one['frechet_distance_fitted'].mean())}, of real images "
            f"{common.number(one['frechet_distance_real'].mean())})"
        )
    sentence = (
        f"Eigenvalues of the latent covariance, all 1 for N(0, I): {findings.listed(parts)}; "
        f"{common.n_is(quality['n'])}, {findings.seeds(quality['seed'])}."
    )
    return findings.Finding("Covariance of latent vectors", sentence, rows)
