"""Summarise third classes and roughness of interpolations."""

import pyarrow as pa

from advgen.metrics.grouping import Rows, group_rows, to_columns
from advgen.metrics.intervals import bootstrap_mean, wilson
from advgen.metrics.paths import endpoints_keep_labels, largest_steps, midpoint_frames


def summarise(tables: dict[str, pa.Table]) -> Rows:
    """Return the share of third classes at the midpoint, and roughness: the share of the length in the largest step."""
    rows = []
    for keys, frames in group_rows(tables["interpolation"], ["interpolation", "model", "seed"]):
        middle, steps = midpoint_frames(frames), largest_steps(frames)
        third, n = int(middle["third"].sum()), len(middle)
        low, high = wilson(third, n)
        rough, rough_low, rough_high = bootstrap_mean(steps["change"].to_numpy(), seed=0)
        rows.append(
            {
                **keys,
                "n": n,
                "ends_kept": float(endpoints_keep_labels(frames).mean()),
                "third_class": third / n,
                "third_class_low": low,
                "third_class_high": high,
                "third_class_blend": float(middle["third_blend"].mean()),
                "roughness": rough,
                "roughness_low": rough_low,
                "roughness_high": rough_high,
                "roughness_blend": float(steps["change_blend"].mean()),
            }
        )
    return to_columns(rows)
