"""Third classes and roughness of paths."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from advgen.metrics.grouping import Rows, columns, groups
from advgen.metrics.intervals import bootstrap_mean, wilson


def third_class(frames: pd.DataFrame) -> pd.Series[bool]:
    """Whether each frame's judged class is neither a label of its pair nor what the judge sees in an end of its strip.

    Without the latter, an end that was inverted badly would count as a third class all along its half of the path.
    """
    strips = frames.sort_values("frame").groupby(["interpolation", "model", "seed", "pair"])["judged"]
    ends = frames[["label_from", "label_to"]].assign(first=strips.transform("first"), last=strips.transform("last"))
    return ends.ne(frames["judged"], axis=0).all(axis=1)


def halfway(frames: pd.DataFrame) -> pd.DataFrame:
    """The middle frame of each strip, from which every rate of third classes is; `third`: whether its class is one."""
    middle = frames["frame"] == frames["frame"].max() // 2
    return frames[middle].assign(third=third_class(frames)[middle])


def ends_kept(frames: pd.DataFrame) -> pd.Series[bool]:
    """Of each pair, whether the judge still sees the labels in both ends of its strip, after their reconstruction.

    Rates of third classes are of all pairs; where an end was lost, a path leads from another class than its label.
    """
    ends = frames[frames["frame"].isin([0, frames["frame"].max()])]
    kept = ends["judged"] == ends["label_from"].where(ends["frame"] == 0, ends["label_to"])
    return kept.groupby([ends[name] for name in ("interpolation", "model", "seed", "pair")]).all()


def summarise(tables: dict[str, pa.Table]) -> Rows:
    """Rate of a third class in the middle frame, and roughness: the largest share of a path's way in one step."""
    rows = []
    for keys, frames in groups(tables["interpolation"], ["interpolation", "model", "seed"]):
        middle = halfway(frames)
        third, n = int(middle["third"].sum()), len(middle)
        low, high = wilson(third, n)
        rough, rough_low, rough_high = bootstrap_mean(frames.groupby("pair")["change"].max().to_numpy(), seed=0)
        rows.append(
            {
                **keys,
                "n": n,
                "ends_kept": float(ends_kept(frames).mean()),
                "third_class": third / n,
                "third_class_low": low,
                "third_class_high": high,
                "roughness": rough,
                "roughness_low": rough_low,
                "roughness_high": rough_high,
            }
        )
    return columns(rows)
