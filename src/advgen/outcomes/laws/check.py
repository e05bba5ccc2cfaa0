"""The table of laws."""

from advgen.core.catalog import TABLES
from advgen.io.jobs import Job
from advgen.io.tables import arrow_table, read_table, read_tables, table_kind, write_table
from advgen.metrics.laws import attacks_test_images, ball_and_box, check
from advgen.outcomes.laws.outcome import CheckLaws


def run(job: Job[CheckLaws]) -> None:
    """Test every law; broken ones are written, not raised, so that figures, report and CV exist either way."""
    laws = check(read_tables(job.inputs["tables"], images=False))
    for law in laws:
        if law["source"] in job.spec.masked:
            law["kind"] = "flag"
    data = zip(job.spec.datasets, job.inputs["data"], strict=True)
    test = {dataset: read_table(path, "dataset") for dataset, path in data}
    for path in job.inputs["tables"]:  # one file at a time: images of all attacks together need not fit in memory
        table = read_table(path)
        if table_kind(table) == "examples":
            laws += ball_and_box(table)
            [dataset] = table.column("dataset").unique().to_pylist()
            laws += attacks_test_images(table, test[dataset])
    columns = {column: [law[column] for law in laws] for column in TABLES["laws"].columns}
    write_table(job.output(), arrow_table("laws", columns), job.stamp)
