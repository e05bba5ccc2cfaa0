"""Summarise the error of the best of n starts."""

import pyarrow as pa

from advgen.metrics.grouping import Rows, group_rows, to_columns
from advgen.metrics.intervals import bootstrap_mean, wilson


def summarise(tables: dict[str, pa.Table]) -> Rows:
    """Return error and class kept of the best of the first n starts, for each n, per inversion, generator and seed.

    `class_kept_real` is the accuracy of the reference classifier on the original images, an upper bound.
    """
    rows = []
    axes = ["inversion", "generator", "seed", "optimizer", "lr", "first_start"]
    for keys, starts in group_rows(tables["inversion"], axes):
        for count in range(1, int(starts["start"].max()) + 2):
            first = starts[starts["start"] < count]
            best = first.loc[first.groupby("index")["mse"].idxmin()]
            mean, low, high = bootstrap_mean(best["mse"].to_numpy(), seed=0)
            agree = int((best["judged"] == best["label"]).sum())
            agree_low, agree_high = wilson(agree, len(best))
            rows.append(
                {
                    **keys,
                    "steps": int(best["history_step"].iloc[0][-1]),
                    "starts": count,
                    "n": len(best),
                    "mse": mean,
                    "mse_low": low,
                    "mse_high": high,
                    **{name: float(best[name].mean()) for name in ("mse_principal", "mse_nearest")},
                    "class_kept": agree / len(best),
                    "class_kept_low": agree_low,
                    "class_kept_high": agree_high,
                    "class_kept_real": float((best["judged_real"] == best["label"]).mean()),
                    **{
                        f"{name}_error": float((best[f"{name}_found"] - best[name]).abs().mean())
                        for name in ("intensity", "width", "height")
                    },
                }
            )
    return to_columns(rows)
