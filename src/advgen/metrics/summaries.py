"""Tidy summaries with intervals, from per-example tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from advgen.metrics.intervals import bootstrap_mean, wilson
from advgen.metrics.worst_case import worst_cases
from advgen.tables import TABLES

Columns = dict[str, list[Any]]


def _groups(table: pa.Table, keys: list[str]) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Rows with equal keys."""
    for values, rows in table.to_pandas().groupby(keys, sort=True, dropna=False):
        yield dict(zip(keys, values, strict=True)), rows


def _columns(rows: list[dict[str, Any]]) -> Columns:
    return {name: [row[name] for row in rows] for name in rows[0]}


def inversions(tables: dict[str, pa.Table]) -> Columns:
    """Error and class agreement of the best of the first n starts, for each n, per inversion, generator and seed."""
    rows = []
    axes = ["inversion", "generator", "seed", "optimizer", "lr", "first_start"]
    for keys, starts in _groups(tables["inversion"], axes):
        for count in range(1, int(starts["start"].max()) + 2):
            tried = starts[starts["start"] < count]
            best = tried.loc[tried.groupby("index")["mse"].idxmin()]
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
                    "class_agreement": agree / len(best),
                    "class_agreement_low": agree_low,
                    "class_agreement_high": agree_high,
                    **{
                        f"{name}_error": float((best[f"{name}_found"] - best[name]).abs().mean())
                        for name in ("ink", "width", "height")
                    },
                }
            )
    return _columns(rows)


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


def interpolations(tables: dict[str, pa.Table]) -> Columns:
    """Rate of a third class in the middle frame, and roughness: the largest share of a path's way in one step."""
    rows = []
    for keys, frames in _groups(tables["interpolation"], ["interpolation", "model", "seed"]):
        last, middle = frames["frame"].max(), halfway(frames)
        third, n = int(middle["third"].sum()), len(middle)
        low, high = wilson(third, n)
        kept = frames["judged"] == frames["label_from"].where(frames["frame"] == 0, frames["label_to"])
        kept_both = kept[frames["frame"].isin([0, last])].groupby(frames["pair"]).all()
        rough, rough_low, rough_high = bootstrap_mean(frames.groupby("pair")["change"].max().to_numpy(), seed=0)
        rows.append(
            {
                **keys,
                "n": n,
                "ends_kept": float(kept_both.mean()),
                "third_class": third / n,
                "third_class_low": low,
                "third_class_high": high,
                "roughness": rough,
                "roughness_low": rough_low,
                "roughness_high": rough_high,
            }
        )
    return _columns(rows)


MEASURES = ("mse_whole", "mse_hole", "mse_composite", "ssim_whole", "ssim_composite")


def inpaintings(tables: dict[str, pa.Table]) -> Columns:
    """Mean and 95 % bootstrap interval of every measure, per generator, seed, mask and method."""
    rows = []
    for keys, images in _groups(tables["inpainting"], ["inpainting", "generator", "seed", "mask", "method"]):
        for measure in MEASURES:
            mean, low, high = bootstrap_mean(images[measure].to_numpy(), seed=0)
            rows.append({**keys, "measure": measure, "n": len(images), "mean": mean, "low": low, "high": high})
    return _columns(rows)


def robustness(tables: dict[str, pa.Table]) -> Columns:
    """Accuracy unattacked and under attack (right clean and right attacked), per source, seed and attack.

    A row `worst …` for each norm and eps counts an image only if it is right under all attacks of that norm whose eps
    is no larger; `inside` names them, since one source may have met more than another, and its calls are their sum.
    """
    examples = tables["examples"]
    facts = [name for name in TABLES["robustness"].columns if name in examples.column_names]
    keys_of = [name for name in facts if name not in ("zero_gradient", "gradient_calls", "forward_calls")]
    rows = []
    for keys, one in _groups(examples, keys_of):
        right = (one["predicted_clean"] == one["label"]) & (one["predicted"] == one["label"])
        rows.append({**keys, "inside": keys["attack"], **_robustness(one, right), **_effort(one)})
    for keys, group in _groups(examples, ["source", "source_seed", "dataset", "images", "parameters", "defence"]):
        for norm, eps, attacks in worst_cases(group):
            within = group[group["attack"].isin(attacks)]
            right = (within["predicted_clean"] == within["label"]) & (within["predicted"] == within["label"])
            worst = within.assign(right=right).sort_values(["index", "right"]).groupby("index").first()
            named = {"attack": f"worst {norm} {eps:g}", "inside": ", ".join(attacks), "kind": "battery"}
            threat = {"norm": norm, "eps": eps, "steps": None, "restarts": None, "step_size": None}
            threat |= {"knowledge": "battery", "target": "none", "loss": "none"}
            # each of them was run, whichever of them it was that an image fell to
            spent = within.groupby("attack")[["gradient_calls", "forward_calls"]].mean().sum()
            rows.append(
                {**keys, **named, **threat, **_robustness(worst, worst["right"]), **_effort(worst), **spent.to_dict()}
            )
    return _columns(rows)


def _robustness(examples: pd.DataFrame, right: pd.Series) -> dict[str, Any]:
    clean = (examples["predicted_clean"] == examples["label"]).to_numpy()
    fooled = clean & ~right.to_numpy()
    mistakes = examples["confidence"].to_numpy()[(examples["predicted"] != examples["label"]).to_numpy()]
    low, high = wilson(int(right.sum()), len(right))
    reached = examples[fooled]
    return {
        "n": len(right),
        "clean_accuracy": float(clean.mean()),
        "accuracy": float(right.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "success": float(fooled.sum() / clean.sum()) if clean.any() else None,
        "confidence_on_mistakes": float(mistakes.mean()) if len(mistakes) else None,
        **{f"median_{norm}": float(reached[norm].median()) if len(reached) else None for norm in ("l0", "l2", "linf")},
        "mean_rms": float(examples["rms"].mean()),
    }


def _effort(examples: pd.DataFrame) -> dict[str, Any]:
    calls = {name: float(examples[name].mean()) for name in ("gradient_calls", "forward_calls")}
    return {"zero_gradients": float(examples["zero_gradient"].mean()), **calls}


def linearity(tables: dict[str, pa.Table]) -> Columns:
    """How well a straight line explains the logit of the label along the gradient's sign, per source and seed."""
    rows = []
    for keys, points in _groups(tables["linearity"], ["linearity", "source", "seed"]):
        fits = []
        for _, line in points.groupby("index"):
            logit = [logits[label] for logits, label in zip(line["logits"], line["label"], strict=True)]
            fits.append(np.corrcoef(line["eps"], logit)[0, 1] ** 2)
        mean, low, high = bootstrap_mean(np.nan_to_num(fits), seed=0)
        rows.append({**keys, "n": len(fits), "r_squared": mean, "r_squared_low": low, "r_squared_high": high})
    return _columns(rows)
