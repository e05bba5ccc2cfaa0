"""Predicted classes along paths between two images. Does not import torch, so that figures can use it."""

from __future__ import annotations

import pandas as pd


def is_third_class(frames: pd.DataFrame, judged: str = "judged") -> pd.Series[bool]:
    """Whether the predicted class of each frame is neither a label of its pair nor predicted at an end of its strip.

    Without the latter, a badly inverted end would count as a third class along its half of the path.
    """
    strips = frames.sort_values("frame").groupby(["interpolation", "model", "seed", "pair"])[judged]
    ends = frames[["label_from", "label_to"]].assign(first=strips.transform("first"), last=strips.transform("last"))
    return ends.ne(frames[judged], axis=0).all(axis=1)


def midpoint_frames(frames: pd.DataFrame) -> pd.DataFrame:
    """The middle frame of each strip, which all rates of third classes use.

    `third`: whether a third class is predicted; `third_blend`: the same for the pixel blend of the two images.
    """
    middle = frames["frame"] == frames["frame"].max() // 2
    thirds = {"third": is_third_class(frames), "third_blend": is_third_class(frames, "judged_blend")}
    return frames[middle].assign(**{name: third[middle] for name, third in thirds.items()})


def endpoints_keep_labels(frames: pd.DataFrame) -> pd.Series[bool]:
    """For each pair, whether both ends of its strip, after reconstruction, are still predicted as their labels.

    Rates of third classes include the other pairs, whose paths start from a class that is not the label.
    """
    ends = frames[frames["frame"].isin([0, frames["frame"].max()])]
    is_label = ends["judged"] == ends["label_from"].where(ends["frame"] == 0, ends["label_to"])
    return is_label.groupby([ends[name] for name in ("interpolation", "model", "seed", "pair")]).all()


def largest_steps(frames: pd.DataFrame) -> pd.DataFrame:
    """The largest share of each pair's distance in one step, for the path and the pixel blend, averaged over seeds."""
    return frames.groupby(["seed", "pair"])[["change", "change_blend"]].max().groupby("pair").mean()
