"""Samples of each generator, unselected, and the share of each class in many samples."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advgen.experiments.gans.experiment import GanSamplesFigure
from advgen.figures.drawing import add_note, set_classes
from advgen.figures.findings import Choice, Explorer, Finding, Strips, Tables, Tile, interval_columns
from advgen.figures.formatting import format_n, format_number, format_percent, format_seeds, format_value, join_parts
from advgen.figures.images import ImageGrid, grid_height
from advgen.figures.layout import GAP, content_width, stacked_page
from advgen.figures.statistics import first_seed, mean_over_seeds, present_in_order, split_in_order, to_frame
from advgen.figures.style import BLUE, INK, KEEP_COLOUR, SHORT_DASHES, VERMILLION, with_style
from advgen.io.tables import read_images

WIDEST = 3.5
"""End of the axis of class shares, in multiples of the uniform share."""
COVERED = 0.01
"""Share of the samples from which on a class counts as covered."""
AXIS, LABELS = 13.0, 9.0


@with_style
def draw(tables: Tables, spec: GanSamplesFigure) -> Figure:
    """Draw a block per GAN: the first samples of its first seed, and class shares over all samples of every seed."""
    width = content_width(spec)
    facts, images = to_frame(tables["gan_samples"]), read_images(tables["gan_samples"])
    quality = _read_quality(tables)
    shares = np.array(tables["gan_quality"].column("class_share").to_pylist(), dtype=float)
    gans = present_in_order(spec.gans, facts["gan"])

    is_narrow = width < 120
    chart_width = width if is_narrow else 0.34 * width
    grid_width = width if is_narrow else width - chart_width - 1
    columns = choose_columns(spec.samples)
    side = grid_height(grid_width, math.ceil(spec.samples / columns), columns, images.shape[1:])
    chart_height = 38.0 if is_narrow else max(32.0, side)
    left, drop = (0.0, side + 3) if is_narrow else (grid_width + 1, 0.0)
    limit = _limit(shares[quality["gan"].isin(gans)])
    headings = {gan: _details(quality[quality["gan"] == gan], spec.samples) for gan in gans}
    page, tops = stacked_page(width, headings, drop + chart_height + 1, gap=GAP - 1)
    for top, gan in zip(tops, gans, strict=True):
        samples = images[first_seed(facts[facts["gan"] == gan]).index[: spec.samples]]
        rows = [samples[i : i + columns] for i in range(0, len(samples), columns)]
        ImageGrid(page, 0, top, grid_width, rows, columns)
        axes = page.axes(left + AXIS, top + drop + 1, chart_width - AXIS - 1, chart_height - 1 - LABELS)
        _draw_shares(axes, shares[quality["gan"] == gan], limit)
    return page.figure


def _read_quality(tables: Tables) -> pd.DataFrame:
    return tables["gan_quality"].drop_columns(["class_share"]).to_pandas()


def _limit(shares_SC: NDArray[np.float64]) -> float:
    """Return the end of the axis in percent, the same for all GANs; it cuts off a few bars, which are labelled."""
    uniform = 100 / shares_SC.shape[1]
    return float(np.clip(112 * shares_SC.max(), 1.8 * uniform, WIDEST * uniform))


def _draw_shares(axes: Axes, shares_SC: NDArray[np.float64], limit: float) -> None:
    """Draw the mean share of each class over the seeds, a dot per seed, the uniform share and the threshold."""
    classes = np.arange(shares_SC.shape[1])
    mean = shares_SC.mean(axis=0)
    axes.bar(classes, 100 * mean, 0.72, color=np.where(mean > COVERED, BLUE, VERMILLION), alpha=0.75)
    for shares in shares_SC if len(shares_SC) > 1 else ():
        axes.plot(classes, 100 * shares, ".", color=INK, markersize=2.5)
    uniform = 100 / len(classes)
    axes.set_ylim(0, limit)
    for place in np.flatnonzero(100 * mean > limit).tolist():
        where: dict[str, Any] = {"ha": "center", "va": "bottom", "rotation": 90, "size": 6, "weight": "bold"}
        axes.text(place, 0.35 * limit, f"{format_percent(mean[place])} ↑", color="white", gid=KEEP_COLOUR, **where)
    axes.axhline(uniform, color=INK, linewidth=0.8)
    axes.axhline(100 * COVERED, color=VERMILLION, linewidth=0.9, linestyle=SHORT_DASHES)
    add_note(axes, 0.99, 0.99, f"line: uniform, {uniform:.3g} %; dashes: covered from 1 %", ha="right")
    set_classes(axes, classes.tolist())
    axes.tick_params(axis="x", length=0)
    axes.set_xlabel("predicted class", labelpad=1.5)
    axes.set_ylabel("share of samples (%)")


def choose_columns(count: int) -> int:
    """Return the number of columns of a wide grid of `count` images that leaves the fewest cells empty."""
    widest = max(1, round(math.sqrt(count * 3.2)))
    options = range(max(1, math.ceil(widest * 0.75)), widest + 1)
    return min(options, key=lambda columns: (-count % columns, -columns))


def _details(quality: pd.DataFrame, count: int) -> str:
    distances = " / ".join(format_number(value) for value in quality["frechet_distance"])
    real = format_number(quality["frechet_distance_real"].mean())
    covered = " / ".join(f"{run.classes} ({run.classes_both} by both classifiers)" for run in quality.itertuples())
    agreement = " / ".join(format_percent(value) for value in quality["agreement"])
    seeds = ", ".join(str(seed) for seed in quality["seed"])
    which = f"seed {seeds}" if len(quality) == 1 else f"seeds {seeds}; images of seed {quality['seed'].min()}"
    if quality["collapsed"].any():
        which += f"; collapsed: {int(quality['collapsed'].sum())} of {len(quality)}"
    return (
        f"Fréchet distance {distances} (real images {real}), classes covered {covered}, "
        f"both agree on {agreement} of the samples ({format_n(quality['n'])}, {which}); "
        f"images: first {count} samples, not selected"
    )


def finding(tables: Tables, spec: GanSamplesFigure) -> Finding:
    """Report the number of classes covered and the Fréchet distance of each GAN."""
    quality = _read_quality(tables)
    rows, parts = [], []
    for gan, runs in split_in_order(quality, "gan", spec.gans).items():
        distance = mean_over_seeds(runs["frechet_distance"].to_numpy(float))
        names = ("classes", "classes_both", "agreement", "frechet_distance_real")
        means = {name: runs[name].mean() for name in names}
        rows.append(
            {"gan": gan, "seeds": len(runs), "n": runs["n"].min(), **means, "collapsed": int(runs["collapsed"].sum())}
            | interval_columns("frechet_distance", distance)
        )
        both = f"{means['classes_both']:.3g} according to a second classifier too, which agrees on "
        both += f"{format_percent(means['agreement'])} of the samples"
        parts.append(
            f"{gan} covers {means['classes']:.3g} ({both}) at a Fréchet distance of "
            f"{format_number(distance[0]) if len(runs) < 2 else format_value(*distance)}"
            f"{', collapsed' if runs['collapsed'].all() else ''}"
        )
    classes = len(tables["gan_quality"].column("class_share")[0])
    sentence = (
        f"Of the {classes} classes, {join_parts(parts)}; lower bound from real images: "
        f"{format_number(quality['frechet_distance_real'].mean())} ({format_n(quality['n'])}, "
        f"{format_seeds(quality['seed'])})."
    )
    return Finding("Samples of the GANs", sentence, rows)


def explorer(tables: Tables, spec: GanSamplesFigure) -> Explorer:
    """Show the same latent vectors at several steps of training."""
    facts, images = to_frame(tables["gan_snapshots"]), read_images(tables["gan_snapshots"])
    gans = {gan: first_seed(rows) for gan, rows in split_in_order(facts, "gan", spec.gans).items()}
    stops = max(rows["step"].nunique() for rows in gans.values())
    strips: Strips = {}
    for g, rows in enumerate(gans.values()):
        steps = sorted(set(rows["step"]))
        for s in range(stops):
            # Counted from the end: a short training has fewer snapshots, and its first stops show the same one.
            step = steps[max(0, len(steps) - stops + s)]
            snapshot = rows[rows["step"] == step].sort_values("index").index
            strips[g, s] = [Tile(images[place], f"step {step:,}") for place in snapshot]
    about = (
        "Move from the untrained to the trained generator: images of the same latent vectors, the first ones of the "
        "figure above. The number of steps doubles from stop to stop."
    )
    names = ["before training", *(_describe_fraction(stops - 2 - stop) for stop in range(stops - 1))]
    choices = [Choice("GAN", list(gans)), Choice("trained for", names, "slider", len(names) - 1)]
    return Explorer(about, choices, strips)


def _describe_fraction(halvings: int) -> str:
    return f"1/{2**halvings} of the steps" if halvings else "all steps"
