"""Compute logits along the sign of the input gradient."""

from functools import partial

import torch
from torch import Tensor, nn

from advgen import seeds
from advgen.attacks.common import Goal, frozen, input_gradient
from advgen.data.images import load_subset
from advgen.experiments.linearities.experiment import Linearity
from advgen.io.checkpoints import load_model
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.models.predict import predict


def run(job: Job[Linearity]) -> None:
    """Write the logits along FGSM's direction, from -eps to +eps [goodfellow2015explaining].

    As in the paper, pixels may leave [0, 1], because clipping would bend the line. The baseline is a line along random
    signs.
    """
    spec = job.spec
    model = load_model(job.input("model")).to(job.device)
    images, labels, indices = load_subset(job.input("data"), spec.images, spec.choice)
    x_BCHW, y_B = images.to(job.device), labels.to(job.device)
    eps = torch.linspace(-spec.eps, spec.eps, spec.points, dtype=torch.float64).tolist()
    along, random = (
        [predict(model, x_BCHW + step * sign_BCHW) for step in eps]
        for sign_BCHW in compute_signs(model, x_BCHW, y_B, spec.seed, indices)
    )
    columns = {
        "linearity": spec.name,
        "source": spec.source,
        "seed": spec.seed,
        "index": indices * spec.points,
        "eps": [step for step in eps for _ in indices],
        "label": labels.tolist() * spec.points,
        "predicted": torch.cat([predicted_B for predicted_B, _ in along]).tolist(),
        "logits": torch.cat([logits_BK for _, logits_BK in along]).numpy(),
        "logits_unaimed": torch.cat([logits_BK for _, logits_BK in random]).numpy(),
    }
    write_table(job.output(), arrow_table("linearity", columns), job.stamp)


def compute_signs(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, seed: int, indices: list[int]
) -> tuple[Tensor, Tensor]:
    """Return the signs of the cross-entropy gradient at each image, and random signs, (B, C, H, W) each."""
    with frozen(model), torch.no_grad():
        gradient_BCHW, _ = input_gradient(model, x_BCHW, partial(Goal(y_B).loss, "cross_entropy"))
    random_BCHW = seeds.uniform(seed, "signs", indices, *x_BCHW.shape[1:]) - 0.5
    return gradient_BCHW.sign(), random_BCHW.sign().to(x_BCHW)
