"""Checks of transfers: white-box attacks are stronger than transferred examples."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from advgen.metrics.chance import models_at_chance
from advgen.metrics.sanity.results import Check, check_not_worse, independent_difference


def check_white_box(transfer: pa.Table, transferred: pa.Table | None = None) -> Iterator[Check]:
    """Examples fool their own model at least as often as transferred ones do (column), and as other models (row).

    Models at chance level, by the answers in `transferred`, are left out. The row is a check if the attack minimises
    the change, so that it succeeds on all images of its model. Otherwise it is a warning about the error beyond the
    clean error of each model, since another model may simply be weaker.
    """
    rows = transfer.to_pandas()
    for source, seed in [] if transferred is None else _targets_at_chance(transferred):
        as_source = (rows["source"] == source) & (rows["source_seed"] == seed)
        rows = rows[~as_source & ~((rows["target"] == source) & (rows["target_seed"] == seed))]
    rows = rows[rows["norm"] != "none"]
    rows["excess"] = rows["error"] - rows["clean_error"]
    white_box = (rows["source"] == rows["target"]) & (rows["source_seed"] == rows["target_seed"])
    for white in rows[white_box].itertuples():
        same = rows[~white_box & (rows["study"] == white.study) & (rows["attack"] == white.attack)]
        column = same[(same["target"] == white.target) & (same["target_seed"] == white.target_seed)]
        row = same[(same["source"] == white.source) & (same["source_seed"] == white.source_seed)]
        minimal = bool(np.isnan(white.eps))
        subject = f"{white.attack} on {white.target} seed {white.target_seed} in {white.study}"
        for others, place, measure in ((column, "column", "error"), (row, "row", "error" if minimal else "excess")):
            if len(others):
                other = others.loc[others[measure].idxmax()]
                kind = "check" if place == "column" or minimal else "warning"
                difference = independent_difference(other, white._asdict(), measure)
                check, n = f"white box leads its {place}", int(white.n)
                result = check_not_worse(check, subject, difference, n, "error", white.target, kind)
                detail = (
                    f"{result['detail']}; not paired; strongest other entry: {other['source']} on {other['target']}"
                )
                yield {**result, "detail": detail}


def _targets_at_chance(transferred: pa.Table) -> list[tuple[str, int]]:
    answers = transferred.select(["target", "target_seed", "index", "label", "predicted_clean"]).to_pandas()
    return models_at_chance(answers.rename(columns={"target": "source", "target_seed": "source_seed"}))
