"""Latent vectors whose images are nearest to test images."""

from functools import partial
from typing import Any

import numpy as np
import torch

from advgen.data.choice import permutation
from advgen.data.images import load_images, load_subset
from advgen.experiments.inversions.experiment import Invert
from advgen.inversion.search import search
from advgen.io.checkpoints import load_model
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.jobs.progress import Progress
from advgen.metrics.image import extent, mse
from advgen.metrics.judging import judge_labels
from advgen.metrics.trivial import MAX_TRAINING_IMAGES, nearest_training_images, reconstruct_by_pca


def run(job: Job[Invert]) -> None:
    """Search from several starts for each image; keep every start with its history, and some on their way."""
    spec = job.spec
    generator = load_model(job.input("generator")).to(job.device)
    judge = load_model(job.input("judge")).to(job.device)
    encoder = load_model(job.input("encoder")).to(job.device) if job.inputs["encoder"] else None
    images, labels, indices = load_subset(job.input("data"), spec.images, spec.choice)
    searched = partial(search, generator, seed=spec.seed, encoder=encoder)
    targets = images.to(job.device)
    found = searched(targets, spec.search, indices=indices, progress=Progress(job.label()))
    n, starts = found.mse.shape
    train, _ = load_images(job.input("train"))
    train = train[permutation(len(train), 0, "baselines")[:MAX_TRAINING_IMAGES]]
    trivial = {
        "principal": reconstruct_by_pca(train, targets, generator.latent),
        "nearest": nearest_training_images(train, targets),
    }
    reconstructions = found.images.flatten(0, 1)
    judged, _ = judge_labels(judge, reconstructions)
    best = found.mse.argmin(1, keepdim=True) == torch.arange(starts)
    steps = found.steps.tolist()
    sides = (("", images.repeat_interleave(starts, 0)), ("_found", reconstructions))
    columns = {
        "inversion": spec.name,
        "generator": spec.generator_name,
        "seed": spec.seed,
        "optimizer": spec.search.optimizer,
        "lr": spec.search.lr,
        "first_start": "encoder" if encoder else "random",
        "index": np.repeat(indices, starts),
        "start": np.tile(np.arange(starts), n),
        "best": best.flatten().numpy(),
        "label": np.repeat(labels.numpy(), starts),
        "judged": judged,
        "judged_real": np.repeat(judge_labels(judge, images)[0], starts),
        "mse": found.mse.flatten().numpy(),
        **{f"mse_{name}": mse(made.cpu(), images).repeat_interleave(starts).numpy() for name, made in trivial.items()},
        **{f"{name}{end}": values for end, one in sides for name, values in kept(one)},
        "z": found.z.flatten(0, 1).numpy(),
        "history_step": [steps] * (n * starts),
        "history_mse": found.history.flatten(0, 1).numpy(),
        "image": images.repeat_interleave(starts, 0).numpy(),
        "reconstruction": reconstructions.numpy(),
    }
    write_table(job.output("out-inversion"), arrow_table("inversion", columns), job.stamp)
    first = sorted(range(n), key=indices.__getitem__)[:WATCHED]  # as tables have them
    chosen = [indices[place] for place in first]
    targets = images[first].to(job.device)
    # A search of fewer steps is the beginning of a longer one.
    ways = {
        stop: searched(targets, spec.search.model_copy(update={"steps": stop}), indices=chosen)
        for stop in stops(spec.search.steps)
    }
    watched = {
        "inversion": spec.name,
        "generator": spec.generator_name,
        "seed": spec.seed,
        "index": np.tile(np.repeat(chosen, starts), len(ways)),
        "start": np.tile(np.arange(starts), len(first) * len(ways)),
        "step": np.repeat(list(ways), len(first) * starts),
        "mse": torch.cat([way.mse.flatten() for way in ways.values()]).numpy(),
        "image": torch.cat([levels(way.images.flatten(0, 1)) for way in ways.values()]).numpy(),
    }
    write_table(job.output("out-steps"), arrow_table("inversion_steps", watched), job.stamp)


WATCHED, HALVINGS = 16, 6
"""Images that are followed on their way, and how often the steps are halved for it."""


def stops(steps: int) -> list[int]:
    """Steps after which a search is looked at: none, then twice as many each time; the end is in its result."""
    return sorted({0, *(round(steps / 2**halvings) for halvings in range(1, HALVINGS + 1))})


def levels(images: torch.Tensor) -> torch.Tensor:
    """Images in [0, 1] in whole grey levels."""
    return (255 * images).round().to(torch.uint8)


def kept(images: torch.Tensor) -> list[tuple[str, Any]]:
    """What an inversion should keep besides the pixels: mean intensity, width and height of each image."""
    return [(name, one.numpy()) for name, one in zip(("intensity", "width", "height"), extent(images), strict=True)]
