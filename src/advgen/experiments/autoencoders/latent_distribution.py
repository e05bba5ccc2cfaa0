"""Distribution of latent values over training compared with the normal distribution, pooled and per dimension."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.special import ndtr

from advgen.experiments.autoencoders.experiment import LatentDistributionFigure
from advgen.figures.findings import Finding, Row, Tables
from advgen.figures.formatting import format_seeds, join_parts
from advgen.figures.layout import Panels, content_width, titled_page
from advgen.figures.statistics import first_seed, split_in_order, to_frame
from advgen.figures.style import BLUE, DASHED, INK, with_style

HEIGHT, LEFT, BOTTOM, MARGIN, TITLE = 26.0, 4.0, 5.0, 8.0, 5.0
EPOCHS = 5
"""Panels of an autoencoder at most."""
REACH = 3.2
"""End of the axis of latent values."""
NORMAL = "N(0, 1)"


@with_style
def draw(tables: Tables, spec: LatentDistributionFigure) -> Figure:
    """Draw a row per autoencoder (its first seed) and a panel per epoch, from the first to the last."""
    width = content_width(spec)
    facts = to_frame(tables["latent_snapshots"])
    blocks = {name: first_seed(rows) for name, rows in split_in_order(facts, "autoencoder", spec.autoencoders).items()}
    epochs = {name: select_epochs(sorted(set(rows["epoch"]))) for name, rows in blocks.items()}
    panels = Panels(max(map(len, epochs.values())), width - MARGIN, 32.0, HEIGHT, LEFT, BOTTOM)
    block = TITLE + panels.height + 2
    details = (
        "cumulative distribution of the latent values; blue: all dimensions pooled; "
        f"band: 10 % to 90 % of the dimensions; dashes: {NORMAL}"
    )
    page, top = titled_page(width, "Latent values over training", details, len(blocks) * block + 3)
    for number, (name, rows) in enumerate(blocks.items()):
        down = top + number * block
        page.subheading(MARGIN + LEFT, down, width - 12, f"{name}, seed {rows['seed'].iloc[0]}")
        for k, epoch in enumerate(epochs[name]):
            axes = panels.axes(page, down + TITLE, k, f"epoch {epoch}", MARGIN, "cumulative share")
            _draw_panel(axes, rows[rows["epoch"] == epoch].sort_values("level"))
            axes.tick_params(labelleft=panels.is_leftmost(k))
            if number == len(blocks) - 1 and panels.is_lowest(k):
                axes.set_xlabel("latent value", labelpad=1)
    return page.figure


def select_epochs(epochs: list[int]) -> list[int]:
    """Return the first and the last epoch and some between, evenly on a log scale, because most happens early."""
    if len(epochs) <= EPOCHS:
        return epochs
    places = np.geomspace(1, len(epochs), EPOCHS).round().astype(int) - 1
    return [epochs[place] for place in sorted(set(places.tolist()))]


def measure_distance(rows: pd.DataFrame) -> float:
    """Return the Kolmogorov–Smirnov distance of the pooled values from N(0, 1); the rows are their quantiles."""
    return float(np.abs(ndtr(rows["pooled"].to_numpy(float)) - rows["level"].to_numpy(float)).max())


def _draw_panel(axes: Axes, rows: pd.DataFrame) -> None:
    levels = rows["level"].to_numpy(float)
    z = np.linspace(-REACH, REACH, 200)
    low, high = rows["dimension_low"].to_numpy(float), rows["dimension_high"].to_numpy(float)
    axes.fill_betweenx(levels, low, high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(z, ndtr(z), color=INK, linewidth=0.9, linestyle=DASHED)
    axes.plot(rows["pooled"], levels, color=BLUE, linewidth=1.5)
    text = f"pooled: KS\ndistance {measure_distance(rows):.2f}"
    axes.text(0.97, 0.05, text, transform=axes.transAxes, ha="right", size=5.5, color=BLUE)
    axes.set(xlim=(-REACH, REACH), ylim=(0, 1), yticks=[0, 0.5, 1])
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))


def finding(tables: Tables, spec: LatentDistributionFigure) -> Finding:
    """Report the distance of the pooled latent values from normal ones at the first and the last epoch."""
    facts = to_frame(tables["latent_snapshots"])
    rows: list[Row] = []
    parts = []
    for name, snapshots in split_in_order(facts, "autoencoder", spec.autoencoders).items():
        ends = []
        for epoch in (snapshots["epoch"].min(), snapshots["epoch"].max()):
            runs = [measure_distance(run) for _, run in snapshots[snapshots["epoch"] == epoch].groupby("seed")]
            ends.append(float(np.mean(runs)))
            rows.append({"autoencoder": name, "epoch": epoch, "seeds": len(runs), "farthest_share": ends[-1]})
        parts.append(f"{name} from {ends[0]:.2f} to {ends[1]:.2f}")
    sentence = (
        f"Kolmogorov–Smirnov distance of the pooled latent values from {NORMAL}, first to last epoch: "
        f"{join_parts(parts)} ({format_seeds(facts['seed'])})."
    )
    return Finding("Do latent values become normally distributed?", sentence, rows)
