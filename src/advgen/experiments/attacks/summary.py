"""Accuracy under each attack and under the worst of them."""

from typing import Any

import pandas as pd
import pyarrow as pa

from advgen.core.catalog import TABLES
from advgen.experiments.attacks.experiment import SOURCE
from advgen.metrics.grouping import Rows, group_rows, to_columns
from advgen.metrics.intervals import wilson
from advgen.metrics.worst_case import is_inside, list_worst_cases


def summarise(tables: dict[str, pa.Table]) -> Rows:
    """Clean accuracy and accuracy under attack (right on both images), per source, seed and attack.

    Success is the share, of the images that are right when clean, that get any wrong class: as the attack leaves them,
    in 256 grey levels (`_rounded`), under its controls (`_unaimed`); `_target`: that get the class it aims at, if any,
    from it and from its controls (`_target_unaimed`).
    Sizes are of the changes that fooled: one that found nothing, or left a wrong answer alone, measures no distance.

    A row `worst …` for each norm and eps counts an image only if it is right under all attacks of that norm whose eps
    is no larger, those among them whose examples were crafted on another net and shown to this one, and under those
    changes of attacks without a budget that lie in the ball, too; `inside` names the attacks, since one source may have
    met more than another, and its calls are their sum.
    """
    examples = tables["examples"]
    facts = [name for name in TABLES["robustness"].columns if name in examples.column_names]
    keys_of = [name for name in facts if name not in ("zero_gradient", "gradient_calls", "forward_calls")]
    rows = []
    for keys, one in group_rows(examples, keys_of):
        rows.append({**keys, "inside": keys["attack"], **_robustness(_judged(one)), **_effort(one)})
    transferred = select_transferred(tables["transferred"]) if "transferred" in tables else None
    for keys, own in group_rows(examples, [*SOURCE]):
        group = own if transferred is None else pd.concat([own, match_transferred(transferred, own)], ignore_index=True)
        for case in list_worst_cases(group):
            within = _judged(group[is_inside(group, case)])
            images = within.sort_values(["index", "right"]).groupby("index")
            worst = images.first().assign(right_rounded=images["right_rounded"].min())
            attacks = ", ".join(sorted(within["attack"].unique()))
            named = {"attack": f"worst {case.norm} {case.eps:g}", "inside": attacks, "kind": "worst_case"}
            threat = {"norm": case.norm, "eps": case.eps, "steps": None, "restarts": None, "step_size": None}
            threat |= {"access": "ensemble", "target": "none", "loss": "none"}
            # each of them was run, whichever of them it was that an image fell to
            spent = within.groupby("attack")[["gradient_calls", "forward_calls"]].mean().sum()
            zero = float(own.groupby("index")["zero_gradient"].min().mean())
            none = dict.fromkeys(("success_unaimed", "success_target", "success_target_unaimed"))
            told = {**_robustness(worst), **none, "zero_gradients": zero, **spent.to_dict()}
            rows.append({**keys, **named, **threat, **told})
    return to_columns(rows)


def select_transferred(examples: pa.Table) -> pd.DataFrame:
    """Examples crafted on other nets than the one they are shown to, which is their `source` here.

    Amplified ones have left their ball. What several studies show to a net is one and the same.
    """
    rows = examples.to_pandas()
    own = (rows["source"] == rows["target"]) & (rows["source_seed"] == rows["target_seed"])
    rows = rows[~own & ~rows["amplified"]]
    crafted = rows["attack"] + " from " + rows["source"] + " seed " + rows["source_seed"].astype(str)
    met = rows.assign(attack=crafted, source=rows["target"], source_seed=rows["target_seed"])
    return met.drop_duplicates(["source", "source_seed", "attack", "index"])


def match_transferred(transferred: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """Those that a net met, of the images that it was attacked on itself."""
    shared = ["source", "source_seed", "tested_on", "index", "label"]
    return transferred.merge(own[shared].drop_duplicates(), on=shared)[transferred.columns.intersection(own.columns)]


def _judged(examples: pd.DataFrame) -> pd.DataFrame:
    """Whether each image is right under attack (and when clean), as the attack left it and in 256 grey levels."""
    right = {
        name: (examples["predicted_clean"] == examples["label"]) & (examples[predicted] == examples["label"])
        for name, predicted in (("right", "predicted"), ("right_rounded", "predicted_rounded"))
    }
    return examples.assign(**right)


def _robustness(examples: pd.DataFrame) -> dict[str, Any]:
    right, still_right = (examples[name].to_numpy() for name in ("right", "right_rounded"))
    clean = (examples["predicted_clean"] == examples["label"]).to_numpy()
    unaimed = (examples["predicted_unaimed"] != examples["label"]).to_numpy()
    fooled = clean & ~right
    target = examples["target_label"]
    on_target, by_chance = (
        clean & (examples[name] == target).to_numpy() for name in ("predicted", "predicted_unaimed")
    )
    aimed = bool(clean.any() and target.notna().any())
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
        "success_rounded": float((clean & ~still_right).sum() / clean.sum()) if clean.any() else None,
        "success_unaimed": float((clean & unaimed).sum() / clean.sum()) if clean.any() else None,
        "success_target": float(on_target.sum() / clean.sum()) if aimed else None,
        "success_target_unaimed": float(by_chance.sum() / clean.sum()) if aimed else None,
        "confidence_on_mistakes": float(mistakes.mean()) if len(mistakes) else None,
        **{f"median_{norm}": float(reached[norm].median()) if len(reached) else None for norm in ("l0", "l2", "linf")},
        "mean_rms": float(reached["rms"].mean()) if len(reached) else None,
    }


def _effort(examples: pd.DataFrame) -> dict[str, Any]:
    calls = {name: float(examples[name].mean()) for name in ("gradient_calls", "forward_calls")}
    return {"zero_gradients": float(examples["zero_gradient"].mean()), **calls}
