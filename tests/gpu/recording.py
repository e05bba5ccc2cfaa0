"""A pretended CUDA graph: what the pretended GPU was asked to do is noted, and done again on the same memory.

It keeps the rules of capture that torch documents: the host may neither wait nor send what lies in its own memory,
numbers of Python are what they were, only the device's own generator draws, an optimizer must be told, and nothing is
computed while it is noted. A replay that reads memory which has been freed since is refused (`check_input_liveness`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class Recording:
    """In the place of torch.cuda.CUDAGraph, and of torch.cuda.graph around what it records."""

    now: Recording | None = None

    def __init__(self) -> None:
        self.done: list[tuple[Any, list[Any], dict[str, Any], Any]] = []
        self.existing = dict[int, tuple[Tensor, Tensor]]()  # storages that were there, and what stood in them
        self.made = dict[int, Tensor]()
        self.own = Counter[int]()

    def __enter__(self) -> None:
        assert Recording.now is None and not self.done
        Recording.now, self.drawn = self, torch.get_rng_state()

    def __exit__(self, *raised: Any) -> None:
        Recording.now = None
        torch.set_rng_state(self.drawn)
        for there, before in self.existing.values():
            there.copy_(before)
        for one in self.made.values():  # holds anything until the first replay
            one.fill_(255)

    def before(self, tensors: Sequence[Tensor]) -> None:
        """Note what stands in memory that an operation may change."""
        for one in tensors:
            if (place := _place(one)) not in self.existing and place not in self.made:
                there = _bytes(one)
                self.own[place] += 1
                self.existing[place] = there, there.clone()

    def note(self, operation: Any, arguments: Sequence[Any], keys: Mapping[str, Any], found: Any) -> None:
        """One operation that has been done, on tensors of the CPU."""
        for one in _tensors(found):
            if (place := _place(one)) not in self.existing and place not in self.made:
                self.made[place] = _bytes(one)
        self.done.append((operation, self._kept(list(arguments)), self._kept(dict(keys)), self._kept(found)))

    def replay(self) -> None:
        """Do it all again."""
        for place, (there, _) in self.existing.items():
            if place and torch._C._storage_Use_Count(there.untyped_storage()._cdata) <= self.own[place] + 1:
                raise RuntimeError("a replay reads memory that has been freed since it was recorded")
        for operation, arguments, keys, found in self.done:
            inputs = {_place(one) for one in _tensors([arguments, keys])}
            for kept, again in zip(_tensors(found), _tensors(operation(*arguments, **keys)), strict=True):
                if _place(kept) not in inputs:  # else it is a view, or what was changed in place
                    kept.copy_(again)

    def _kept(self, nested: Any) -> Any:
        """The same memory under tensors of its own, so that those of others can be counted."""

        def alias(one: Tensor) -> Tensor:
            self.own[_place(one)] += 1
            return one.detach()

        return change_tensors(alias, nested)


def change_tensors(change: Callable[[Tensor], Any], nested: Any) -> Any:
    """Arguments or results with every tensor changed; torch's own pytree takes three times as long."""
    if isinstance(nested, Tensor):
        return change(nested)
    if isinstance(nested, list | tuple):
        return type(nested)([change_tensors(change, one) for one in nested])
    return {name: change_tensors(change, one) for name, one in nested.items()} if isinstance(nested, dict) else nested


def refuse_uncapturable(optimizer: torch.optim.Optimizer) -> None:
    """What torch asks of Adam at each step."""
    if Recording.now is not None and not all(group["capturable"] for group in optimizer.param_groups):
        raise RuntimeError("Attempting CUDA graph capture of step() but param_groups' capturable is False.")


def _place(one: Tensor) -> int:
    """Where a tensor's memory begins; 0 if it has none."""
    return one.untyped_storage().data_ptr()


def _bytes(one: Tensor) -> Tensor:
    """All of the memory that a tensor lies in."""
    return torch.empty(0, dtype=torch.uint8).set_(one.untyped_storage())


def _tensors(nested: Any) -> list[Tensor]:
    found: list[Tensor] = []
    change_tensors(found.append, nested)
    return found
