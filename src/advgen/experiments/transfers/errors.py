"""Transfer errors of pairs of models: means, intervals and spread over pairs of seeds."""

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from advgen.figures.statistics import to_frame
from advgen.metrics.chance import models_at_chance
from advgen.metrics.intervals import combine_intervals


def exclude_chance_models(tables: Mapping[str, pa.Table]) -> tuple[pd.DataFrame, str]:
    """Return the rows of a transfer table without models at chance on clean images, and text that lists these models.

    If all rows are of models at chance, they are kept.
    """
    rows = to_frame(tables["transfer"])
    predictions = to_frame(tables["transferred"])[["target", "target_seed", "index", "label", "predicted_clean"]]
    chance = models_at_chance(predictions.rename(columns={"target": "source", "target_seed": "source_seed"}))
    pairs = [list(zip(rows[side], rows[f"{side}_seed"], strict=True)) for side in ("source", "target")]
    compared = rows[[source not in chance and target not in chance for source, target in zip(*pairs, strict=True)]]
    if compared.empty or not chance:
        return rows, ""
    return compared, f"; excluded because at chance: {', '.join(f'{name} seed {seed}' for name, seed in chance)}"


def select_diagonal(pairs: pd.DataFrame, same: bool) -> pd.DataFrame:
    """Return the pairs of seeds that count: on the diagonal (`same`) only a model with itself, if it occurs."""
    itself = pairs["source_seed"] == pairs["target_seed"]
    return pairs[itself] if same and itself.any() else pairs


def measure_error(pairs: pd.DataFrame) -> tuple[float, float, float]:
    """Return the mean error over pairs of seeds with its interval over the seeds of both models and over images."""
    mean, low, high = (float(pairs[f"error{end}"].mean()) for end in ("", "_low", "_high"))
    itself = (pairs["source_seed"] == pairs["target_seed"]).all() and (pairs["source"] == pairs["target"]).all()
    seeds = [pairs.groupby(f"{side}_seed")["error"].mean() for side in (["target"] if itself else ["source", "target"])]
    return combine_intervals(mean, [means for means in seeds if len(means) > 1], (mean - low, high - mean), share=True)


def summarise_pairs(pairs: pd.DataFrame, same: bool) -> tuple[float, list[str]]:
    """Return the mean error over pairs of seeds, and the small lines of its cell; `same` as in `select_diagonal`."""
    counted = select_diagonal(pairs, same)
    others = pairs.drop(counted.index)
    mean, low, high = measure_error(counted)
    lines = [f"{100 * low:.1f}–{100 * high:.1f}", *describe_spread(counted["error"])]
    lines.append(f"noise {100 * counted['error_unaimed'].mean():.1f}")
    if len(others):
        lines.append(f"other seeds {100 * others['error'].mean():.1f}")
    return mean, lines


def describe_spread(errors: pd.Series) -> list[str]:
    """Describe the range over seeds in a line; no line for a single seed."""
    low, high = (f"{100 * bound:.1f}" for bound in (errors.min(), errors.max()))
    if len(errors) < 2:
        return []
    return [f"seeds {low}–{high}" if low != high else f"all seeds {low}"]
