"""Transfer errors of a study in the order of a published table, and how well they agree with it."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from advgen.experiments.transfers.errors import exclude_chance_models, summarise_pairs
from advgen.experiments.transfers.experiment import PublishedTransferFigure
from advgen.metrics.agreement import kendall
from advgen.metrics.published import PUBLISHED


class AttackErrors(NamedTuple):
    """Errors (%) under one attack, (rows, columns) of the published table; NaN where the study has none.

    Kendall's tau and the median difference are over the `cells` that can be compared: measured and verified in the
    publication, with examples crafted on another model. Noise is left out because it is crafted on no model.
    """

    attack: str
    facts: pd.DataFrame
    errors: NDArray[np.float64]
    intervals: Mapping[tuple[int, int], str]
    cells: int
    tau: float
    median_difference: float


class PublishedComparison(NamedTuple):
    """Rows, columns and errors (%) of a published table, and ours by attack; `excluded` lists models at chance."""

    rows: list[str]
    columns: list[str]
    published: NDArray[np.float64]
    ours: list[AttackErrors]
    excluded: str


def compare_with_published(tables: Mapping[str, pa.Table], spec: PublishedTransferFigure) -> PublishedComparison:
    """Compare the transfer study of a figure with its published table."""
    of_study = {
        kind: tables[kind].filter(pc.equal(tables[kind]["study"], spec.transfer))
        for kind in ("transfer", "transferred")
    }
    facts, excluded = exclude_chance_models(of_study)
    table, attacks, names = PUBLISHED[spec.published], set(facts["attack"]), spec.names
    rows = [name for name in table.errors if names.get(name) in {*facts["source"], *attacks}]
    columns = [name for name in table.targets if names.get(name) in set(facts["target"])]
    published = np.array([[table.error(row, column) for column in columns] for row in rows])
    is_comparable = np.array(
        [[table.counts(row, column) and names[row] not in attacks for column in columns] for row in rows], dtype=bool
    )
    ours = []
    for attack in sorted(attacks - set(names.values())) or sorted(attacks):
        errors, intervals = _arrange_errors(facts, names, rows, columns, attack)
        compared = np.isfinite(errors) & is_comparable.reshape(errors.shape)
        tau, cells = kendall(errors[compared], published[compared])
        difference = float(np.median(np.abs(errors - published)[compared])) if cells else math.nan
        ours.append(AttackErrors(attack, facts[facts["attack"] == attack], errors, intervals, cells, tau, difference))
    return PublishedComparison(rows, columns, published, ours, excluded)


def _arrange_errors(
    facts: pd.DataFrame, names: Mapping[str, str], rows: list[str], columns: list[str], attack: str
) -> tuple[NDArray[np.float64], dict[tuple[int, int], str]]:
    """Return our errors (%) in the published order, means over seeds, NaN where there are none; and intervals."""
    errors = np.full((len(rows), len(columns)), np.nan)
    intervals = {}
    for r, row in enumerate(rows):
        is_noise = names[row] in set(facts["attack"])
        # Noise does not depend on a source model, so all sources count.
        crafted = (facts["source"] == names[row]) & (facts["attack"] == attack)
        of_row = facts[facts["attack"] == names[row] if is_noise else crafted]
        for c, column in enumerate(columns):
            pairs = of_row[of_row["target"] == names[column]]
            if len(pairs):
                error, lines = summarise_pairs(pairs, not is_noise and names[row] == names[column])
                errors[r, c], intervals[r, c] = 100 * error, lines[0]
    return errors, intervals
