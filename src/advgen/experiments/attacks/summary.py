"""Accuracy under each attack and in the worst cases over attacks."""

from typing import Any

import pandas as pd
import pyarrow as pa

from advgen.core.catalog import TABLES
from advgen.experiments.attacks.experiment import SOURCE
from advgen.metrics.grouping import Rows, group_rows, to_columns
from advgen.metrics.intervals import wilson
from advgen.metrics.worst_case import is_inside, list_worst_cases

EFFORT = ("zero_gradient", "gradient_calls", "forward_calls")


def summarise(tables: dict[str, pa.Table]) -> Rows:
    """Return clean and robust accuracy for each source, seed and attack.

    - Robust accuracy counts images that are correct clean and attacked.
    - Success rates are shares of the images that are correct when clean: of any wrong class, after rounding to 256
      grey levels (`_rounded`), under the random control (`_unaimed`), and of the target class (`_target`).
    - Sizes are those of successful perturbations; failed attacks have none.
    - A row `worst …` for each norm and eps counts an image only if it is correct under all attacks of that norm up to
      that eps, under transferred examples in the ball, and under perturbations of attacks without a budget in the ball.
      `inside` lists the attacks, because sources may have been attacked differently; the calls are their sum.
    """
    examples = tables["examples"]
    keys_of = [name for name in TABLES["robustness"].columns if name in examples.column_names and name not in EFFORT]
    rows = []
    for keys, of_attack in group_rows(examples, keys_of):
        effort = {"zero_gradients": float(of_attack["zero_gradient"].mean())}
        effort |= {name: float(of_attack[name].mean()) for name in EFFORT[1:]}
        rows.append({**keys, "inside": keys["attack"], **_measure_robustness(_mark_correct(of_attack)), **effort})
    transferred = select_transferred(tables["transferred"]) if "transferred" in tables else None
    for keys, of_source in group_rows(examples, [*SOURCE]):
        group = of_source
        if transferred is not None:
            group = pd.concat([of_source, match_transferred(transferred, of_source)], ignore_index=True)
        for case in list_worst_cases(group):
            within = _mark_correct(group[is_inside(group, case)])
            images = within.sort_values(["index", "correct"]).groupby("index")
            worst = images.first().assign(correct_rounded=images["correct_rounded"].min())
            name = {"attack": f"worst {case.norm} {case.eps:g}", "kind": "worst_case"}
            name["inside"] = ", ".join(sorted(within["attack"].unique()))
            threat = {"norm": case.norm, "eps": case.eps, "steps": None, "restarts": None, "step_size": None}
            threat |= {"access": "ensemble", "target": "none", "loss": "none"}
            # All attacks were run, whichever of them was the worst for an image.
            calls = within.groupby("attack")[["gradient_calls", "forward_calls"]].mean().sum()
            zero = float(of_source.groupby("index")["zero_gradient"].min().mean())
            undefined = dict.fromkeys(("success_unaimed", "success_target", "success_target_unaimed"))
            measured = {**_measure_robustness(worst), **undefined, "zero_gradients": zero, **calls.to_dict()}
            rows.append({**keys, **name, **threat, **measured})
    return to_columns(rows)


def select_transferred(examples: pa.Table) -> pd.DataFrame:
    """Return transferred examples of other models, with the target as `source`.

    Amplified examples are left out because they are outside their ball, and duplicates of several studies are dropped.
    """
    rows = examples.to_pandas()
    is_same_model = (rows["source"] == rows["target"]) & (rows["source_seed"] == rows["target_seed"])
    rows = rows[~is_same_model & ~rows["amplified"]]
    attack = rows["attack"] + " from " + rows["source"] + " seed " + rows["source_seed"].astype(str)
    rows = rows.assign(attack=attack, source=rows["target"], source_seed=rows["target_seed"])
    return rows.drop_duplicates(["source", "source_seed", "attack", "index"])


def match_transferred(transferred: pd.DataFrame, examples: pd.DataFrame) -> pd.DataFrame:
    """Return the transferred examples of the same models and images as some examples, with the columns of both."""
    key = ["source", "source_seed", "tested_on", "index", "label"]
    columns = transferred.columns.intersection(examples.columns)
    return transferred.merge(examples[key].drop_duplicates(), on=key)[columns]


def _mark_correct(examples: pd.DataFrame) -> pd.DataFrame:
    """Add whether each image is correct clean and attacked, and the same after rounding to 256 grey levels."""
    clean = examples["predicted_clean"] == examples["label"]
    return examples.assign(
        correct=clean & (examples["predicted"] == examples["label"]),
        correct_rounded=clean & (examples["predicted_rounded"] == examples["label"]),
    )


def _measure_robustness(examples: pd.DataFrame) -> dict[str, Any]:
    label, target = examples["label"], examples["target_label"]
    correct, correct_rounded = (examples[name].to_numpy() for name in ("correct", "correct_rounded"))
    clean = (examples["predicted_clean"] == label).to_numpy()
    n_clean = clean.sum()

    def success_rate(flags: Any) -> float | None:
        return float((clean & flags).sum() / n_clean) if n_clean else None

    fooled = examples[clean & ~correct]
    has_target = bool(target.notna().any())
    mistakes = examples["confidence"].to_numpy()[(examples["predicted"] != label).to_numpy()]
    low, high = wilson(int(correct.sum()), len(correct))
    return {
        "n": len(correct),
        "clean_accuracy": float(clean.mean()),
        "accuracy": float(correct.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "success": success_rate(~correct),
        "success_rounded": success_rate(~correct_rounded),
        "success_unaimed": success_rate((examples["predicted_unaimed"] != label).to_numpy()),
        "success_target": success_rate((examples["predicted"] == target).to_numpy()) if has_target else None,
        "success_target_unaimed": (
            success_rate((examples["predicted_unaimed"] == target).to_numpy()) if has_target else None
        ),
        "confidence_on_mistakes": float(mistakes.mean()) if len(mistakes) else None,
        **{f"median_{norm}": float(fooled[norm].median()) if len(fooled) else None for norm in ("l0", "l2", "linf")},
        "mean_rms": float(fooled["rms"].mean()) if len(fooled) else None,
    }
