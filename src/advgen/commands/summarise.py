"""One tidy table over all runs of a kind."""

from collections.abc import Callable

import pyarrow as pa

from advgen.jobs import Job
from advgen.metrics import summaries
from advgen.tables import arrow_table, read_tables, write_table
from advgen.tasks import Summarise

SUMMARIES: dict[str, Callable[[dict[str, pa.Table]], dict[str, list[object]]]] = {
    "inversion_summary": summaries.inversions,
    "inpainting_summary": summaries.inpaintings,
    "interpolation_summary": summaries.interpolations,
    "robustness": summaries.robustness,
    "linearity_summary": summaries.linearity,
}


def run(job: Job[Summarise]) -> None:
    """Summarise per-example rows with intervals, or gather rows that are summaries already."""
    kind = job.spec.table
    tables = read_tables(job.inputs["tables"], images=False)
    table = arrow_table(kind, SUMMARIES[kind](tables)) if kind in SUMMARIES else tables[kind]
    write_table(job.output(), table, job.stamp)
