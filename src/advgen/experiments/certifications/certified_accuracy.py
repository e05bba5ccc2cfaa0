"""Clean, attacked and certified accuracy against eps, a panel for each classifier."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.plots import BOTTOM, HEIGHT, LEFT, draw_accuracy, draw_baseline, set_eps_axes
from advgen.experiments.certifications.experiment import CertifiedAccuracyFigure
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import NORM_NAMES, format_n, format_percent, format_seeds, format_share, join_parts
from advgen.figures.layout import Panels, content_width, titled_page
from advgen.figures.statistics import to_frame
from advgen.figures.style import GREY, series_colour, with_style
from advgen.metrics.chance import majority_class_accuracy

LINES = ("worst-case accuracy under attacks up to eps", "certified accuracy at eps")


class Certified(NamedTuple):
    """The certificates of a classifier, and its adversarial examples of the same images in the same norm."""

    certification: str
    source: str
    norm: str
    certificates: pd.DataFrame
    examples: pd.DataFrame

    @property
    def largest_radius(self) -> float:
        """The largest eps or certified radius, without the largest 1 % of the radii."""
        radius = float(self.certificates["radius"].quantile(0.99))
        return max(radius, *self.examples["eps"], 0.0) or 1.0

    def measure(self, eps: float) -> accuracies.Accuracy:
        """Return the certified accuracy at a radius."""
        rows = self.certificates.rename(columns={"seed": "source_seed"})
        accuracy = accuracies.measure(rows.assign(clean=rows["correct"] & (rows["radius"] >= eps)), "clean")
        assert accuracy is not None
        return accuracy


def select_certified(
    tables: Mapping[str, pa.Table], spec: CertifiedAccuracyFigure
) -> tuple[pd.DataFrame, pd.DataFrame, list[Certified]]:
    """Return all certificates, the examples of the figure's attacks, and both for each classifier of the figure."""
    certificates = to_frame(tables["certification"])
    certificates["correct"] = certificates["predicted"] == certificates["label"]
    facts = accuracies.load_examples(tables)
    facts = facts[facts["attack"].isin(spec.attacks) & facts["eps"].notna() & facts["source"].isin(spec.sources)]
    selected = []
    for certification in spec.certifications:
        for source in spec.sources:
            rows = certificates[(certificates["certification"] == certification) & (certificates["source"] == source)]
            if len(rows):
                norm = str(rows["norm"].iloc[0])
                examples = facts[(facts["source"] == source) & (facts["norm"] == norm)]
                examples = examples.merge(rows[["seed", "index"]].rename(columns={"seed": "source_seed"}))
                selected.append(Certified(certification, source, norm, rows, examples))
    return certificates, facts, selected


@with_style
def draw(tables: Mapping[str, pa.Table], spec: CertifiedAccuracyFigure) -> Figure:
    """Draw a panel per certification and classifier; open markers are the clean accuracy."""
    width = content_width(spec)
    certificates, facts, selected = select_certified(tables, spec)
    details = _details(certificates) + accuracies.describe_other_attacks(facts) + accuracies.describe_excluded(facts)
    panels = Panels(max(1, len(selected)), width, 42.0, HEIGHT, LEFT, BOTTOM)
    page, top = titled_page(width, "Certified accuracy and accuracy under attack", details, panels.height - 1, LINES)
    for number, certified in enumerate(selected):
        title = f"{certified.source}, {_name_method(certified.certificates.iloc[0])}"
        axes = panels.axes(page, top, number, title, ylabel="accuracy (%)")
        _draw_panel(axes, certified, max(one.largest_radius for one in selected if one.norm == certified.norm))
        set_eps_axes(axes, f"{NORM_NAMES[certified.norm]} radius eps", 4)
    return page.figure


def _draw_panel(axes: Axes, certified: Certified, largest: float) -> None:
    """Draw attacked and certified accuracy of one classifier, shaded between them.

    The accuracy under attack is an upper bound for every larger eps, so its line has a step at each attacked eps.
    """
    rows, examples = certified.certificates, certified.examples
    measured = {0.0: accuracies.measure(examples, "clean")}
    measured |= {eps: accuracies.measure(combined) for eps, combined in accuracies.combine_by_eps(examples)}
    attacked = {eps: accuracy for eps, accuracy in measured.items() if accuracy is not None}
    x = np.linspace(0, 1.03 * largest, 400)
    is_smoothed = bool(rows["smoothed"].iloc[0])
    curves = np.array([compute_certified_curve(of_seed, x) for _, of_seed in rows.groupby("seed")])
    axes.plot(x, curves.mean(0), color=series_colour(1), linewidth=1.5)
    if len(curves) > 1:
        axes.fill_between(x, curves.min(0), curves.max(0), color=series_colour(1), alpha=0.2, linewidth=0)
    if attacked:
        means = np.array([100 * accuracy.mean for accuracy in attacked.values()])
        bound = means[np.searchsorted(list(attacked), x, side="right") - 1]
        axes.plot(x, bound, color=series_colour(0), linewidth=1.5, linestyle="--" if is_smoothed else "-")
        if not is_smoothed:
            axes.fill_between(x, curves.mean(0), bound, color=GREY, alpha=0.15, linewidth=0)
    for eps, accuracy in attacked.items():
        draw_accuracy(axes, eps, accuracy, 0, hollow=eps == 0)
        draw_accuracy(axes, eps, certified.measure(eps), 1, hollow=eps == 0)
    draw_baseline(axes, 100 * majority_class_accuracy(rows["label"]))
    axes.set_xlim(-0.03 * largest, 1.03 * largest)


def compute_certified_curve(rows: pd.DataFrame, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the certified accuracy (%) of one model at each radius of `x`."""
    reach = np.where(rows["correct"], rows["radius"], -1.0)
    return 100 * np.asarray((reach[None] >= x[:, None]).mean(1))


def _name_method(row: pd.Series) -> str:
    return f"smoothed at σ = {row['sigma']:g}" if row["smoothed"] else "interval bounds"


def _count_images(certificates: pd.DataFrame) -> str:
    return format_n(certificates.groupby(["certification", "source", "seed"]).size())


def _details(certificates: pd.DataFrame) -> str:
    words = f"{_count_images(certificates)} test images, the same for both lines; open markers: clean"
    words += "; bars: 95 % intervals over models and images; dotted: majority-class baseline"
    if certificates["seed"].nunique() > 1:
        words += "; means over seeds"
    smoothed = certificates[certificates["smoothed"]]
    if len(smoothed):
        row = smoothed.iloc[0]
        words += f"; smoothed: {row['samples']:.0f} noisy copies, each radius fails with probability {row['alpha']:g}; "
        words += "dashed: the model without noise"
    if not certificates["smoothed"].all():
        words += "; shaded: neither misclassified nor certified"
    return words


def finding(tables: Mapping[str, pa.Table], spec: CertifiedAccuracyFigure) -> Finding:
    """Compare certified accuracy and worst-case accuracy at the largest attacked eps, by classifier."""
    certificates, facts, selected = select_certified(tables, spec)
    rows: list[Row] = []
    parts = []
    for certified in selected:
        eps = max(certified.examples["eps"], default=0.0)
        proven, combined = certified.measure(eps), accuracies.combine_all(certified.examples)
        attacked, rounded = accuracies.measure(combined), accuracies.measure(combined, "robust_rounded")
        row: dict[str, Any] = {"certification": certified.certification, "source": certified.source}
        row["norm"] = certified.norm
        row |= {"eps": eps, "n": proven.n, "seeds": len(proven.per_model)}
        row["commonest"] = majority_class_accuracy(certified.certificates["label"])
        row |= interval_columns("certified", proven.interval)
        words = f"{certified.source} has a certified accuracy of {format_share(*proven.interval)}"
        if attacked is not None and rounded is not None:
            row |= interval_columns("attacked", attacked.interval)
            row["attacked_rounded"] = rounded.mean
            words += f" and an accuracy under attack of {format_share(*attacked.interval)}"
        rows.append(row)
        parts.append(f"{words} at {NORM_NAMES[certified.norm]} ≤ {eps:g}")
    baseline = " or ".join(sorted({format_percent(row["commonest"]) for row in rows}))
    sentence = f"{join_parts(parts)} ({_count_images(certificates)} test images, {format_seeds(certificates['seed'])}; "
    sentence += f"the majority-class baseline has {baseline} at every radius"
    return Finding(
        "Certified accuracy and accuracy under attack", f"{sentence}{accuracies.describe_other_attacks(facts)}).", rows
    )
