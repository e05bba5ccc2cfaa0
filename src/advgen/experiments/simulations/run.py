"""Run one simulation."""

from advgen import registry
from advgen.experiments.simulations.experiment import Simulate
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.jobs.progress import Progress


def run(job: Job[Simulate]) -> None:
    """Run the simulation with all seeds and write its points."""
    spec = job.spec
    points = registry.resolve(spec.simulation)(spec.simulation, seeds=spec.seeds, progress=Progress(job.label()))
    kind = spec.simulation.kind  # type: ignore[attr-defined]
    series = {name: [getattr(point, name) for point in points] for name in points[0]._fields}
    columns = {"simulation": spec.name, "kind": kind, **series}
    write_table(job.output(), arrow_table("simulation", columns), job.stamp)
