"""Error of each random start during the search for a latent vector."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from advgen.experiments.inversions.experiment import InversionCurvesFigure
from advgen.figures.drawing import format_log_axis
from advgen.figures.findings import Finding, Tables, interval_columns
from advgen.figures.formatting import format_count, format_n, format_number, format_seeds, format_value
from advgen.figures.images import to_rgb
from advgen.figures.layout import Page, content_width, count_columns, heading_height
from advgen.figures.reconstruction import BASELINES
from advgen.figures.statistics import first_seed, mean_over_images, to_frame
from advgen.figures.style import BLUE, DASHED, DOTTED, GREY, INK, PALE, with_style
from advgen.io.tables import read_images

LEFT, BOTTOM, HEIGHT, THUMBNAIL = 11.0, 6.0, 31.0, 8.5
BASELINE_STYLES = dict(zip(BASELINES, (DASHED, DOTTED), strict=True))


@with_style
def draw(tables: Tables, spec: InversionCurvesFigure) -> Figure:
    """Draw a panel per image, a block per generator (its first seed)."""
    width = content_width(spec)
    facts, images = to_frame(tables["inversion"]), read_images(tables["inversion"])
    reconstructions = read_images(tables["inversion"], "reconstruction")
    blocks = {str(name): first_seed(rows) for name, rows in facts.groupby("generator")}
    chosen = {name: list(dict.fromkeys(rows["index"]))[: spec.images] for name, rows in blocks.items()}
    columns = count_columns(max(map(len, chosen.values())), width - LEFT, 50.0)
    panel_width = (width - LEFT) / columns
    details = [_details(rows) for rows in blocks.values()]
    head = heading_height(width, *details)
    heights = [head + math.ceil(len(indices) / columns) * (HEIGHT + 5) + BOTTOM - 2 for indices in chosen.values()]

    page = Page(width, sum(heights))
    top = 0.0
    for (name, rows), height, words in zip(blocks.items(), heights, details, strict=True):
        page.heading(0, top, width, f"GAN inversion with {name}", words)
        limits = _limits(rows[rows["index"].isin(chosen[name])])
        for number, index in enumerate(chosen[name]):
            line, column = divmod(number, columns)
            left = LEFT + column * panel_width
            down = top + head + line * (HEIGHT + 5)
            axes = page.axes(left, down, panel_width - 3, HEIGHT)
            starts = rows[rows["index"] == index]
            best = _draw_starts(axes, starts)
            axes.set_ylim(*limits)
            for baseline, dashes in BASELINE_STYLES.items():
                level = float(starts[baseline].iloc[0])
                axes.axhline(level, color=INK, linewidth=0.8, linestyle=dashes, zorder=1.5)
            _set_axes(axes, is_leftmost=column == 0, is_lowest=number + columns >= len(chosen[name]))
            for k, (image, word) in enumerate(((images[best], "target"), (reconstructions[best], "best"))):
                x = left + panel_width - 3 - (2 - k) * (THUMBNAIL + 1)
                thumbnail = page.axes(x, down, THUMBNAIL, THUMBNAIL)
                thumbnail.imshow(to_rgb(image))
                thumbnail.set_axis_off()
                page.text(x + THUMBNAIL / 2, down + THUMBNAIL + 0.4, word, ha="center", size=5, color=GREY)
        top += height
    return page.figure


def _draw_starts(axes: Axes, rows: pd.DataFrame) -> int:
    """Draw all starts of one image and return the row of the best one."""
    best = int(rows.index[rows["best"]][0])
    for start in rows.drop(index=best).itertuples():
        axes.plot(start.history_step, start.history_mse, color=PALE, linewidth=0.7)
    axes.plot(rows.loc[best, "history_step"], rows.loc[best, "history_mse"], color=BLUE, linewidth=1.6)
    text = f"best: {format_number(rows.loc[best, 'mse'])}"
    axes.text(0.03, 0.05, text, transform=axes.transAxes, size=6.5, color=BLUE, weight="bold")
    axes.set_yscale("log")
    return best


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Return a range that keeps the curves out of the corner with the thumbnails."""
    values = np.concatenate([*rows["history_mse"], *(rows[name] for name in BASELINES)])
    low = float(values[values > 0].min()) / 1.7
    # The thumbnails are above the right half of the curves, in the upper 42 % of the axes.
    right = max(float(np.max(history[len(history) // 2 :])) for history in rows["history_mse"])
    return low, max(float(values.max()) * 1.5, low * (right / low) ** (1 / 0.58))


def _set_axes(axes: Axes, is_leftmost: bool, is_lowest: bool) -> None:
    format_log_axis(axes.yaxis, 5)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.tick_params(labelleft=is_leftmost, labelbottom=is_lowest)
    axes.set_xlim(left=0)
    if is_leftmost:
        axes.set_ylabel("MSE (log scale)")
    if is_lowest:
        axes.set_xlabel("step", labelpad=1)


def _details(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    starts = format_count(rows["start"].nunique(), "start")
    if first["first_start"] != "random":
        starts += f", the first from {first['first_start']}"
    images = format_count(rows["index"].nunique(), "image")
    return (
        f"seed {first['seed']}, {images} inverted by {first['optimizer']}, lr {first['lr']:g}, {starts} each; "
        "blue: the best start; dashes: PCA with the same number of dimensions, dots: nearest training image"
    )


def finding(tables: Tables, spec: InversionCurvesFigure) -> Finding:
    """Report the error of the best start at the end and halfway, and that of the first start alone."""
    facts = to_frame(tables["inversion"])
    rows, parts = [], []
    for name, searches in facts.groupby("generator"):
        steps = np.asarray(searches["history_step"].iloc[0])
        half = int(np.argmin(np.abs(steps - steps[-1] / 2)))
        searches = searches.assign(halfway=[history[half] for history in searches["history_mse"]])
        best, first = searches[searches["best"]], searches[searches["start"] == 0]
        end, before, single = (
            mean_over_images(best, "mse"),
            mean_over_images(best, "halfway"),
            mean_over_images(first, "mse"),
        )
        starts, principal = searches["start"].nunique(), best["mse_principal"].mean()
        rows.append(
            {"generator": name, "seeds": searches["seed"].nunique(), "n": searches["index"].nunique()}
            | {"steps": int(steps[-1]), "starts": starts, "halfway_at": int(steps[half]), "mse_principal": principal}
            | interval_columns("mse", end)
            | interval_columns("mse_halfway", before)
            | interval_columns("mse_first_start", single)
        )
        parts.append(
            f"{name}: the best of {format_count(starts, 'start')} reaches an MSE of {format_value(*end)} after "
            f"{format_count(int(steps[-1]), 'step')} ({format_value(*before)} after {steps[half]}), the first start "
            f"alone {format_value(*single)}; PCA with the same number of dimensions: {format_number(principal)}"
        )
    n = format_n([facts["index"].nunique()])
    sentence = f"{'; '.join(parts)} ({n} test images, {format_seeds(facts['seed'])})."
    return Finding("GAN inversion error over the steps of the search", sentence, rows)
