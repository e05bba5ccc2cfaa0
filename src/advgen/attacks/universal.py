"""Universal perturbation: the same change for all images."""

from functools import partial

import torch
from torch import Tensor, nn

from advgen import seeds
from advgen.attacks.common import Attack, Goal, input_gradient, l2_norms, project, pure
from advgen.specs.attacks import UniversalAttack


@pure
def universal(model: nn.Module, x_NCHW: Tensor, y_N: Tensor, spec: UniversalAttack, *, seed: int) -> Attack:
    """An attack that adds the same change to every image; this function learns it from images [moosavi2017universal].

    The change ascends the cross-entropy, summed over minibatches. The loss of each image is clipped at `spec.clip`, so
    that a few misclassified images do not determine the direction [shafahi2020universal]. Pixels are clipped to the box
    before the model, but the gradient of a clipped pixel still counts, because in other images it may not be clipped.
    """
    delta_CHW = torch.zeros_like(x_NCHW[0])
    order = seeds.generator(seed, "universal order")
    for _ in range(spec.epochs):
        for rows in torch.randperm(len(y_N), generator=order).split(spec.batch):
            rows = rows.to(y_N.device, non_blocking=True)
            loss = partial(_clipped_loss, Goal(y_N[rows]), spec.clip)
            gradient_BCHW, _ = input_gradient(model, (x_NCHW[rows] + delta_CHW).clamp(0, 1), loss)
            delta_CHW = step(delta_CHW, gradient_BCHW.sum(0), spec)

    def add(
        model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: UniversalAttack, *, seed: int, indices: list[int]
    ) -> Tensor:
        return project(x_BCHW + delta_CHW.to(x_BCHW), x_BCHW, spec.norm, spec.eps)

    return add


def _clipped_loss(goal: Goal, limit: float, logits_BK: Tensor) -> Tensor:
    # the cross-entropy itself, because the sizes of the images' gradients matter here
    return goal.cross_entropy(logits_BK).clamp_max(limit)


def step(delta_CHW: Tensor, gradient_CHW: Tensor, spec: UniversalAttack) -> Tensor:
    """The change after one step of steepest ascent, projected onto the ball."""
    if spec.norm == "linf":
        return (delta_CHW + spec.step_size * gradient_CHW.sign()).clamp(-spec.eps, spec.eps)
    scale = spec.step_size / l2_norms(gradient_CHW[None])[0].clamp_min(1e-30)
    moved_CHW = delta_CHW + gradient_CHW * scale.to(delta_CHW.dtype)
    return moved_CHW * (spec.eps / l2_norms(moved_CHW[None])[0].clamp_min(1e-30)).clamp_max(1).to(delta_CHW.dtype)
