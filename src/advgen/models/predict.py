"""Batched evaluation of a model without side effects: eval mode for the time being, no gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

from advgen.models.networks import Network

ROWS = 500
"""Images shown to a model at once on the CPU."""
ROOM = 4 * 2**30
"""Bytes of a GPU's memory for as many images as are shown at once on the CPU: 8 MB each."""

ROUNDING = 0.01
"""Of its largest logit, by which an image's logits may differ between batches and devices: TF32 keeps a thousandth."""


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode inside the block; each submodule's own mode is restored after it, on exceptions too."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights or buffers lie; without any, the CPU."""
    return next((one.device for one in chain(model.parameters(), model.buffers())), torch.device("cpu"))


def scale_batch_size(rows: int, device: torch.device) -> int:
    """How many images to compute at once where `rows` are right on the CPU: as many times more as a GPU has ROOM.

    Its whole memory counts, not what is free just now, so that a result does not depend on what else computes there.
    """
    if device.type == "cpu":
        return rows
    return rows * max(1, torch.cuda.get_device_properties(device).total_memory // ROOM)


def to_unit_range(images_BCHW: Tensor) -> Tensor:
    """Images as a model takes them: uint8 becomes float32 in [0, 1], floats stay as they are."""
    return images_BCHW.float().div_(255) if images_BCHW.dtype == torch.uint8 else images_BCHW


@torch.inference_mode()
def _batched(
    model: nn.Module, function: Callable[[Tensor], tuple[Tensor, ...]], images_NCHW: Tensor, batch: int | None
) -> tuple[Tensor, ...]:
    device = device_of(model)
    with eval_mode(model):
        chunks = torch.split(images_NCHW, batch or scale_batch_size(ROWS, device))
        parts = [function(to_unit_range(chunk_BCHW.to(device, non_blocking=True))) for chunk_BCHW in chunks]
    return tuple(torch.cat(columns).cpu() for columns in zip(*parts, strict=True))


def predict(model: nn.Module, images_NCHW: Tensor, batch: int | None = None) -> tuple[Tensor, Tensor]:
    """Predicted labels (N,) and logits (N, K), on the CPU, of images that are uint8 or float in [0, 1]."""
    (logits_NK,) = _batched(model, lambda x_BCHW: (model(x_BCHW),), images_NCHW, batch)
    return logits_NK.argmax(1), logits_NK


def features_and_probabilities(judge: Network, images_NCHW: Tensor, batch: int | None = None) -> tuple[Tensor, Tensor]:
    """Features (N, F) and class probabilities (N, K), on the CPU, from one pass through a judge."""

    def both(x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        features_BF = judge.features(x_BCHW)
        return features_BF, judge.head(features_BF).softmax(1)

    features_NF, probabilities_NK = _batched(judge, both, images_NCHW, batch)
    return features_NF, probabilities_NK
