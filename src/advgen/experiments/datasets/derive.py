"""Derive a data set from another one."""

import numpy as np

from advgen import registry
from advgen.experiments.datasets.experiment import DeriveDataset
from advgen.io.checkpoints import load_model
from advgen.io.tables import arrow_table, read_images, read_table, write_table
from advgen.jobs.job import Job
from advgen.jobs.progress import Progress


def run(job: Job[DeriveDataset]) -> None:
    """Create the splits that change and copy the others."""
    spec = job.spec
    models = [load_model(path).to(job.device) for path in job.inputs["model"]]
    make = registry.resolve(spec.dataset)
    more = {"validation": spec.validation} if spec.validation else {}
    for split in ("train", "test"):
        source = spec.dataset.source(split) if split in spec.dataset.splits else split  # type: ignore[attr-defined]
        table = read_table(job.input(source), "dataset")
        images, labels = read_images(table), table.column("label").to_numpy()
        cues = None
        if split in spec.dataset.splits:  # type: ignore[attr-defined]
            progress = Progress(f"{job.label()} ({split})")
            images, labels, cues = make(
                images,
                labels,
                spec.dataset,
                *models,
                split=split,
                seed=spec.seed,
                progress=progress,
                **more,
            )
        columns = {
            "index": np.arange(len(labels)),
            "label": np.asarray(labels, dtype=np.int32),
            "cue": cues,
            "image": images,
        }
        write_table(job.output(f"out-{split}"), arrow_table("dataset", columns), job.stamp)
