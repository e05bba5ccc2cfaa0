"""Run the sanity checks."""

from collections.abc import Collection
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from advgen.core.catalog import TABLES
from advgen.io.checkpoints import load_model
from advgen.io.tables import arrow_table, read_table, read_tables, table_kind, write_table
from advgen.jobs.job import Job
from advgen.metrics.sanity.integrity import check_attacked_images, check_pixels, check_saved_predictions
from advgen.metrics.sanity.table import BASELINE, INVARIANT, STATISTICAL, run_checks
from advgen.outcomes.sanity.outcome import SanityChecks


def run(job: Job[SanityChecks]) -> None:
    """Write the result of every check; a failed one raises no error, so that figures, report and CV are made."""
    unclipped = job.spec.unclipped
    tables = without_unclipped(read_tables(job.inputs["tables"], images=False), unclipped)
    checks = run_checks(tables, STATISTICAL)
    for check in checks:
        if check["source"] in job.spec.obfuscated:
            check["kind"] = "warning"
    checks += run_checks(tables, INVARIANT, BASELINE)
    data = zip(job.spec.datasets, job.inputs["data"], strict=True)
    test = {dataset: read_table(path, "dataset") for dataset, path in data}
    models, load = iter(job.inputs["models"]), cache(load_model)
    for path in job.inputs["tables"]:  # one file at a time, because the images of all attacks might not fit into memory
        table = read_table(path)
        if table_kind(table) == "examples":
            checks += [*check_pixels(table, unclipped), *check_saved_predictions(table, load(next(models)))]
            [dataset] = table.column("tested_on").unique().to_pylist()
            checks += check_attacked_images(table, test[dataset])
    columns = {column: [check[column] for check in checks] for column in TABLES["sanity_checks"].columns}
    write_table(job.output(), arrow_table("sanity_checks", columns), job.stamp)


def without_unclipped(tables: dict[str, pa.Table], unclipped: Collection[str]) -> dict[str, pa.Table]:
    """Return the tables without examples of unclipped attacks, which no check compares with attacks or certificates.

    Tables that become empty are removed.
    """
    filtered = {
        name: table.filter(pc.invert(pc.is_in(table["attack"], pa.array(list(unclipped), pa.string()))))
        if name in ("examples", "transferred")
        else table
        for name, table in tables.items()
    }
    return {name: table for name, table in filtered.items() if table.num_rows or not tables[name].num_rows}
