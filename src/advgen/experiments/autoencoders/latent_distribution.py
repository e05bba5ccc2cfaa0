"""Distribution of latent numbers over training against the normal one, pooled and per dimension."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.special import ndtr

from advgen.experiments.autoencoders.experiment import LatentDistributionFigure
from advgen.figures.findings import Finding, Row
from advgen.figures.formatting import format_seeds, join_parts
from advgen.figures.layout import Page, Panels, content_width, heading_height
from advgen.figures.statistics import first_seed, present_in_order, to_frame
from advgen.figures.style import BLUE, INK, with_style
from advgen.figures.text import fit_font_size

TALL, LEFT, FOOT, SHOWN, REACH = 26.0, 4.0, 5.0, 5, 3.2


@with_style
def draw(tables: Mapping[str, pa.Table], spec: LatentDistributionFigure) -> Figure:
    """A row per autoencoder (its first seed), a panel per epoch, from the first to the last."""
    full = content_width(spec)
    facts = to_frame(tables["latent_snapshots"])
    names = present_in_order(spec.autoencoders, facts["autoencoder"])
    blocks = {name: first_seed(facts[facts["autoencoder"] == name]) for name in names}
    details = (
        f"share of latent numbers below x; blue: all pooled; band: 10 % to 90 % of the dimensions; dashes: {NORMAL}"
    )
    head = heading_height(full, details)
    epochs = {name: chosen(sorted(set(rows["epoch"]))) for name, rows in blocks.items()}
    panels = Panels(max(map(len, epochs.values())), full - 8, 32.0, TALL, LEFT, FOOT)
    title = 5.0
    block = title + panels.height + 2
    page = Page(full, head + len(blocks) * block + 3)
    page.heading(0, 0, full, "Latent numbers over training", details)
    for number, (name, rows) in enumerate(blocks.items()):
        top = head + number * block
        words = f"{name}, seed {rows['seed'].iloc[0]}"
        page.text(8 + LEFT, top, words, weight="bold", size=fit_font_size(words, full - 12, 7.5))
        for k, epoch in enumerate(epochs[name]):
            one = rows[rows["epoch"] == epoch].sort_values("level")
            axes = panels.axes(page, top + title, k, f"epoch {epoch}", 8)
            _panel(axes, one)
            axes.tick_params(labelleft=panels.is_leftmost(k))
            if panels.is_leftmost(k):
                axes.set_ylabel("share below")
            if number == len(blocks) - 1 and panels.is_lowest(k):
                axes.set_xlabel("latent number", labelpad=1)
    return page.figure


NORMAL = "N(0, 1)"


def chosen(epochs: list[int]) -> list[int]:
    """The first, the last, and some evenly between on a logarithmic scale: most happens early."""
    if len(epochs) <= SHOWN:
        return epochs
    places = np.geomspace(1, len(epochs), SHOWN).round().astype(int) - 1
    return [epochs[place] for place in sorted(set(places.tolist()))]


def distance(rows: pd.DataFrame) -> float:
    """How far the pooled numbers' distribution function is from the normal one, at most; rows are its quantiles."""
    return float(np.abs(ndtr(rows["pooled"].to_numpy(float)) - rows["level"].to_numpy(float)).max())


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    levels = rows["level"].to_numpy(float)
    z = np.linspace(-REACH, REACH, 200)
    low, high = rows["dimension_low"].to_numpy(float), rows["dimension_high"].to_numpy(float)
    axes.fill_betweenx(levels, low, high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(z, ndtr(z), color=INK, linewidth=0.9, linestyle=(0, (2.5, 1.5)))
    axes.plot(rows["pooled"], levels, color=BLUE, linewidth=1.5)
    text = f"pooled: off by\nup to {distance(rows):.2f}"
    axes.text(0.97, 0.05, text, transform=axes.transAxes, ha="right", size=5.5, color=BLUE)
    axes.set_xlim(-REACH, REACH)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.set_yticks([0, 0.5, 1])


def finding(tables: Mapping[str, pa.Table], spec: LatentDistributionFigure) -> Finding:
    """How far the pooled latent numbers are from normal ones at the first and the last epoch."""
    facts = to_frame(tables["latent_snapshots"])
    rows: list[Row] = []
    parts = []
    for name in present_in_order(spec.autoencoders, facts["autoencoder"]):
        one = facts[facts["autoencoder"] == name]
        ends = []
        for epoch in (one["epoch"].min(), one["epoch"].max()):
            runs = [distance(run) for _, run in one[one["epoch"] == epoch].groupby("seed")]
            ends.append(float(np.mean(runs)))
            rows.append({"autoencoder": name, "epoch": epoch, "seeds": len(runs), "farthest_share": ends[-1]})
        parts.append(f"{name} from {ends[0]:.2f} to {ends[1]:.2f}")
    sentence = (
        f"The share of latent numbers below x is off that of {NORMAL}, which is the aim, by at most: "
        f"{join_parts(parts)} from the first epoch to the last ({format_seeds(facts['seed'])})."
    )
    return Finding("Do latent numbers become normal?", sentence, rows)
