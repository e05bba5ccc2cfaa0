"""Batched evaluation of a model without side effects: eval mode for the time being, no gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from advgen.models.networks import Network


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside the block; each submodule's own mode is restored after it, on exceptions too."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights lie."""
    return next(model.parameters()).device


def unit(images_BCHW: Tensor) -> Tensor:
    """Images as a model takes them: uint8 becomes float32 in [0, 1], floats stay as they are."""
    return images_BCHW.float().div_(255) if images_BCHW.dtype == torch.uint8 else images_BCHW


@torch.inference_mode()
def _batched(
    model: nn.Module, function: Callable[[Tensor], tuple[Tensor, ...]], images_NCHW: Tensor, batch: int
) -> tuple[Tensor, ...]:
    device = device_of(model)
    with evaluating(model):
        parts = [function(unit(chunk_BCHW.to(device))) for chunk_BCHW in torch.split(images_NCHW, batch)]
    return tuple(torch.cat(columns).cpu() for columns in zip(*parts, strict=True))


def predict(model: nn.Module, images_NCHW: Tensor, batch: int = 500) -> tuple[Tensor, Tensor]:
    """Predicted labels (N,) and logits (N, K), on the CPU, of images that are uint8 or float in [0, 1]."""
    (logits_NK,) = _batched(model, lambda x_BCHW: (model(x_BCHW),), images_NCHW, batch)
    return logits_NK.argmax(1), logits_NK


def features_and_probabilities(judge: Network, images_NCHW: Tensor, batch: int = 500) -> tuple[Tensor, Tensor]:
    """Features (N, F) and class probabilities (N, K), on the CPU, from one pass through a judge."""

    def both(x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        features_BF = judge.features(x_BCHW)
        return features_BF, judge.head(features_BF).softmax(1)

    features_NF, probabilities_NK = _batched(judge, both, images_NCHW, batch)
    return features_NF, probabilities_NK
