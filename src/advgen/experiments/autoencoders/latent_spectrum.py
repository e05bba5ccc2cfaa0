"""Eigenvalues of the covariance of z, and images that the decoder makes from N(0, I)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from advgen.experiments.autoencoders.experiment import LatentSpectrumFigure
from advgen.figures.drawing import format_log_axis
from advgen.figures.findings import Finding, Tables, interval_columns
from advgen.figures.formatting import format_n, format_number, format_seeds, join_parts
from advgen.figures.images import ImageBands, ImageGrid, grid_height
from advgen.figures.layout import content_width, heading_height, titled_page
from advgen.figures.statistics import first_seed, mean_over_seeds, split_in_order, to_frame
from advgen.figures.style import DASHED, INK, series_colour, series_marker, with_style
from advgen.io.tables import read_images

HEIGHT, LEFT, BOTTOM = 44.0, 13.0, 10.0
SMALLEST_EIGENVALUE = 1e-4
"""Smaller eigenvalues are drawn as this one, because the axis is logarithmic."""


@with_style
def draw(tables: Tables, spec: LatentSpectrumFigure) -> Figure:
    """Draw the spectra at the top, a line per autoencoder, and below them decoded samples (of its first seed)."""
    width = content_width(spec)
    blocks = split_in_order(tables["autoencoder_quality"].to_pandas(), "autoencoder", spec.autoencoders)
    facts, images = to_frame(tables["decoded"]), read_images(tables["decoded"])
    samples = {name: first_seed(facts[facts["autoencoder"] == name]).index for name in blocks}
    count = min(spec.samples, *map(len, samples.values()))
    lines = ImageBands(count, 1, width, images.shape[1:], smallest=7.0, largest=12.0)
    height = grid_height(lines.width, len(lines.bands), lines.columns, images.shape[1:])
    details = {name: _describe_decoded(rows) for name, rows in blocks.items()}
    head = heading_height(width, *details.values())
    body = 2 + HEIGHT + BOTTOM + len(blocks) * (head + height + 3) - 2
    words = _details(pd.concat(blocks.values()))
    page, top = titled_page(width, "Covariance of latent vectors", words, body, legend=list(blocks))
    _draw_spectra(page.axes(LEFT, top + 2, width - LEFT - 2, HEIGHT), blocks)
    for number, name in enumerate(blocks):
        down = top + 2 + HEIGHT + BOTTOM + number * (head + height + 3)
        page.heading(0, down, width, f"{name}: decoded samples", details[name])
        ImageGrid(page, 0, down + head, lines.width, [images[samples[name][band]] for band in lines.bands])
    return page.figure


def _draw_spectra(axes: Axes, blocks: Mapping[str, pd.DataFrame]) -> None:
    axes.axhline(1, color=INK, linewidth=0.9, linestyle=DASHED)
    ranks = 2
    for number, quality in enumerate(blocks.values()):
        spectra = [np.clip(spectrum, SMALLEST_EIGENVALUE, None) for spectrum in quality["spectrum"]]
        rank = np.arange(1, len(spectra[0]) + 1)
        ranks = max(ranks, len(rank))
        colour = series_colour(number)
        for spectrum in spectra if len(spectra) > 1 else ():
            axes.plot(rank, spectrum, color=colour, linewidth=0.5, alpha=0.5)
        axes.plot(
            rank,
            np.mean(spectra, axis=0),
            color=colour,
            linewidth=1.5,
            marker=series_marker(number),
            markersize=3.5,
            markevery=max(1, len(rank) // 10),
        )
    axes.set_yscale("log")
    format_log_axis(axes.yaxis, 8)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set(xlim=(1, ranks), xlabel="eigenvalue by rank", ylabel="eigenvalue (log scale)")


def _describe_decoded(quality: pd.DataFrame) -> str:
    decoded, fitted = (
        " / ".join(format_number(value) for value in quality[f"frechet_distance_{name}"])
        for name in ("decoded", "fitted")
    )
    real, pooled, mean, largest = (
        format_number(quality[name].mean())
        for name in ("frechet_distance_real", "ks_pooled", "ks_dimension_mean", "ks_dimension_max")
    )
    return (
        f"Fréchet distance {decoded} (with z from a fitted Gaussian: {fitted}; real images: {real}); "
        f"Kolmogorov–Smirnov distance of z from N(0, 1): {pooled} pooled, {mean} mean and {largest} maximum "
        "over dimensions"
    )


def _details(quality: pd.DataFrame) -> str:
    seeds = quality.groupby("autoencoder")["seed"].nunique().max()
    words = f"{format_n(quality['n'])} test images; dashes: N(0, I)"
    if seeds > 1:
        words += f"; thick: mean of up to {seeds} seeds, thin: single seeds"
    return words + "; images: decoded samples from N(0, I), not selected"


def finding(tables: Tables, spec: LatentSpectrumFigure) -> Finding:
    """Report the range of the eigenvalues and the Fréchet distance of decoded samples."""
    quality = tables["autoencoder_quality"].to_pandas()
    rows, parts = [], []
    for name, runs in split_in_order(quality, "autoencoder", spec.autoencoders).items():
        largest, smallest = (float(np.mean([end(spectrum) for spectrum in runs["spectrum"]])) for end in (max, min))
        distance = mean_over_seeds(runs["frechet_distance_decoded"].to_numpy(float))
        others = {column: runs[column].mean() for column in ("frechet_distance_fitted", "frechet_distance_real")}
        rows.append(
            {"autoencoder": name, "seeds": len(runs), "n": runs["n"].min(), "largest": largest, "smallest": smallest}
            | interval_columns("frechet_distance_decoded", distance)
            | others
        )
        fitted, real = map(format_number, others.values())
        parts.append(
            f"{name} from {format_number(smallest)} to {format_number(largest)} (Fréchet distance of decoded samples "
            f"{format_number(distance[0])}, with z from a fitted Gaussian {fitted}, of real images {real})"
        )
    sentence = (
        f"Eigenvalues of the latent covariance, which are 1 for N(0, I): {join_parts(parts)}; "
        f"{format_n(quality['n'])}, {format_seeds(quality['seed'])}."
    )
    return Finding("Covariance of latent vectors", sentence, rows)
