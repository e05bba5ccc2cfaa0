"""Test images and the closest images that a generator can produce."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from advgen.experiments.inversions.experiment import InversionGalleryFigure
from advgen.figures.findings import Choice, Explorer, Finding, Strips, Tables, Tile, interval_columns
from advgen.figures.formatting import (
    format_count,
    format_n,
    format_number,
    format_seeds,
    format_share,
    format_value,
    format_wilson_share,
    join_parts,
)
from advgen.figures.images import ImageBands, ImageGrid
from advgen.figures.layout import content_width, stacked_page
from advgen.figures.reconstruction import (
    baseline_columns,
    class_kept,
    class_kept_columns,
    describe_baselines,
    describe_real_accuracy,
)
from advgen.figures.statistics import first_seed, mean_over_images, to_frame
from advgen.figures.style import GREY, VERMILLION, with_style
from advgen.figures.text import label_width
from advgen.io.tables import read_images

LABELS = ("target", "reconstruction", "|difference|")
CAPTION = 4.0


@with_style
def draw(tables: Tables, spec: InversionGalleryFigure) -> Figure:
    """Draw target, best reconstruction and their difference, a block per generator (its first seed)."""
    width = content_width(spec)
    table = tables["inversion"]
    facts, images, found = to_frame(table), read_images(table), read_images(table, "reconstruction")
    blocks = {name: first_seed(rows) for name, rows in facts[facts["best"]].groupby("generator")}

    margin = label_width(LABELS, 30)
    count = min(spec.images, max(map(len, blocks.values())))
    bands = ImageBands(count, len(LABELS), width - margin, images.shape[1:])
    band_height = bands.height + CAPTION
    headings = {f"GAN inversion of test images: {name}": _details(rows) for name, rows in blocks.items()}
    page, tops = stacked_page(width, headings, len(bands.bands) * band_height)
    for top, rows in zip(tops, blocks.values(), strict=True):
        for line, band in enumerate(bands.bands):
            chosen = rows.iloc[band]
            if chosen.empty:
                continue
            down = top + line * band_height
            target, best = images[chosen.index], found[chosen.index]
            grid = ImageGrid(page, margin, down, bands.width, [target, best, np.abs(target - best)], bands.columns)
            page.row_labels(margin - 2, down, LABELS, grid.row_height, margin - 2)
            changed = chosen["judged"] != chosen["label"]
            grid.frame_where(1, changed)
            for column, row in enumerate(chosen[["label", "judged"]].assign(changed=changed).itertuples()):
                text = f"{row.label} → {row.judged}" if row.changed else f"{row.label}"
                grid.caption(column, text, color=VERMILLION if row.changed else GREY)
    return page.figure


def _details(rows: pd.DataFrame) -> str:
    kept = format_wilson_share((rows["judged"] == rows["label"]).sum(), len(rows), "images")
    mse = format_number(rows["mse"].mean())
    return (
        f"mean MSE {mse} ({describe_baselines(rows)}); class kept for {kept} ({describe_real_accuracy(rows)}); "
        "framed: the reference classifier predicts another class"
    )


def finding(tables: Tables, spec: InversionGalleryFigure) -> Finding:
    """Report error and share of kept classes of the best start of each image, compared with the baselines."""
    facts, images = to_frame(tables["inversion"]), read_images(tables["inversion"]).astype(float)
    rows, parts = [], []
    for name, best in facts[facts["best"]].groupby("generator"):
        mse = mean_over_images(best, "mse")
        targets = images[first_seed(best).index]
        mse_of_mean = float(((targets - targets.mean(0)) ** 2).mean())
        rows.append(
            {"generator": name, "seeds": best["seed"].nunique(), "n": best["index"].nunique()}
            | {"mse_of_mean_image": mse_of_mean, **interval_columns("mse", mse)}
            | class_kept_columns(best)
            | baseline_columns(best)
        )
        parts.append(
            f"{format_value(*mse)} with {name} ({describe_baselines(best)}, mean image: {format_number(mse_of_mean)}), "
            f"{format_share(*class_kept(best))} are still assigned the original class ({describe_real_accuracy(best)})"
        )
    n = format_n([facts["index"].nunique()])
    sentence = f"Best reconstruction error (MSE): {join_parts(parts)} ({n} test images, {format_seeds(facts['seed'])})."
    return Finding("GAN inversion of test images", sentence, rows)


def explorer(tables: Tables, spec: InversionGalleryFigure) -> Explorer:
    """Show the targets, and the image of each start after some steps of the search."""
    facts, snapshots = to_frame(tables["inversion"]), to_frame(tables["inversion_steps"])
    images, found = read_images(tables["inversion"]), read_images(tables["inversion"], "reconstruction")
    intermediate = read_images(tables["inversion_steps"])
    generators, starts = sorted(set(facts["generator"])), sorted(set(facts["start"]))
    steps = sorted(set(snapshots["step"]))
    last = int(facts["history_step"].iloc[0][-1])
    strips: Strips = {}
    for g, generator in enumerate(generators):
        early = first_seed(snapshots[snapshots["generator"] == generator])
        indices = sorted(set(early["index"]))[: spec.images]
        early = early[early["index"].isin(indices)].sort_values("index")
        final = first_seed(facts[facts["generator"] == generator]).sort_values("index")
        final = final[final["index"].isin(indices)]
        targets = [Tile(images[row.Index], f"{row.label}") for row in final.drop_duplicates("index").itertuples()]
        for s, start in enumerate(starts):
            strips[g, s, 0] = targets
            for k, step in enumerate(steps, 1):
                rows = early[(early["start"] == start) & (early["step"] == step)]
                strips[g, s, k] = [Tile(intermediate[row.Index], format_number(row.mse)) for row in rows.itertuples()]
            strips[g, s, len(steps) + 1] = [
                Tile(found[row.Index], format_number(row.mse), bool(row.best))
                for row in final[final["start"] == start].itertuples()
            ]
    about = (
        "Move from the target along the steps of the search, and between its starts. Below each image: its MSE; "
        "framed at the last step: the best start."
    )
    stops = ("target", *(f"after {format_count(step, 'step')}" for step in (*steps, last)))
    choices = [
        Choice("generator", generators),
        Choice("start", [f"start {start + 1} of {len(starts)}" for start in starts], "slider"),
        Choice("step", stops, "slider", len(stops) - 1),
    ]
    return Explorer(about, choices, strips)
