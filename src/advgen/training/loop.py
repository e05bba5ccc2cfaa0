"""The loop that all trainings share: batches in a seeded order, history, resume, progress."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from advgen import seeds
from advgen.geometry.steps import steps_in
from advgen.training.state import Callbacks, State, pack, unpack

FETCHED = 20
"""After how many steps numbers are fetched from a device that computes while the host goes on; from the CPU, each."""


class Step(NamedTuple):
    """Where a run stands: `number` of `total` from 0, the `epoch` from 0 and its end, and the rows of the batch.

    The rows lie on the device that computes.
    """

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
    device: str,
    parts: Mapping[str, nn.Module | torch.optim.Optimizer],
    columns: Sequence[str],
    callbacks: Callbacks,
    remedy: str,
    extras: Mapping[str, Tensor] | None = None,
) -> dict[str, list[float]]:
    """Call `play` for every batch and return the history: `step` from 1, `epoch` as a fraction, and its numbers.

    A run that goes on from `callbacks.state` gives the same bits on the CPU as one that was never interrupted:
    `parts` and the tensors in `extras` are put back, and each step reseeds the global generators, so that random
    layers need no state. Numbers stay where they are computed until FETCHED steps of them are fetched, or a state is
    kept: only then does the host wait for the device, look whether they are finite and tell the progress.

    Args:
        play: does one step and gives a number per column; all but those named in square brackets must be finite.
        device: where it computes.
        examples: training images; a batch is a choice of them without replacement within an epoch.
        columns: names of the numbers; `[name]` may be NaN.
        extras: tensors that `play` changes in place.
        remedy: ends the message when a number is not finite.

    Raises:
        ValueError: a number is not finite.
    """
    per_epoch = math.ceil(examples / batch)
    total = steps_in(epochs, batch, examples)
    names = [column.strip("[]") for column in columns]
    finite = [name == column for name, column in zip(names, columns, strict=True)]
    kept = {"history": torch.zeros(total, len(columns)), **(extras or {})}
    start = 0
    if callbacks.state is not None:
        unpack(callbacks.state, **parts)
        start = int(callbacks.state["step"])
        for name, tensor in kept.items():
            tensor.copy_(callbacks.state[name])
    history, waiting, every = kept["history"], list[Tensor](), 1 if torch.device(device).type == "cpu" else FETCHED

    def fetch(until: int) -> None:
        first = until - len(waiting)
        history[first:until] = torch.stack(waiting).cpu()
        waiting.clear()
        for number, row in enumerate(history[first:until].tolist(), first + 1):
            for name, value, checked in zip(names, row, finite, strict=True):
                if checked and not math.isfinite(value):
                    raise ValueError(f"training broke down at step {number} of {total} ({name} is {value}): {remedy}")

    def state(steps: int) -> State:
        if waiting:
            fetch(steps)
        return pack(**parts, **kept, step=steps)

    order_N = torch.empty(0)
    for number in range(start, total):
        epoch, place = divmod(number, per_epoch)
        if place == 0 or number == start:
            order_N = torch.randperm(examples, generator=seeds.generator(seed, "order", epoch))
            order_N = order_N.to(device, non_blocking=True)
        seeds.seed_global(seeds.derive(seed, "step", number))
        rows_B = order_N[place * batch : (place + 1) * batch]
        numbers = play(Step(number, total, epoch, place == per_epoch - 1 or number == total - 1, rows_B))
        waiting.append(gather(numbers, device))
        if len(waiting) == every or number == total - 1:
            fetch(number + 1)
        callbacks.save(partial(state, number + 1))
        if not waiting:
            callbacks.progress(number + 1, total, dict(zip(names, history[number].tolist(), strict=True)))
    steps = range(1, total + 1)
    return {
        "step": list(steps),
        "epoch": [step / per_epoch for step in steps],
        **{name: history[:, column].tolist() for column, name in enumerate(names)},
    }


def gather(numbers: Sequence[Tensor | float], device: str) -> Tensor:
    """Scalars as one float32 tensor (N,) on a device, wherever each of them lies; the host does not wait for it."""
    where = torch.device(device)
    return torch.stack(
        [
            one.detach().to(where, torch.float32, non_blocking=where.type != "cpu")
            if isinstance(one, Tensor)
            else torch.full((), one, dtype=torch.float32, device=where)
            for one in numbers
        ]
    )
