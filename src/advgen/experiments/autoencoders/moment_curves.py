"""Reconstruction error, moment loss and its factor over training, on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.autoencoders.experiment import MomentCurvesFigure
from advgen.figures import common, findings

SERIES = {"loss": "MSE", "moment_loss": "moment loss", "moment_factor": "its factor"}
TALL, LEFT, FOOT, NAMES = 42.0, 13.0, 10.0, 17.0
WINDOW = 0.1  # of an epoch, in the running mean


@common.styled
def draw(tables: Mapping[str, pa.Table], spec: MomentCurvesFigure) -> Figure:
    """A panel per autoencoder; all panels share their axes."""
    full = common.inside(spec)
    history = common.frame(tables["autoencoder_history"])
    names = common.in_order(spec.autoencoders, history["autoencoder"])
    history = history[history["autoencoder"].isin(names)]
    details = _details(history)
    head = common.heading_height(full, details)
    panels = common.Panels(len(names), full, 70.0, TALL, LEFT, FOOT, NAMES)
    page = common.Page(full, head + panels.height - 1)
    page.heading(0, 0, full, "Moment matching", details)
    low, high = _limits(history)
    for number, name in enumerate(names):
        rows = history[history["autoencoder"] == name]
        axes = panels.axes(page, head, number, name)
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.set_xlim(0, history["epoch"].max())
        common.name_ends(axes, _lines(axes, rows), TALL)
        common.log_numbers(axes.yaxis, 8)
        axes.set_xlabel("epoch")
        if panels.first(number):
            axes.set_ylabel("value (log scale)")
        if not rows["moment_factor"].any():
            common.note(axes, 0.98, 0.98, "factor 0: not minimised", ha="right")
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
                values = common.running_mean(values, window)
            runs.append(pd.Series(values, index=one["epoch"].to_numpy()))
            if rows["seed"].nunique() > 1 and column != "moment_factor":
                axes.plot(runs[-1].index, values, color=common.colour(number), linewidth=0.5, alpha=0.5)
        mean = pd.concat(runs, axis=1).mean(axis=1)
        mean = mean[mean > 0]
        if len(mean):
            style = "steps-post" if column == "moment_factor" else "default"
            axes.plot(mean.index, mean, color=common.colour(number), drawstyle=style, linewidth=1.4)
            ends.append((float(mean.iloc[-1]), name, common.colour(number)))
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


def finding(tables: Mapping[str, pa.Table], spec: MomentCurvesFigure) -> findings.Finding:
    """Moment loss and error at the end of the training, over its last tenth."""
    history = common.frame(tables["autoencoder_history"])
    rows, parts = [], []
    for name in common.in_order(spec.autoencoders, history["autoencoder"]):
        one = history[history["autoencoder"] == name]
        last = one[one["step"] > 0.9 * one["step"].max()].groupby("seed")[["loss", "moment_loss"]].mean()
        moment = common.over_seeds(last["moment_loss"].to_numpy(float))
        rows.append(
            {"autoencoder": name, "seeds": len(last), "final_mse": last["loss"].mean()}
            | {"minimised": bool(one["moment_factor"].any())}
            | findings.columns_of("final_moment_loss", moment)
        )
        how = "" if one["moment_factor"].any() else ", where it is not minimised"
        parts.append(f"{common.number(moment[0])} with {name} (MSE {common.number(last['loss'].mean())}){how}")
    seeds = findings.seeds(history["seed"])
    sentence = f"The moment loss ends at {findings.listed(parts)}; {seeds}, the last tenth of the steps."
    return findings.Finding("Moment matching over training", sentence, rows)
