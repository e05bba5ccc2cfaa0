"""Adversarial examples to browse in the report, by classifier and attack."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from advgen.experiments.attacks.accuracies import read_facts
from advgen.experiments.attacks.experiment import AttackedFigure
from advgen.figures.findings import Choice, Explorer, Row, Strips, Tile
from advgen.figures.formatting import NORM_NAMES, describe_threat, format_number
from advgen.figures.images import Images
from advgen.figures.statistics import first_seed, present_in_order
from advgen.io.tables import read_images
from advgen.metrics.worst_case import BALLS

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Quantiles of the smallest perturbations that are stops of the slider."""
IMAGES = 10
"""Images per strip."""


def explore_examples(tables: Mapping[str, pa.Table], spec: AttackedFigure) -> Explorer:
    """Show the first test images clean and under each attack, from the smallest budget on, by classifier."""
    examples = tables["examples"]
    facts, images, adversarial = read_facts(examples), read_images(examples), read_images(examples, "adversarial")
    facts["place"] = facts.index
    sources, attacks = present_in_order(spec.sources, facts["source"]), present_in_order(spec.attacks, facts["attack"])
    first = {attack: facts[facts["attack"] == attack].iloc[0] for attack in attacks}
    attacks = sorted(attacks, key=lambda attack: (first[attack]["norm"], first[attack]["eps"]))
    shared = set.intersection(*(set(rows["index"]) for _, rows in facts.groupby(["source", "attack"])))
    stops = [(attack, radius) for attack in attacks for radius in _find_radii(facts[facts["attack"] == attack])]
    strips: Strips = {}
    for s, source in enumerate(sources):
        for a, (attack, radius) in enumerate(stops, 1):
            rows = facts[(facts["source"] == source) & (facts["attack"] == attack)]
            rows = first_seed(rows[rows["index"].isin(shared)], "source_seed").sort_values("index").iloc[:IMAGES]
            strips[s, 0] = [_make_clean_tile(images, row) for row in rows.to_dict("records")]
            strips[s, a] = [
                _make_clean_tile(images, row)
                if radius is not None and row[row["norm"]] > radius
                else _make_attacked_tile(adversarial, row)
                for row in rows.to_dict("records")
            ]
    names = [f"{attack}: {_name_stop(first[attack], radius)}" for attack, radius in stops]
    about = "Move the slider from the clean images to larger budgets; label → prediction, framed: wrong."
    if any(radius is not None for _, radius in stops):
        about += " For attacks without a budget, each stop shows the examples within that size."
    return Explorer(about, [Choice("classifier", sources), Choice("under", ["clean", *names], "slider")], strips)


def _name_stop(attack: pd.Series, radius: float | None) -> str:
    return describe_threat(attack) if radius is None else f"{NORM_NAMES[attack['norm']]} up to {format_number(radius)}"


def _find_radii(rows: pd.DataFrame) -> list[float | None]:
    """Return the slider stops of an attack: None for its own budget, or quantiles of its smallest perturbations."""
    norm = rows["norm"].iloc[0]
    fooled = rows.loc[(rows["predicted_clean"] == rows["label"]) & (rows["predicted"] != rows["label"])]
    if pd.notna(rows["eps"].iloc[0]) or norm not in BALLS or fooled.empty:
        return [None]
    return sorted(set(np.quantile(fooled[norm].to_numpy(float), QUANTILES).tolist()))


def _make_clean_tile(images: Images, row: Row) -> Tile:
    words = f"{row['label']} → {row['predicted_clean']}"
    return Tile(images[row["place"]], words, row["predicted_clean"] != row["label"])


def _make_attacked_tile(images: Images, row: Row) -> Tile:
    words = f"{row['label']} → {row['predicted']}, {100 * row['confidence']:.0f} %"
    return Tile(images[row["place"]], words, row["predicted"] != row["label"])
