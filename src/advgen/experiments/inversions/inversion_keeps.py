"""What inversion keeps and loses: width, height and mean intensity of the reconstruction, and the error by class."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from advgen.experiments.inversions.experiment import InversionKeepsFigure
from advgen.figures.drawing import add_note, draw_interval, set_classes
from advgen.figures.findings import Finding, Row, Tables, interval_columns
from advgen.figures.formatting import format_n, format_number, format_seeds, format_value, interval_units, name_seeds
from advgen.figures.layout import Panels, content_width, stacked_page
from advgen.figures.reconstruction import class_kept
from advgen.figures.statistics import mean_over_images, to_frame
from advgen.figures.style import BLUE, INK, with_style

PROPERTIES = {"width": "width (px)", "height": "height (px)", "intensity": "mean intensity"}
HEIGHT, LEFT, BOTTOM = 36.0, 14.0, 10.0


@with_style
def draw(tables: Tables, spec: InversionKeepsFigure) -> Figure:
    """Draw a block per generator: each property before and after, then error and share of kept classes by class."""
    width = content_width(spec)
    blocks = _read_blocks(tables, spec)
    properties = Panels(len(PROPERTIES), width, 48.0, HEIGHT, LEFT, BOTTOM)
    classes = Panels(2, width, 62.0, HEIGHT, LEFT, BOTTOM)
    headings = {f"{spec.inversion}: {generator}": _details(rows) for generator, rows in blocks.items()}
    page, tops = stacked_page(width, headings, properties.height + classes.height, gap=3)
    for top, rows in zip(tops, blocks.values(), strict=True):
        for k, (name, title) in enumerate(PROPERTIES.items()):
            _draw_property(properties.axes(page, top, k, title, ylabel="reconstruction"), rows, name)
        top += properties.height
        error = classes.axes(page, top, 0, "mean squared error by class")
        kept = classes.axes(page, top, 1, "class kept (%), reference classifier")
        _draw_classes(error, kept, rows)
    return page.figure


def _read_blocks(tables: Tables, spec: InversionKeepsFigure) -> dict[str, pd.DataFrame]:
    """Return the best start of each image, by generator."""
    facts = to_frame(tables["inversion"])
    facts = facts[(facts["inversion"] == spec.inversion) & facts["best"]]
    return dict(list(facts.groupby("generator")))


def _draw_property(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    """Draw a dot per image, the diagonal where nothing changes, and the mean change."""
    before, after = rows[name].to_numpy(float), rows[f"{name}_found"].to_numpy(float)
    end = 1.06 * (max(before.max(), after.max()) or 1)
    axes.plot([0, end], [0, end], color=INK, linewidth=0.8)
    axes.plot(before, after, "o", color=BLUE, alpha=0.35, markersize=2.6, markeredgewidth=0)
    change, low, high = map(_format_signed, _mean_change(rows, name))
    add_note(axes, 0.03, 0.98, f"change {change}\n[{low}, {high}]", BLUE)
    axes.set(xlim=(0, end), ylim=(0, end), xlabel="target image")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4))


def _mean_change(rows: pd.DataFrame, name: str) -> tuple[float, float, float]:
    """Return the mean change of a property with its interval over seeds and images."""
    change = rows.assign(change=rows[f"{name}_found"].astype(float) - rows[name].astype(float))
    return mean_over_images(change, "change")


def _format_signed(value: float) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{format_number(abs(value))}"


def _draw_classes(error: Axes, kept: Axes, rows: pd.DataFrame) -> None:
    labels = sorted(set(rows["label"]))
    for x, label in enumerate(labels):
        members = rows[rows["label"] == label]
        draw_interval(error, x, *mean_over_images(members, "mse"), 0)
        share, low, high = class_kept(members)
        draw_interval(kept, x, 100 * share, 100 * low, 100 * high, 0)
    error.axhline(rows["mse"].mean(), color=INK, linewidth=0.8)
    kept.axhline(100 * (rows["judged"] == rows["label"]).mean(), color=INK, linewidth=0.8)
    error.set_ylim(bottom=0)
    error.set_ylabel("MSE")
    kept.set(ylim=(0, 102), ylabel="images (%)")
    for axes in (error, kept):
        set_classes(axes, labels)
        axes.set_xlabel("class; line: all classes")


def _details(rows: pd.DataFrame) -> str:
    n, seeds = format_n([rows["index"].nunique()]), rows["seed"]
    return (
        f"{n} test images, best start of each, {name_seeds(seeds)}; line: no change; "
        f"brackets and bars: 95 % intervals over {interval_units(seeds.nunique() > 1)}"
    )


def finding(tables: Tables, spec: InversionKeepsFigure) -> Finding:
    """Report the mean change of each property, and the class with the largest error."""
    blocks = _read_blocks(tables, spec)
    facts = pd.concat(blocks.values())
    rows: list[Row] = []
    parts = []
    for name, best in blocks.items():
        row: dict[str, Any] = {"generator": name, "seeds": best["seed"].nunique(), "n": best["index"].nunique()}
        words = []
        for column, title in PROPERTIES.items():
            change = _mean_change(best, column)
            row |= interval_columns(f"change_of_{column}", change)
            mean, low, high = map(_format_signed, change)
            words.append(f"{title} by {mean} [{low}, {high}]")
        worst = int(best.groupby("label")["mse"].mean().idxmax())
        error = mean_over_images(best[best["label"] == worst], "mse")
        rows.append(row | {"worst_class": worst} | interval_columns("mse_of_worst_class", error))
        parts.append(
            f"{name} changes {', '.join(words)}; the MSE is largest for class {worst} with {format_value(*error)}, "
            f"compared with {format_number(best['mse'].mean())} over all classes"
        )
    n = format_n([facts["index"].nunique()])
    sentence = f"{'; '.join(parts)} ({n} test images, {format_seeds(facts['seed'])}; 0: no change)."
    return Finding("Properties that GAN inversion preserves", sentence, rows)
