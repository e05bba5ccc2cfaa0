"""What the judge sees along paths between two images. Torch-free, so that figures can use it."""

from __future__ import annotations

import pandas as pd


def is_third_class(frames: pd.DataFrame, judged: str = "judged") -> pd.Series[bool]:
    """Whether each frame's class in a column is neither a label of its pair nor what it is at an end of the strip.

    Without the latter, an end that was inverted badly would count as a third class all along its half of the path.
    """
    strips = frames.sort_values("frame").groupby(["interpolation", "model", "seed", "pair"])[judged]
    ends = frames[["label_from", "label_to"]].assign(first=strips.transform("first"), last=strips.transform("last"))
    return ends.ne(frames[judged], axis=0).all(axis=1)


def midpoint_frames(frames: pd.DataFrame) -> pd.DataFrame:
    """The middle frame of each strip, from which every rate of third classes is.

    `third`: whether its class is one; `third_blend`: the same of the pixel blend of the two images.
    """
    middle = frames["frame"] == frames["frame"].max() // 2
    thirds = {"third": is_third_class(frames), "third_blend": is_third_class(frames, "judged_blend")}
    return frames[middle].assign(**{name: third[middle] for name, third in thirds.items()})


def endpoints_keep_labels(frames: pd.DataFrame) -> pd.Series[bool]:
    """Of each pair, whether the judge still sees the labels in both ends of its strip, after their reconstruction.

    Rates of third classes are of all pairs; where an end was lost, a path leads from another class than its label.
    """
    ends = frames[frames["frame"].isin([0, frames["frame"].max()])]
    kept = ends["judged"] == ends["label_from"].where(ends["frame"] == 0, ends["label_to"])
    return kept.groupby([ends[name] for name in ("interpolation", "model", "seed", "pair")]).all()


def largest_steps(frames: pd.DataFrame) -> pd.DataFrame:
    """The largest share of each pair's way in one step, of the path and of the pixel blend, means over the seeds."""
    return frames.groupby(["seed", "pair"])[["change", "change_blend"]].max().groupby("pair").mean()
