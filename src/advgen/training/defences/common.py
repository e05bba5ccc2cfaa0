"""The base class of defences: a loss for each batch instead of plain cross-entropy."""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from advgen.training.loop import Step

Varying = tuple[Any, ...]
"""Tensors, floats, and values that change a few times in a training."""


class Defence:
    """Plain training, and the base of every defence.

    A defence is created once per run, for the `model` in training, with the whole training set on its device (uint8
    images and labels). `extras` are tensors that it changes in place and that are part of the saved state. Random
    numbers come from torch's global generators, which are reseeded before each step.

    A defence attacks the model in eval mode and only with gradients at the input: it changes no parameter's `.grad` and
    restores the mode.
    """

    def __init__(self, spec: Any, model: nn.Module, images_NCHW: Tensor, labels_N: Tensor, per_epoch: int, seed: int):
        self.spec, self.model, self.images_NCHW, self.labels_N = spec, model, images_NCHW, labels_N
        self.per_epoch, self.seed = per_epoch, seed
        self.extras: dict[str, Tensor] = {}

    def varying(self, step: Step) -> Varying:
        """All that its loss needs of the step; nothing else may change, since a GPU may record it (`capture_step`)."""
        return ()

    def loss(self, x_BCHW: Tensor, y_B: Tensor, varying: Varying) -> Tensor:
        """The loss (scalar) of a batch of float images in [0, 1], with the model in training mode."""
        return cross_entropy(self.model(x_BCHW), y_B)

    def after(self, step: Step, lr: float) -> None:
        """Called after each optimiser step, with its learning rate."""

    def ramp(self, eps: float, eps_warmup: float, step: Step) -> float:
        """`eps`, or in the first `eps_warmup` epochs a part of it, which grows with each step."""
        return eps * min(1.0, (step.number + 1) / (eps_warmup * self.per_epoch)) if eps_warmup else eps
