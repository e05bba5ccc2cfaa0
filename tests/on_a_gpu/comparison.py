"""How far the tables of a study may lie apart when it is computed on a GPU and on a CPU."""

import math
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from advgen.core import catalog
from advgen.core.schema import TABLES
from advgen.io.tables import read_table, table_kind

assert catalog.STUDY_KINDS  # fills TABLES


class Tolerance(NamedTuple):
    """A number may lie `absolute`, and `relative` times the CPU's, away from the CPU's."""

    relative: float
    absolute: float


EXACT = Tolerance(0, 0)
# The devices sum in another order, and the smoke study's short trainings carry that on. Two CPUs with other vector
# instructions differ by a tenth of this at most. Shares of 40 attacked images come in steps of .025.
TOLERANCES = {
    "autoencoder_quality": Tolerance(0.05, 0.01),
    "certified": Tolerance(0.05, 0.1),
    "comparison": Tolerance(0.1, 0.1),
    "classifier_quality": Tolerance(0.05, 0.02),
    "gan_quality": Tolerance(0.1, 0.05),
    "inpainting_summary": Tolerance(0.1, 0.05),
    "interpolation_summary": Tolerance(0.1, 0.05),
    "inversion_summary": Tolerance(0.1, 0.05),
    "linearity_summary": Tolerance(0.05, 0.02),
    "published": Tolerance(0.1, 0.1),
    "robustness": Tolerance(0.05, 0.1),
    "sanity_checks": Tolerance(0.1, 0.1),
    "transfer": Tolerance(0.05, 0.1),
    "truncation": Tolerance(0.1, 0.05),
}
"""By the kind of table; those that are not named are the same on all devices."""


class Difference(NamedTuple):
    """The number of a table that lies farthest from the CPU's, measured by what it may: 1 is as far as allowed."""

    table: str
    share: float
    where: str


def compare(gpu: Path, cpu: Path) -> Difference:
    """One table of both runs, number by number; texts and lists are told by other columns and left out.

    A row that only one has, or a number that only one has, is as far as can be.
    """
    one, other = (read_table(path) for path in (gpu, cpu))
    kind = table_kind(one)
    key = list(TABLES[kind].key)
    ours, theirs = (table.to_pandas().set_index(key).sort_index(kind="stable") for table in (one, other))
    if not ours.index.equals(theirs.index):
        return Difference(cpu.stem, math.inf, "has other rows")
    tolerance = TOLERANCES.get(kind, EXACT)
    worst = Difference(cpu.stem, 0.0, "equal")
    for name in ours.select_dtypes("number").columns:
        for row, (a, b) in enumerate(zip(ours[name].tolist(), theirs[name].tolist(), strict=True)):
            share = _share(a, b, tolerance)
            if share > worst.share:
                worst = Difference(cpu.stem, share, f"`{name}` of row {row}: {a:.4g}, on the CPU {b:.4g}")
    return worst


def _share(ours: float, theirs: float, tolerance: Tolerance) -> float:
    if ours == theirs or (pd.isna(ours) and pd.isna(theirs)):
        return 0.0
    allowed = tolerance.relative * abs(theirs) + tolerance.absolute
    if not math.isfinite(ours - theirs) or allowed == 0:
        return math.inf
    return abs(ours - theirs) / allowed
