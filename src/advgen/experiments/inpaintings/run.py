"""Inpaint masked test images."""

from typing import Any

import numpy as np
from torch import Tensor

from advgen import registry
from advgen.data.choice import permutation
from advgen.data.images import load_images, load_subset
from advgen.experiments.inpaintings.experiment import Inpaint
from advgen.inpainting.fill import blend_poisson, fill_harmonic, fill_poisson
from advgen.inpainting.restore import paste_known_pixels, restore
from advgen.io.checkpoints import load_model
from advgen.io.tables import arrow_table, concatenate, write_table
from advgen.jobs.job import Job
from advgen.jobs.progress import Progress
from advgen.metrics.image import mse, ssim
from advgen.metrics.judging import judge_labels
from advgen.metrics.trivial import MAX_TRAINING_IMAGES
from advgen.models.predict import to_unit_range


def run(job: Job[Inpaint]) -> None:
    """Inpaint each image with each mask and method, and with the baselines without a generator."""
    spec = job.spec
    generator = load_model(job.input("generator")).to(job.device)
    judge = load_model(job.input("judge")).to(job.device)
    discriminator = load_model(job.input("discriminator")).to(job.device) if job.inputs["discriminator"] else None
    images, labels, indices = load_subset(job.input("data"), spec.images, spec.choice)
    train, _ = load_images(job.input("train"))
    train = to_unit_range(train[permutation(len(train), 0, "baselines")[:MAX_TRAINING_IMAGES]])
    judged_real, _ = judge_labels(judge, images)
    tables = []
    for name, mask in spec.masks.items():
        shape = tuple(images.shape[1:])
        known = registry.resolve(mask)(mask, shape, seed=spec.choice, indices=indices)[:, None]
        filled = {"harmonic": fill_harmonic(images, known[:, 0]), "poisson": fill_poisson(images, known[:, 0], train)}
        for method in (*spec.methods, *filled):
            if method in filled:
                restored = filled[method]
            else:
                restored = restore(
                    generator,
                    images.to(job.device),
                    known[:, 0].to(job.device),
                    method,
                    spec.search,
                    seed=spec.seed,
                    indices=indices,
                    discriminator=discriminator,
                    progress=Progress(f"{job.label()} ({name}, {method})"),
                ).cpu()
            whole = paste_known_pixels(images, known[:, 0], restored)
            smooth = blend_poisson(images, known[:, 0], restored)
            columns: dict[str, Any] = {
                "inpainting": spec.name,
                "generator": spec.generator_name,
                "seed": spec.seed,
                "mask": name,
                "method": method,
                "index": np.array(indices),
                "label": labels.numpy(),
                "judged": judge_labels(judge, restored)[0],
                "judged_real": judged_real,
                "missing": (~known).flatten(1).sum(1).numpy(),
                "missing_top": (~known[:, 0]).any(2).int().argmax(1).numpy(),
                "missing_left": (~known[:, 0]).any(1).int().argmax(1).numpy(),
                "intensity_missing": (images * ~known).flatten(1).sum(1).numpy(),
                "mse_whole": mse(restored, images).numpy(),
                "mse_missing": _mse_missing(restored, images, known).numpy(),
                "mse_blended": _mse_missing(smooth, images, known).numpy(),
                "mse_composite": mse(whole, images).numpy(),
                "ssim_whole": ssim(restored, images).numpy(),
                "ssim_composite": ssim(whole, images).numpy(),
                "image": images.numpy(),
                "masked": (images * known).numpy(),
                "known": known.numpy(),
                "restored": restored.numpy(),
            }
            tables.append(arrow_table("inpainting", columns))
    write_table(job.output(), concatenate(tables), job.stamp)


def _mse_missing(restored_NCHW: Tensor, x_NCHW: Tensor, known_N1HW: Tensor) -> Tensor:
    """Return the mean squared error over the missing pixels of each image (N,)."""
    missing = (~known_N1HW).expand_as(x_NCHW)
    return ((restored_NCHW - x_NCHW).square() * missing).flatten(1).sum(1) / missing.flatten(1).sum(1)
