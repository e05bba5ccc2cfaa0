"""Reconstruction error, moment loss and its factor over training, on a logarithmic axis."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.autoencoders.experiment import MomentCurvesFigure
from advgen.figures.drawing import add_note, format_log_axis, label_line_ends
from advgen.figures.findings import Finding, Tables, interval_columns
from advgen.figures.formatting import format_number, format_seeds, join_parts
from advgen.figures.layout import Panels, content_width, titled_page
from advgen.figures.statistics import mean_over_seeds, running_mean, split_in_order, to_frame
from advgen.figures.style import series_colour, with_style

SERIES = {"loss": "MSE", "moment_loss": "moment loss", "moment_factor": "factor"}
HEIGHT, LEFT, BOTTOM, NAMES = 42.0, 13.0, 10.0, 17.0
WINDOW = 0.1
"""Epochs behind each point of a running mean."""


@with_style
def draw(tables: Tables, spec: MomentCurvesFigure) -> Figure:
    """Draw a panel per autoencoder; all panels have the same axes."""
    width = content_width(spec)
    blocks = split_in_order(to_frame(tables["autoencoder_history"]), "autoencoder", spec.autoencoders)
    history = pd.concat(blocks.values())
    panels = Panels(len(blocks), width, 70.0, HEIGHT, LEFT, BOTTOM, NAMES)
    page, top = titled_page(width, "Moment matching", _details(history), panels.height - 1)
    limits = _limits(history)
    for number, (name, rows) in enumerate(blocks.items()):
        axes = panels.axes(page, top, number, name, ylabel="value (log scale)")
        axes.set(yscale="log", ylim=limits, xlim=(0, history["epoch"].max()), xlabel="epoch")
        label_line_ends(axes, _draw_lines(axes, rows), HEIGHT)
        format_log_axis(axes.yaxis, 8)
        if not rows["moment_factor"].any():
            add_note(axes, 0.98, 0.98, "factor 0: not minimised", ha="right")
    return page.figure


def _draw_lines(axes: Axes, rows: pd.DataFrame) -> list[tuple[float, str, str]]:
    """Draw thin lines for seeds and thick ones for their means; return last value, name and colour of each mean."""
    ends = []
    for number, (column, name) in enumerate(SERIES.items()):
        colour, is_factor = series_colour(number), column == "moment_factor"
        runs = []
        for _, run in rows.groupby("seed"):
            run = run.sort_values("step")
            values = run[column].to_numpy(float)
            if not is_factor:
                values = running_mean(values, max(1, round(WINDOW * len(run) / float(run["epoch"].max()))))
            runs.append(pd.Series(values, index=run["epoch"].to_numpy()))
            if rows["seed"].nunique() > 1 and not is_factor:
                axes.plot(runs[-1].index, values, color=colour, linewidth=0.5, alpha=0.5)
        mean = pd.concat(runs, axis=1).mean(axis=1)
        mean = mean[mean > 0]
        if len(mean):
            steps = "steps-post" if is_factor else "default"
            axes.plot(mean.index, mean, color=colour, drawstyle=steps, linewidth=1.4)
            ends.append((float(mean.iloc[-1]), name, colour))
    return ends


def _limits(history: pd.DataFrame) -> tuple[float, float]:
    values = history[list(SERIES)].to_numpy(float).ravel()
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return 0.1, 1.0
    return float(np.quantile(values, 0.001)) / 1.6, float(np.quantile(values, 0.999)) * 1.6


def _details(history: pd.DataFrame) -> str:
    seeds = history.groupby("autoencoder")["seed"].nunique().max()
    words = f"per batch, running mean over {WINDOW:g} epochs; the factor weights the moment loss"
    return words + (f"; thick: mean of up to {seeds} seeds, thin: single seeds" if seeds > 1 else "")


def finding(tables: Tables, spec: MomentCurvesFigure) -> Finding:
    """Report moment loss and reconstruction error over the last tenth of the training steps."""
    history = to_frame(tables["autoencoder_history"])
    rows, parts = [], []
    for name, steps in split_in_order(history, "autoencoder", spec.autoencoders).items():
        last = steps[steps["step"] > 0.9 * steps["step"].max()].groupby("seed")[["loss", "moment_loss"]].mean()
        moment = mean_over_seeds(last["moment_loss"].to_numpy(float))
        minimised = bool(steps["moment_factor"].any())
        rows.append(
            {"autoencoder": name, "seeds": len(last), "final_mse": last["loss"].mean(), "minimised": minimised}
            | interval_columns("final_moment_loss", moment)
        )
        note = "" if minimised else ", not minimised"
        parts.append(f"{format_number(moment[0])} for {name} (MSE {format_number(last['loss'].mean())}{note})")
    seeds = format_seeds(history["seed"])
    sentence = f"Moment loss over the last tenth of the steps: {join_parts(parts)}; {seeds}."
    return Finding("Moment matching over training", sentence, rows)
