"""Reconstruction error, moment loss and its factor over training, on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.autoencoders.experiment import MomentCurvesFigure
from advgen.figures.drawing import add_note, format_log_axis, label_line_ends
from advgen.figures.findings import Finding, interval_columns
from advgen.figures.formatting import format_number, format_seeds, join_parts
from advgen.figures.layout import Page, Panels, content_width, heading_height
from advgen.figures.statistics import mean_over_seeds, present_in_order, running_mean, to_frame
from advgen.figures.style import series_colour, with_style

SERIES = {"loss": "MSE", "moment_loss": "moment loss", "moment_factor": "its factor"}
TALL, LEFT, FOOT, NAMES = 42.0, 13.0, 10.0, 17.0
WINDOW = 0.1  # of an epoch, in the running mean


@with_style
def draw(tables: Mapping[str, pa.Table], spec: MomentCurvesFigure) -> Figure:
    """A panel per autoencoder; all panels share their axes."""
    full = content_width(spec)
    history = to_frame(tables["autoencoder_history"])
    names = present_in_order(spec.autoencoders, history["autoencoder"])
    history = history[history["autoencoder"].isin(names)]
    details = _details(history)
    head = heading_height(full, details)
    panels = Panels(len(names), full, 70.0, TALL, LEFT, FOOT, NAMES)
    page = Page(full, head + panels.height - 1)
    page.heading(0, 0, full, "Moment matching", details)
    low, high = _limits(history)
    for number, name in enumerate(names):
        rows = history[history["autoencoder"] == name]
        axes = panels.axes(page, head, number, name)
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.set_xlim(0, history["epoch"].max())
        label_line_ends(axes, _lines(axes, rows), TALL)
        format_log_axis(axes.yaxis, 8)
        axes.set_xlabel("epoch")
        if panels.is_leftmost(number):
            axes.set_ylabel("value (log scale)")
        if not rows["moment_factor"].any():
            add_note(axes, 0.98, 0.98, "factor 0: not minimised", ha="right")
    return page.figure


def _lines(axes: Axes, rows: pd.DataFrame) -> list[tuple[float, str, str]]:
    """Each seed thin, their mean thick; the ends of the means with their names."""
    ends = []
    for number, (column, name) in enumerate(SERIES.items()):
        runs = []
        for _, one in rows.groupby("seed"):
            one = one.sort_values("step")
            values = one[column].to_numpy(float)
            if column != "moment_factor":
                window = max(1, round(WINDOW * len(one) / float(one["epoch"].max())))
                values = running_mean(values, window)
            runs.append(pd.Series(values, index=one["epoch"].to_numpy()))
            if rows["seed"].nunique() > 1 and column != "moment_factor":
                axes.plot(runs[-1].index, values, color=series_colour(number), linewidth=0.5, alpha=0.5)
        mean = pd.concat(runs, axis=1).mean(axis=1)
        mean = mean[mean > 0]
        if len(mean):
            style = "steps-post" if column == "moment_factor" else "default"
            axes.plot(mean.index, mean, color=series_colour(number), drawstyle=style, linewidth=1.4)
            ends.append((float(mean.iloc[-1]), name, series_colour(number)))
    return ends


def _limits(history: pd.DataFrame) -> tuple[float, float]:
    values = history[list(SERIES)].to_numpy(float).ravel()
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return 0.1, 1.0
    return float(np.quantile(values, 0.001)) / 1.6, float(np.quantile(values, 0.999)) * 1.6


def _details(history: pd.DataFrame) -> str:
    seeds = history.groupby("autoencoder")["seed"].nunique().max()
    words = f"per batch, running mean over {WINDOW:g} epochs; the moment loss counts with its factor"
    return words + (f"; thick: mean of up to {seeds} seeds, thin: the seeds" if seeds > 1 else "")


def finding(tables: Mapping[str, pa.Table], spec: MomentCurvesFigure) -> Finding:
    """Moment loss and error at the end of the training, over its last tenth."""
    history = to_frame(tables["autoencoder_history"])
    rows, parts = [], []
    for name in present_in_order(spec.autoencoders, history["autoencoder"]):
        one = history[history["autoencoder"] == name]
        last = one[one["step"] > 0.9 * one["step"].max()].groupby("seed")[["loss", "moment_loss"]].mean()
        moment = mean_over_seeds(last["moment_loss"].to_numpy(float))
        rows.append(
            {"autoencoder": name, "seeds": len(last), "final_mse": last["loss"].mean()}
            | {"minimised": bool(one["moment_factor"].any())}
            | interval_columns("final_moment_loss", moment)
        )
        how = "" if one["moment_factor"].any() else ", where it is not minimised"
        parts.append(f"{format_number(moment[0])} with {name} (MSE {format_number(last['loss'].mean())}){how}")
    seeds = format_seeds(history["seed"])
    sentence = f"The moment loss ends at {join_parts(parts)}; {seeds}, the last tenth of the steps."
    return Finding("Moment matching over training", sentence, rows)
