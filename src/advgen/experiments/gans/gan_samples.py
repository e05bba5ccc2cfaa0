"""Samples of each generator, unselected, and the share of each class in many samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.gans.experiment import GanSamplesFigure
from advgen.figures.drawing import add_note
from advgen.figures.findings import Choice, Explorer, Finding, Strips, Tile, interval_columns
from advgen.figures.formatting import format_n, format_number, format_percent, format_seeds, format_value, join_parts
from advgen.figures.images import ImageGrid, grid_height
from advgen.figures.layout import GAP, Page, content_width, heading_height
from advgen.figures.statistics import first_seed, mean_over_seeds, present_in_order, to_frame
from advgen.figures.style import BLUE, INK, KEEP_COLOUR, VERMILLION, with_style
from advgen.io.tables import read_images

WIDEST = 3.5
"""End of the axis of shares, in uniform ones."""
COVERED = 0.01  # a class counts as covered from this share on
AXIS, LABELS = 13.0, 9.0


@with_style
def draw(tables: Mapping[str, pa.Table], spec: GanSamplesFigure) -> Figure:
    """One block per GAN: the first samples of its first seed, and class shares over all samples of every seed."""
    full = content_width(spec)
    facts, images = to_frame(tables["gan_samples"]), read_images(tables["gan_samples"])
    quality = tables["gan_quality"].drop_columns(["class_share"]).to_pandas()
    shares = np.array(tables["gan_quality"].column("class_share").to_pylist(), dtype=float)

    narrow = full < 120
    chart = full if narrow else 0.34 * full
    width = full if narrow else full - chart - 1
    columns = columns_for(spec.samples)
    side = grid_height(width, math.ceil(spec.samples / columns), columns, images.shape[1:])
    chart_height = max(32.0, side) if not narrow else 38.0
    gans = present_in_order(spec.gans, facts["gan"])
    details = [_details(quality[quality["gan"] == gan], spec.samples) for gan in gans]
    limit = _limit(shares[quality["gan"].isin(gans)])
    head = heading_height(full, *details)
    block = head + (max(side, chart_height) if not narrow else side + chart_height + 3) + GAP
    page = Page(full, len(gans) * block - GAP + 1)
    for number, gan in enumerate(gans):
        top = number * block
        mine = quality[quality["gan"] == gan]
        shown = first_seed(facts[facts["gan"] == gan]).index[: spec.samples]
        page.heading(0, top, full, gan, details[number])
        top += head
        pictures = images[shown]
        rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
        ImageGrid(page, 0, top, width, rows, columns)
        left = 0.0 if narrow else width + 1
        down = top + side + 3 if narrow else top
        axes = page.axes(left + AXIS, down + 1, chart - AXIS - 1, chart_height - 1 - LABELS)
        _bars(axes, shares[mine.index], limit)
    return page.figure


def _limit(shares_SC: np.ndarray) -> float:
    """End of the axis (%) of all GANs: few bars are cut, and say how far they go."""
    uniform = 100 / shares_SC.shape[1]
    return float(np.clip(112 * shares_SC.max(), 1.8 * uniform, WIDEST * uniform))


def _bars(axes: Axes, shares_SC: np.ndarray, limit: float) -> None:
    """Mean share of each class over the seeds, a dot per seed, the uniform share and the threshold of coverage."""
    classes = np.arange(shares_SC.shape[1])
    mean = shares_SC.mean(axis=0)
    colours = [BLUE if share > COVERED else VERMILLION for share in mean]
    axes.bar(classes, 100 * mean, 0.72, color=colours, alpha=0.75)
    if len(shares_SC) > 1:
        for shares in shares_SC:
            axes.plot(classes, 100 * shares, ".", color=INK, markersize=2.5)
    uniform = 100 / len(classes)
    axes.set_ylim(0, limit)
    for place in np.flatnonzero(100 * mean > limit).tolist():
        where: dict[str, Any] = {"ha": "center", "va": "bottom", "rotation": 90, "size": 6, "weight": "bold"}
        axes.text(place, 0.35 * limit, f"{format_percent(mean[place])} ↑", color="white", gid=KEEP_COLOUR, **where)
    axes.set_xlim(-0.6, len(classes) - 0.4)
    axes.axhline(uniform, color=INK, linewidth=0.8)
    axes.axhline(100 * COVERED, color=VERMILLION, linewidth=0.9, linestyle=(0, (2, 1.5)))
    add_note(axes, 0.99, 0.99, f"line: uniform, {uniform:.3g} %; dashes: 1 %, covered", ha="right")
    axes.set_xticks(classes)
    axes.tick_params(axis="x", length=0)
    axes.grid(False, axis="x")
    axes.set_xlabel("class by the judge", labelpad=1.5)
    axes.set_ylabel("share of samples (%)")


def columns_for(count: int) -> int:
    """Columns of a wide grid for so many images, with as few blank cells as can be."""
    widest = max(1, round(math.sqrt(count * 3.2)))
    options = range(max(1, math.ceil(widest * 0.75)), widest + 1)
    return min(options, key=lambda columns: (-count % columns, -columns))


def _details(quality: pd.DataFrame, shown: int) -> str:
    frechet_distance = " / ".join(format_number(value) for value in quality["frechet_distance"])
    real = format_number(quality["frechet_distance_real"].mean())
    covered = " / ".join(f"{one.classes} ({one.classes_both} by both classifiers)" for one in quality.itertuples())
    agreed = " / ".join(format_percent(value) for value in quality["agreement"])
    seeds = ", ".join(str(seed) for seed in quality["seed"])
    which = f"seed {seeds}" if len(quality) == 1 else f"seeds {seeds}; pictures of seed {quality['seed'].min()}"
    n = format_n(quality["n"])
    if quality["collapsed"].any():
        which += f"; collapsed: {int(quality['collapsed'].sum())} of {len(quality)}"
    words = f"Fréchet distance {frechet_distance} (real images {real}), classes covered {covered}"
    words += f", the two agree on {agreed} of the samples ({n}, {which})"
    return f"{words}; first {shown} samples, unselected"


def finding(tables: Mapping[str, pa.Table], spec: GanSamplesFigure) -> Finding:
    """Classes covered and Fréchet distance of each GAN."""
    quality = tables["gan_quality"].drop_columns(["class_share"]).to_pandas()
    rows, parts = [], []
    for gan in present_in_order(spec.gans, quality["gan"]):
        one = quality[quality["gan"] == gan]
        distance = mean_over_seeds(one["frechet_distance"].to_numpy(float))
        classes = one["classes"].mean()
        rows.append(
            {
                "gan": gan,
                "seeds": len(one),
                "n": one["n"].min(),
                "classes": classes,
                **{name: one[name].mean() for name in ("classes_both", "agreement", "frechet_distance_real")},
                "collapsed": int(one["collapsed"].sum()),
                **interval_columns("frechet_distance", distance),
            }
        )
        words = format_number(distance[0]) if len(one) < 2 else format_value(*distance)
        gone = ", collapsed" if one["collapsed"].all() else ""
        both = f"{one['classes_both'].mean():.3g} of them by a second classifier too, which agrees on "
        both += format_percent(one["agreement"].mean())
        parts.append(f"{gan} covers {classes:.3g} classes ({both}) at a Fréchet distance of {words}{gone}")
    most = tables["gan_quality"].column("class_share")[0]
    sentence = (
        f"Of {len(most)} classes {join_parts(parts)}; as many real images lie at "
        f"{format_number(quality['frechet_distance_real'].mean())} ({format_n(quality['n'])}, "
        f"{format_seeds(quality['seed'])})."
    )
    return Finding("Samples of the generators", sentence, rows)


def explorer(tables: Mapping[str, pa.Table], spec: GanSamplesFigure) -> Explorer:
    """The same latent vectors over the steps of training, to the end."""
    table = tables["gan_snapshots"]
    facts, images = to_frame(table), read_images(table)
    gans = present_in_order(spec.gans, facts["gan"])
    shown = {gan: first_seed(facts[facts["gan"] == gan]) for gan in gans}
    stops = max(rows["step"].nunique() for rows in shown.values())
    strips: Strips = {}
    for g, rows in enumerate(shown.values()):
        steps = sorted(set(rows["step"]))
        for s in range(stops):
            # counted from the end: of a short training the first stops are alike
            step = steps[max(0, len(steps) - stops + s)]
            now = rows[rows["step"] == step].sort_values("index").index
            strips[g, s] = [Tile(images[place], f"step {step:,}") for place in now]
    about = (
        "Slide from the untrained generator to the trained one: the same latent vectors, the first ones of the samples "
        "above, each stop after twice as many steps as the one before."
    )
    names = ["before training", *(_fraction(stops - 2 - stop) for stop in range(stops - 1))]
    choices = [Choice("GAN", gans), Choice("trained for", names, "slider", len(names) - 1)]
    return Explorer(about, choices, strips)


def _fraction(halvings: int) -> str:
    """How much of the training is done."""
    return f"1/{2**halvings} of the steps" if halvings else "all steps"
