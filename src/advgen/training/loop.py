"""The training loop: batches in a seeded order, history, resuming, progress."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from advgen import seeds
from advgen.geometry.steps import steps_in
from advgen.training.state import Callbacks, State, pack, unpack

FETCH_INTERVAL = 20
"""Steps after which numbers are fetched from a GPU, which computes asynchronously; on the CPU, after every step."""


class Step(NamedTuple):
    """A training step: its `number` of `total` and `epoch`, both from 0, and the rows of its batch on the device."""

    number: int
    total: int
    epoch: int
    ends_epoch: bool
    rows_B: Tensor


def run(
    run_step: Callable[[Step], Sequence[Tensor | float]],
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
    """Call `run_step` for every batch; return the history: `step` from 1, `epoch` as a fraction, and its numbers.

    A run that is resumed from `callbacks.state` gives the same bits on the CPU as one without interruption: `parts` and
    the tensors in `extras` are restored, and each step reseeds the global generators, so random layers have no state.
    Numbers stay on the device until FETCH_INTERVAL steps are done or a state is saved. Only then does the host wait for
    the device, check that they are finite, and report progress.

    Args:
        run_step: does one step and returns a number per column.
        examples: the number of training images; batches are drawn without replacement within an epoch.
        columns: names of the numbers; those written as `[name]` may be NaN.
        extras: tensors that `run_step` changes in place.
        remedy: the end of the message if a number is not finite.

    Raises:
        ValueError: a number is not finite.
    """
    per_epoch = math.ceil(examples / batch)
    total = steps_in(epochs, batch, examples)
    names = [column.strip("[]") for column in columns]
    finite = [name == column for name, column in zip(names, columns, strict=True)]
    saved = {"history": torch.zeros(total, len(columns)), **(extras or {})}
    start = 0
    if callbacks.state is not None:
        unpack(callbacks.state, **parts)
        start = int(callbacks.state["step"])
        for name, tensor in saved.items():
            tensor.copy_(callbacks.state[name])
    history, pending = saved["history"], list[Tensor]()
    interval = 1 if torch.device(device).type == "cpu" else FETCH_INTERVAL

    def fetch(until: int) -> None:
        first = until - len(pending)
        history[first:until] = torch.stack(pending).cpu()
        pending.clear()
        for number, row in enumerate(history[first:until].tolist(), first + 1):
            for name, value, checked in zip(names, row, finite, strict=True):
                if checked and not math.isfinite(value):
                    raise ValueError(f"training broke down at step {number} of {total} ({name} is {value}): {remedy}")

    def state(steps: int) -> State:
        if pending:
            fetch(steps)
        return pack(**parts, **saved, step=steps)

    order_N = torch.empty(0)
    for number in range(start, total):
        epoch, place = divmod(number, per_epoch)
        if place == 0 or number == start:
            order_N = torch.randperm(examples, generator=seeds.generator(seed, "order", epoch))
            order_N = order_N.to(device, non_blocking=True)
        seeds.seed_global(seeds.derive(seed, "step", number))
        rows_B = order_N[place * batch : (place + 1) * batch]
        numbers = run_step(Step(number, total, epoch, place == per_epoch - 1 or number == total - 1, rows_B))
        pending.append(gather(numbers, device))
        if len(pending) == interval or number == total - 1:
            fetch(number + 1)
        callbacks.save(partial(state, number + 1))
        if not pending:
            callbacks.progress(number + 1, total, dict(zip(names, history[number].tolist(), strict=True)))
    steps = range(1, total + 1)
    return {
        "step": list(steps),
        "epoch": [step / per_epoch for step in steps],
        **{name: history[:, column].tolist() for column, name in enumerate(names)},
    }


def gather(numbers: Sequence[Tensor | float], device: str) -> Tensor:
    """Scalars from any device as one float32 tensor (N,) on a device, without waiting for it."""
    target = torch.device(device)
    return torch.stack(
        [
            one.detach().to(target, torch.float32, non_blocking=target.type != "cpu")
            if isinstance(one, Tensor)
            else torch.full((), one, dtype=torch.float32, device=target)
            for one in numbers
        ]
    )
