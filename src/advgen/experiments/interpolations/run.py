"""Interpolate between pairs of test images in the latent space of a model."""

from itertools import combinations
from typing import Any

import numpy as np
import torch

from advgen.data.choice import permutation
from advgen.data.images import load_images
from advgen.experiments.interpolations.experiment import Interpolate
from advgen.interpolation import alphas, decode_frames
from advgen.inversion.search import search
from advgen.io.checkpoints import load_model
from advgen.io.tables import arrow_table, read_table, write_table
from advgen.jobs.job import Job
from advgen.jobs.progress import Progress
from advgen.metrics.judging import judge_labels
from advgen.models.networks import Network
from advgen.models.predict import features_and_probabilities, to_unit_range

Labels = np.ndarray[Any, Any]


def run(job: Job[Interpolate]) -> None:
    """Decode the frames between both ends of each pair, and classify them and those of pixel blends."""
    spec = job.spec
    model = load_model(job.input("model")).to(job.device)
    judge = load_model(job.input("judge")).to(job.device)
    stored, labels = load_images(job.input("data"))
    index = read_table(job.input("data"), "dataset", images=False).column("index").to_numpy()
    pairs = select_pairs(labels.numpy(), spec.pairs, spec.choice)
    rows = pairs.T.flatten()
    images = to_unit_range(stored[rows]).to(job.device)
    if spec.search is not None:
        progress = Progress(job.label())
        found = search(model, images, spec.search, seed=spec.seed, indices=index[rows].tolist(), progress=progress)
        z = found.z[torch.arange(len(images)), found.mse.argmin(1)]
    else:
        with torch.inference_mode():
            z = model.encode(images).cpu()
    decode = model if spec.search is not None else model.decode
    with torch.inference_mode():
        z_from, z_to = z.to(job.device).chunk(2)
        strips = decode_frames(decode, z_from, z_to, spec.frames).cpu()
    label, confidence = judge_labels(judge, strips.flatten(0, 1))
    first, last = images.chunk(2)
    blends = decode_frames(lambda images_BCHW: images_BCHW, first, last, spec.frames).cpu()  # baseline without a model
    label_blend, _ = judge_labels(judge, blends.flatten(0, 1))
    count = len(pairs)
    columns = {
        "interpolation": spec.name,
        "model": spec.model_name,
        "seed": spec.seed,
        "pair": np.repeat(np.arange(count), spec.frames),
        "frame": np.tile(np.arange(spec.frames), count),
        "alpha": np.tile(alphas(spec.frames), count),
        **{
            f"{name}_{end}": np.repeat(values[pairs[:, side]], spec.frames)
            for name, values in (("index", index), ("label", labels.numpy()))
            for side, end in enumerate(("from", "to"))
        },
        "judged": label,
        "confidence": confidence,
        "change": measure_changes(judge, strips).flatten().numpy(),
        "judged_blend": label_blend,
        "change_blend": measure_changes(judge, blends).flatten().numpy(),
        "image": strips.flatten(0, 1).numpy(),
    }
    write_table(job.output(), arrow_table("interpolation", columns), job.stamp)


def measure_changes(judge: Network, strips_NFCHW: torch.Tensor) -> torch.Tensor:
    """Return the distance of each frame from the one before as a share of the path's length (N, F).

    Distances are in features of the reference classifier. The first share is NaN. A smooth path has equal shares, a
    path that jumps has a large one.
    """
    features, _ = features_and_probabilities(judge, strips_NFCHW.flatten(0, 1))
    steps = features.unflatten(0, strips_NFCHW.shape[:2]).diff(dim=1).norm(dim=2)
    shares = steps / steps.sum(1, keepdim=True).clamp_min(1e-12)
    return torch.cat([torch.full_like(shares[:, :1], float("nan")), shares], 1)


def select_pairs(labels_N: Labels, count: int, seed: int) -> Labels:
    """Return positions (count, 2) of pairs of images with different classes; no image occurs twice.

    All pairs of classes are equally frequent. The seed determines the order of the images of a class, and the direction
    alternates from round to round. A larger count keeps the first pairs. Raises ValueError if there are too few images.
    """
    order = permutation(len(labels_N), seed, "pairs")
    unused = {label: order[labels_N[order] == label].tolist()[::-1] for label in np.unique(labels_N).tolist()}
    classes = np.array(list(combinations(unused, 2)), dtype=np.int64).reshape(-1, 2)
    pairs = list[tuple[int, int]]()
    while len(pairs) < count:
        before = len(pairs)
        for first, last in classes[permutation(len(classes), seed, "classes")].tolist():
            if unused[first] and unused[last]:
                pairs.append((unused[first].pop(), unused[last].pop()))
        classes = classes[:, ::-1]
        if len(pairs) == before:
            raise ValueError(f"only {before} pairs of different classes among {len(labels_N)} images, not {count}")
    return np.array(pairs[:count])
