"""One figure as PDF and PNG."""

from advgen import registry
from advgen.core.provenance import atomic
from advgen.figures.common import save
from advgen.io.jobs import Job
from advgen.io.tables import read_tables
from advgen.outcomes.figures.outcome import Draw


def run(job: Job[Draw]) -> None:
    """Read the tables that the figure needs and draw it."""
    spec = job.spec.figure
    figure = registry.resolve(spec)(read_tables(job.inputs["tables"]), spec)
    with atomic(job.output("out-pdf")) as pdf, atomic(job.output("out-png")) as png:
        save(figure, pdf, png, job.stamp.token())
