"""Draw accuracies on axes, as several figures of classifiers do."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.accuracies import Accuracy
from advgen.figures.drawing import draw_interval
from advgen.figures.style import DOTTED, GREY, SPARSE_DOTS, series_colour

HEIGHT, LEFT, BOTTOM = 40.0, 11.0, 10.0
"""Millimetres of the axes of a panel and of its margins."""


def draw_accuracy(axes: Axes, x: float, accuracy: Accuracy, number: int, hollow: bool = False) -> None:
    """Draw an accuracy (%) with its interval in the colour of the n-th series."""
    face = "white" if hollow else series_colour(number)
    draw_interval(axes, x, *accuracy.percent, number, markerfacecolor=face)


def draw_baseline(axes: Axes, accuracy: float, vertical: bool = False) -> None:
    """Draw a dotted line at the accuracy (%) of the majority-class baseline."""
    draw_line = axes.axvline if vertical else axes.axhline
    draw_line(accuracy, color=GREY, linewidth=0.8, linestyle=SPARSE_DOTS, zorder=0.5)


def set_eps_axes(axes: Axes, label: str, ticks: int = 5) -> None:
    """Set the limits of an accuracy axis, and label and ticks of an eps axis."""
    axes.set_ylim(0, 102)
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))


def offset_line(number: int, count: int, largest: float) -> float:
    """Return the horizontal offset of the n-th line, so that the bars of lines do not overlap."""
    return 0.012 * largest * (number - (count - 1) / 2)


def plot_accuracy(axes: Axes, rows: pd.DataFrame, number: int, offset: float) -> float:
    """Plot the worst-case accuracy up to each eps, starting with the clean accuracy at 0; dotted: random controls.

    Returns:
        The last accuracy in percent; NaN without rows.
    """
    clean = accuracies.measure(rows, "clean")
    robust, controls = {0.0: clean}, {0.0: clean}
    for eps, combined in accuracies.combine_by_eps(rows):
        robust[eps], controls[eps] = accuracies.measure(combined), accuracies.measure_control(combined)
    found = {eps: accuracy for eps, accuracy in robust.items() if accuracy is not None}
    colour, places = series_colour(number), [eps + offset for eps in found]
    models = max((len(accuracy.per_model) for accuracy in found.values()), default=0)
    if models > 1:
        whole = {eps: accuracy.per_model for eps, accuracy in found.items() if len(accuracy.per_model) == models}
        lines = 100 * np.array(list(whole.values()))
        for line in lines.T:
            axes.plot([eps + offset for eps in whole], line, color=colour, linewidth=0.5, alpha=0.6)
    control = {eps + offset: 100 * accuracy.mean for eps, accuracy in controls.items() if accuracy is not None}
    if len(control) > 1:
        axes.plot(list(control), list(control.values()), color=colour, linewidth=0.8, linestyle=DOTTED)
    means = [100 * accuracy.mean for accuracy in found.values()]
    axes.plot(places, means, color=colour, linewidth=1.5, clip_on=False, zorder=2.5)
    for eps, accuracy in found.items():
        draw_accuracy(axes, eps + offset, accuracy, number, hollow=eps == 0)
    return means[-1] if means else float("nan")
