"""Write one summary table over all runs."""

from advgen import registry
from advgen.io.tables import add_swept_columns, arrow_table, read_tables, write_table
from advgen.jobs.job import Job
from advgen.outcomes.summaries.outcome import Summarise


def run(job: Job[Summarise]) -> None:
    """Summarise rows per example with intervals, or concatenate rows that are summaries already."""
    kind = job.spec.table
    tables = read_tables(job.inputs["tables"], images=False)
    target = registry.SUMMARISERS.get(kind)
    table = arrow_table(kind, registry.load_target(target)(tables)) if target else tables[kind]
    write_table(job.output(), add_swept_columns(table, job.spec.varied), job.stamp)
