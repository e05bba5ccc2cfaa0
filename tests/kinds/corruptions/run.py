"""Damaged test images."""

import torch
from torch.nn.functional import avg_pool2d

from advgen import seeds
from advgen.data.images import load_subset
from advgen.experiments.corruptions.experiment import Corrupt
from advgen.io.checkpoints import load_model
from advgen.jobs.job import Job
from advgen.io.tables import arrow_table, concatenate, write_table
from advgen.models.predict import predict


def run(job: Job[Corrupt]) -> None:
    """Damage a seeded choice of test images, the same for all classifiers, and keep which answers are right."""
    spec = job.spec
    model = load_model(job.input("model")).to(job.device)
    images, labels, indices = load_subset(job.input("data"), spec.images, spec.choice)
    noise = 2 * seeds.uniform(spec.choice, "damage", indices, *images.shape[1:]) - 1
    damaged = {
        "noise": images + spec.severity * noise,
        "blur": torch.lerp(images, avg_pool2d(images, 5, stride=1, padding=2), spec.severity),
        "dark": images * (1 - spec.severity),
        "pale": 1 - (1 - images) * (1 - spec.severity),
        "turned": torch.lerp(images, images.rot90(1, (2, 3)), spec.severity),
    }
    named = {"corruption": spec.name, "source": spec.source, "seed": spec.seed, "index": indices}
    tables = []
    for damage, x_BCHW in damaged.items():
        right = predict(model, x_BCHW.clamp(0, 1))[0] == labels
        tables.append(arrow_table("corruption", {**named, "damage": damage, "right": right.int().tolist()}))
    write_table(job.output(), concatenate(tables), job.stamp)
