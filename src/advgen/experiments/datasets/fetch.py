"""Download the raw files of a data set."""

from advgen import registry
from advgen.experiments.datasets.experiment import Fetch
from advgen.jobs.job import Job


def run(job: Job[Fetch]) -> None:
    """Download, check and write the raw files."""
    registry.resolve(job.spec.dataset)(job.spec.dataset).fetch(job.outputs["out"])
