"""Invert a generator: search for latent vectors whose images are closest to test images."""

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
    """Search from several starts for each image; store every start, and intermediate images of a few."""
    spec = job.spec
    generator = load_model(job.input("generator")).to(job.device)
    judge = load_model(job.input("judge")).to(job.device)
    encoder = load_model(job.input("encoder")).to(job.device) if job.inputs["encoder"] else None
    images, labels, indices = load_subset(job.input("data"), spec.images, spec.choice)
    search_latents = partial(search, generator, seed=spec.seed, encoder=encoder)
    targets = images.to(job.device)
    found = search_latents(targets, spec.search, indices=indices, progress=Progress(job.label()))
    n, starts = found.mse.shape
    train, _ = load_images(job.input("train"))
    train = train[permutation(len(train), 0, "baselines")[:MAX_TRAINING_IMAGES]]
    baselines = {
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
        **{
            f"mse_{name}": mse(values.cpu(), images).repeat_interleave(starts).numpy()
            for name, values in baselines.items()
        },
        **{f"{name}{end}": values for end, side in sides for name, values in measure_properties(side)},
        "z": found.z.flatten(0, 1).numpy(),
        "history_step": [steps] * (n * starts),
        "history_mse": found.history.flatten(0, 1).numpy(),
        "image": images.repeat_interleave(starts, 0).numpy(),
        "reconstruction": reconstructions.numpy(),
    }
    write_table(job.output("out-inversion"), arrow_table("inversion", columns), job.stamp)
    first = sorted(range(n), key=indices.__getitem__)[:RECORDED]  # in the order of the table
    chosen = [indices[place] for place in first]
    targets = images[first].to(job.device)
    # A search with fewer steps is the beginning of a longer one.
    partial_searches = {
        stop: search_latents(targets, spec.search.model_copy(update={"steps": stop}), indices=chosen)
        for stop in recorded_steps(spec.search.steps)
    }
    columns = {
        "inversion": spec.name,
        "generator": spec.generator_name,
        "seed": spec.seed,
        "index": np.tile(np.repeat(chosen, starts), len(partial_searches)),
        "start": np.tile(np.arange(starts), len(first) * len(partial_searches)),
        "step": np.repeat(list(partial_searches), len(first) * starts),
        "mse": torch.cat([one.mse.flatten() for one in partial_searches.values()]).numpy(),
        "image": torch.cat([to_uint8(one.images.flatten(0, 1)) for one in partial_searches.values()]).numpy(),
    }
    write_table(job.output("out-steps"), arrow_table("inversion_steps", columns), job.stamp)


RECORDED = 16
"""Number of images with intermediate results."""
HALVINGS = 6
"""Number of intermediate results after step 0; each has half the steps of the next."""


def recorded_steps(steps: int) -> list[int]:
    """Return the steps of intermediate results: 0, then doubling up to half the total."""
    return sorted({0, *(round(steps / 2**halvings) for halvings in range(1, HALVINGS + 1))})


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Convert images in [0, 1] to uint8."""
    return (255 * images).round().to(torch.uint8)


def measure_properties(images: torch.Tensor) -> list[tuple[str, Any]]:
    """Return mean intensity, width and height of each image."""
    return [
        (name, values.numpy()) for name, values in zip(("intensity", "width", "height"), extent(images), strict=True)
    ]
