"""Convert a data set to train.parquet and test.parquet."""

from typing import Any

import numpy as np

from advgen import registry
from advgen.data.choice import choose
from advgen.experiments.datasets.experiment import MakeDataset
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.jobs.progress import Progress
from advgen.specs.datasets import CustomDataset, RawDataset


def run(job: Job[MakeDataset]) -> None:
    """Read the files, select the configured number of images, write both splits."""
    spec = job.spec.dataset
    if isinstance(spec, CustomDataset):
        splits = registry.resolve(spec)(spec, job.spec.content, Progress(job.label()))
        wanted = tuple(n or len(labels) for n, (_, labels) in zip((spec.train, spec.test), splits, strict=True))
    else:
        splits, wanted = _read_published(job)
    for (images, labels), n, flag in zip(splits, wanted, ("out-train", "out-test"), strict=True):
        selected = choose(len(labels), min(n, len(labels)), job.spec.seed)  # a custom folder may hold fewer
        columns = {
            "index": np.array(selected),
            "label": labels[selected].astype(np.int32),
            "cue": None,
            "image": images[selected],
        }
        write_table(job.output(flag), arrow_table("dataset", columns), job.stamp)


def _read_published(job: Job[MakeDataset]) -> tuple[Any, tuple[int, int]]:
    """Return images and labels of both splits, and the number of images to select."""
    spec = job.spec.dataset
    assert isinstance(spec, RawDataset)
    intact = registry.load_target(spec.intact)
    for path in job.inputs["raw"]:
        if not intact(path, spec):
            raise ValueError(f"{path}: is not the file that was published (wrong checksum); delete it and run again")
    return registry.load_target(spec.reader)(job.inputs["raw"], spec), spec.sizes()
