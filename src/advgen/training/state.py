"""The state of a training run, from which it can be resumed, as a flat dictionary of tensors (no pickles)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

State = dict[str, Tensor]


def ignore_progress(step: int, total: int, numbers: Mapping[str, float]) -> None:
    """The default progress callback: do nothing."""


def never_save(take: Callable[[], State]) -> None:
    """The default save callback: do nothing."""


@dataclass(frozen=True)
class Callbacks:
    """Functions that a training loop calls after every step, and the state it starts from.

    `save(take)` calls `take()` if it saves the state. `progress(step, total, numbers)` reports progress.
    `state` is the saved state of an interrupted run, or None.
    """

    save: Callable[[Callable[[], State]], None] = never_save
    progress: Callable[[int, int, Mapping[str, float]], None] = ignore_progress
    state: State | None = None


def pack(**parts: nn.Module | torch.optim.Optimizer | Tensor | int) -> State:
    """Modules, optimisers, tensors and counters as one flat dictionary of CPU tensors."""
    state: State = {}
    for name, part in parts.items():
        if isinstance(part, nn.Module):
            state.update({f"{name}/{key}": value for key, value in part.state_dict().items()})
        elif isinstance(part, torch.optim.Optimizer):
            for index, moments in part.state_dict()["state"].items():
                for key, value in moments.items():
                    state[f"{name}/{index}/{key}"] = torch.as_tensor(value)
        else:
            state[name] = torch.as_tensor(part)
    return {key: value.detach().cpu().clone().contiguous() for key, value in state.items()}


def unpack(state: State, **parts: nn.Module | torch.optim.Optimizer) -> None:
    """Restore packed modules and optimisers; optimisers must have been created for the same parameters."""
    for name, part in parts.items():
        of_part = {key[len(name) + 1 :]: value for key, value in state.items() if key.startswith(f"{name}/")}
        if isinstance(part, nn.Module):
            part.load_state_dict(of_part)
        else:
            moments: dict[int, dict[str, Tensor]] = {}
            for key, value in of_part.items():
                index, moment = key.split("/")
                moments.setdefault(int(index), {})[moment] = value
            part.load_state_dict({"state": moments, "param_groups": part.state_dict()["param_groups"]})
            _align(part)


def _align(optimizer: torch.optim.Optimizer) -> None:
    """Give loaded moments the memory layout of their parameters, which the fused Adam relies on."""
    for parameter, moments in optimizer.state.items():
        for key, value in moments.items():
            if value.shape == parameter.shape:
                moments[key] = torch.empty_like(parameter).copy_(value)  # a copy: never the caller's state
