"""Batched evaluation of a model in eval mode, without gradients or side effects."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

from advgen.models.networks import Network

ROWS = 500
"""Images per batch on the CPU."""
BYTES_PER_BATCH = 4 * 2**30
"""Bytes of GPU memory for one CPU batch, 8 MB per image."""

ROUNDING = 0.01
"""Relative difference of an image's logits that rounding between batches and devices explains (TF32 keeps 10 bits)."""


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode inside the block; afterwards each submodule has its former mode again, also after exceptions."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def device_of(model: nn.Module) -> torch.device:
    """The device of a model's weights or buffers; the CPU if it has none."""
    return next((one.device for one in chain(model.parameters(), model.buffers())), torch.device("cpu"))


def scale_batch_size(rows: int, device: torch.device) -> int:
    """The batch size on a device for a batch size of `rows` on the CPU, in proportion to a GPU's memory.

    The total memory counts, not the free memory, so that results do not depend on other processes.
    """
    if device.type == "cpu":
        return rows
    return rows * max(1, torch.cuda.get_device_properties(device).total_memory // BYTES_PER_BATCH)


def to_unit_range(images_BCHW: Tensor) -> Tensor:
    """Images as models take them: uint8 becomes float32 in [0, 1], floats are returned unchanged."""
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
    """Predicted labels (N,) and logits (N, K), on the CPU, of images in uint8 or float in [0, 1]."""
    (logits_NK,) = _batched(model, lambda x_BCHW: (model(x_BCHW),), images_NCHW, batch)
    return logits_NK.argmax(1), logits_NK


def features_and_probabilities(judge: Network, images_NCHW: Tensor, batch: int | None = None) -> tuple[Tensor, Tensor]:
    """Features (N, F) and class probabilities (N, K), on the CPU, from one pass through a network."""

    def both(x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        features_BF = judge.features(x_BCHW)
        return features_BF, judge.head(features_BF).softmax(1)

    features_NF, probabilities_NK = _batched(judge, both, images_NCHW, batch)
    return features_NF, probabilities_NK
