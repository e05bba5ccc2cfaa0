"""Training of classifiers with cross-entropy, with or without a defence."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from advgen.models.graphs import capture_step, uses_cuda_graphs
from advgen.models.predict import predict, to_unit_range
from advgen.specs.defences import DefenceSpec
from advgen.specs.training import ClassifierTraining
from advgen.training import loop
from advgen.training.augmentation import augment
from advgen.training.defences.common import Defence
from advgen.training.state import Callbacks


def train_classifier(
    model: nn.Module,
    images_NCHW: Tensor,
    labels_N: Tensor,
    spec: ClassifierTraining,
    seed: int,
    validation: tuple[Tensor, Tensor],
    device: str,
    callbacks: Callbacks,
    defence: DefenceSpec | None = None,
    make_defence: Callable[..., Defence] = Defence,
) -> dict[str, list[float]]:
    """Train `model` in place on uint8 images; it stays on `device`, in eval mode.

    `make_defence` is the registered class of `defence`. Returns the history, one entry per step: `step`, `epoch`,
    `loss` (of the batch) and `accuracy` (clean, on `validation` after each epoch, otherwise NaN).

    Raises:
        ValueError: the loss diverges.
    """
    model.to(device).train()
    images_NCHW, labels_N = images_NCHW.to(device), labels_N.to(device)
    validation = validation[0].to(device), validation[1]
    optimizer = _optimizer(model, spec, device)
    per_epoch = math.ceil(len(images_NCHW) / spec.batch)
    training = make_defence(defence, model, images_NCHW, labels_N, per_epoch, seed)

    def update(rows_B: Tensor, lr: Tensor | float, *varying: Any) -> Tensor:
        for group in optimizer.param_groups:
            group["lr"] = lr
        x_BCHW = augment(to_unit_range(images_NCHW[rows_B]), spec.shift, spec.flip)
        loss = training.loss(x_BCHW, labels_N[rows_B], varying)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    update = capture_step(update, device)

    def run_step(step: loop.Step) -> tuple[Tensor, float]:
        lr = spec.lr * 0.5 * (1 + math.cos(math.pi * step.number / step.total)) if spec.decay else spec.lr
        loss = update(step.rows_B, lr, *training.varying(step))
        training.after(step, lr)
        return loss, accuracy(model, *validation) if step.ends_epoch else math.nan

    history = loop.run(
        run_step,
        examples=len(images_NCHW),
        batch=spec.batch,
        epochs=spec.epochs,
        seed=seed,
        device=device,
        parts={"model": model, "optimizer": optimizer},
        columns=("loss", "[accuracy]"),
        callbacks=callbacks,
        remedy="lower lr",
        extras=training.extras,
    )
    model.eval()
    return history


def accuracy(model: nn.Module, images_NCHW: Tensor, labels_N: Tensor) -> float:
    """Share of correctly classified images."""
    return (predict(model, images_NCHW)[0] == labels_N.cpu()).double().mean().item()


def _optimizer(model: nn.Module, spec: ClassifierTraining, device: str) -> torch.optim.Optimizer:
    """Weight decay, weight_decay / 2 · ‖w‖², applies to weight matrices and filters, not to biases and norms."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if spec.optimizer == "sgd":
        # the fused one reads a learning rate that is on the GPU
        return torch.optim.SGD(groups, lr=spec.lr, momentum=0.9, fused=torch.device(device).type != "cpu")
    return torch.optim.Adam(groups, lr=spec.lr, fused=True, capturable=uses_cuda_graphs(device))
