"""Write the agreement of transfer studies with published tables."""

from advgen.experiments.agreements.experiment import Agree
from advgen.experiments.transfers.published_comparison import compare_with_published
from advgen.io.tables import arrow_table, read_tables, write_table
from advgen.jobs.job import Job
from advgen.metrics.grouping import to_columns


def run(job: Job[Agree]) -> None:
    """Write a row for each figure with a published table and each of its attacks."""
    tables = read_tables(job.inputs["tables"], images=False)
    rows = [
        {"figure": name, "study": figure.transfer, "published": figure.published, "attack": ours.attack}
        | {"cells": ours.cells, "tau": ours.tau, "median_difference": ours.median_difference}
        for name, figure in job.spec.figures.items()
        for ours in compare_with_published(tables, figure).ours
    ]
    write_table(job.output(), arrow_table("published", to_columns(rows)), job.stamp)
