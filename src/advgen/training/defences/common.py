"""What all defences share: a loss for each batch, in place of plain cross-entropy."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from advgen.training.loop import Step

Varying = tuple[Any, ...]
"""Tensors, floats, and choices that are made a few times in a training."""


class Defence:
    """Plain training, and the base of every defence.

    A defence is made once per run, for the `model` that is trained, with the whole training set on its device (uint8
    images and labels). `extras` are tensors that it changes in place and that must survive an interruption.
    Random numbers come from torch's global generators, which are reseeded before each step.

    Where a defence attacks the model, it does so in eval mode and by gradients of the input alone: no parameter's
    `.grad` is touched, and the mode is put back.
    """

    def __init__(self, spec: Any, model: nn.Module, images_NCHW: Tensor, labels_N: Tensor, per_epoch: int, seed: int):
        self.spec, self.model, self.images_NCHW, self.labels_N = spec, model, images_NCHW, labels_N
        self.per_epoch, self.seed = per_epoch, seed
        self.extras: dict[str, Tensor] = {}

    def varying(self, step: Step) -> Varying:
        """What its loss knows of the step: on a GPU that may be recorded, and nothing else may change (`captured`)."""
        return ()

    def loss(self, x_BCHW: Tensor, y_B: Tensor, varying: Varying) -> Tensor:
        """The scalar to minimise on a batch of float images in [0, 1]; the model is in training mode."""
        return cross_entropy(self.model(x_BCHW), y_B)

    def after(self, step: Step, lr: float) -> None:
        """Called after each step of the optimiser, with the learning rate of that step."""

    def ramped(self, eps: float, eps_warmup: float, step: Step) -> float:
        """`eps`, or during the first `eps_warmup` epochs the part of it reached so far: it grows with each step."""
        return eps * min(1.0, (step.number + 1) / (eps_warmup * self.per_epoch)) if eps_warmup else eps
