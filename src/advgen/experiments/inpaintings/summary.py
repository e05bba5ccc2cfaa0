"""Summarise the errors of inpainting."""

import pyarrow as pa

from advgen.metrics.grouping import Rows, group_rows, to_columns
from advgen.metrics.intervals import bootstrap_mean

MEASURES = ("mse_whole", "mse_missing", "mse_blended", "mse_composite", "ssim_whole", "ssim_composite")


def summarise(tables: dict[str, pa.Table]) -> Rows:
    """Return mean and 95 % bootstrap interval of every measure, per generator, seed, mask and method."""
    rows = []
    for keys, images in group_rows(tables["inpainting"], ["inpainting", "generator", "seed", "mask", "method"]):
        for measure in MEASURES:
            mean, low, high = bootstrap_mean(images[measure].to_numpy(), seed=0)
            rows.append({**keys, "measure": measure, "n": len(images), "mean": mean, "low": low, "high": high})
    return to_columns(rows)
