"""The loop that all trainings share: batches in a seeded order, history, resume, progress."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from advgen import seeds
from advgen.training.state import Callbacks, pack, unpack


class Step(NamedTuple):
    """Where a run stands: `number` of `total` from 0, the `epoch` from 0 and its end, and the rows of the batch."""

    number: int
    total: int
    epoch: int
    ends_epoch: bool
    rows_B: Tensor


def run(
    play: Callable[[Step], Sequence[Tensor | float]],
    *,
    examples: int,
    batch: int,
    epochs: float,
    seed: int,
    parts: Mapping[str, nn.Module | torch.optim.Optimizer],
    columns: Sequence[str],
    callbacks: Callbacks,
    remedy: str,
    extras: Mapping[str, Tensor] | None = None,
) -> dict[str, list[float]]:
    """Call `play` for every batch and return the history: `step` from 1, `epoch` as a fraction, and its numbers.

    A run that goes on from `callbacks.state` gives the same bits on the CPU as one that was never interrupted:
    `parts` and the tensors in `extras` are put back, and each step reseeds the global generators, so that random
    layers need no state.

    Args:
        play: does one step and gives a number per column; all but those named in square brackets must be finite.
        examples: training images; a batch is a choice of them without replacement within an epoch.
        columns: names of the numbers; `[name]` may be NaN.
        extras: tensors that `play` changes in place.
        remedy: ends the message when a number is not finite.

    Raises:
        ValueError: a number is not finite.
    """
    per_epoch = math.ceil(examples / batch)
    total = max(1, round(epochs * per_epoch))
    names = [column.strip("[]") for column in columns]
    finite = [name == column for name, column in zip(names, columns, strict=True)]
    kept = {"history": torch.zeros(total, len(columns)), **(extras or {})}
    start = 0
    if callbacks.state is not None:
        unpack(callbacks.state, **parts)
        start = int(callbacks.state["step"])
        for name, tensor in kept.items():
            tensor.copy_(callbacks.state[name])
    history = kept["history"]

    order_N = torch.empty(0)
    for number in range(start, total):
        epoch, place = divmod(number, per_epoch)
        if place == 0 or number == start:
            order_N = torch.randperm(examples, generator=seeds.generator(seed, "order", epoch))
        seeds.seed_global(seeds.derive(seed, "step", number))
        rows_B = order_N[place * batch : (place + 1) * batch]
        numbers = play(Step(number, total, epoch, place == per_epoch - 1 or number == total - 1, rows_B))
        history[number] = gather(numbers)
        for name, value, checked in zip(names, history[number].tolist(), finite, strict=True):
            if checked and not math.isfinite(value):
                raise ValueError(f"training broke down at step {number + 1} of {total} ({name} is {value}): {remedy}")
        callbacks.save(partial(pack, **parts, **kept, step=number + 1))
        callbacks.progress(number + 1, total, dict(zip(names, history[number].tolist(), strict=True)))
    steps = range(1, total + 1)
    return {
        "step": list(steps),
        "epoch": [step / per_epoch for step in steps],
        **{name: history[:, column].tolist() for column, name in enumerate(names)},
    }


def gather(numbers: Sequence[Tensor | float]) -> Tensor:
    """Scalars as one float32 tensor (N,) on the CPU, wherever each of them lies; one copy from each device."""
    row_N = torch.tensor([0.0 if isinstance(one, Tensor) else one for one in numbers], dtype=torch.float32)
    tensors = {place: one.detach() for place, one in enumerate(numbers) if isinstance(one, Tensor)}
    for device in dict.fromkeys(one.device for one in tensors.values()):
        places = [place for place, one in tensors.items() if one.device == device]
        row_N[places] = torch.stack([tensors[place].to(torch.float32) for place in places]).cpu()
    return row_N
