"""CUDA graphs: a step that is recorded once and then launched as a whole.

Small networks leave a GPU waiting for the host, which launches a hundred operations a step one by one. A recorded step
reads and writes the same memory every time, and knows no number but those that lie there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from advgen.io.devices import cuda_graphs

WARM = 3
"""Times that a step runs as it is before it is recorded: libraries choose kernels, optimizers make their state."""

Step = Callable[..., Any]


def capture_step(step: Step, device: torch.device | str) -> Step:
    """The step itself on the CPU; on a GPU, where `ADVGEN_CUDA_GRAPHS=1`, one that is recorded and replayed.

    A step takes tensors, floats and other values, and gives a tensor or a tuple of tensors, without their graphs. All
    that changes between two calls must be among what it takes, or a tensor that is changed in place. On a GPU, tensors
    arrive there wherever they were, and floats as float32 scalars; any other value is part of what is recorded, as the
    shapes are: with new ones it is recorded anew. It may neither wait for the device nor read the host's memory. An
    optimizer keeps its count of steps on the device if it is fused.
    """
    device = torch.device(device)
    if device.type == "cpu":
        return step
    return _Recorded(step, device) if uses_cuda_graphs(device) else lambda *given: step(*_arrived(given, device))


def uses_cuda_graphs(device: torch.device | str) -> bool:
    """Whether steps are recorded on this device; Adam must be told so (`capturable`)."""
    return torch.device(device).type != "cpu" and cuda_graphs()


def _arrived(given: tuple[Any, ...], device: torch.device) -> list[Any]:
    """Tensors and floats on the device."""
    arrived = []
    for one in given:
        if isinstance(one, Tensor) and one.device != device:
            one = one.to(device, non_blocking=True)
        elif isinstance(one, float):
            one = torch.full((), one, dtype=torch.float32, device=device)
        arrived.append(one)
    return arrived


def _copies(found: Any) -> Any:
    return found.clone() if isinstance(found, Tensor) else tuple(one.clone() for one in found)


class _Recorded:
    """A step that is recorded for each shape of what it takes. What it gives is a copy: a replay writes over it."""

    def __init__(self, step: Step, device: torch.device):
        self.step, self.device = step, device
        # as torch wants it: warmed up and recorded on one stream that is not the default one
        self.stream = torch.cuda.Stream()
        self.calls = Counter[Any]()
        self.recorded = dict[Any, tuple[torch.cuda.CUDAGraph, list[Any], Any]]()

    def __call__(self, *given: Any) -> Any:
        shapes = tuple(
            one.shape if isinstance(one, Tensor) else type(one) if isinstance(one, float) else one for one in given
        )
        self.calls[shapes] += 1
        if self.calls[shapes] <= WARM:
            return self._aside(given)
        if shapes not in self.recorded:
            self.recorded[shapes] = self._record(given)
        graph, inputs, found = self.recorded[shapes]
        for place, one in zip(inputs, given, strict=True):
            if isinstance(one, Tensor):
                place.copy_(one, non_blocking=True)
            elif isinstance(one, float):
                place.fill_(one)
        graph.replay()
        return _copies(found)

    def _aside(self, given: tuple[Any, ...]) -> Any:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            found = self.step(*_arrived(given, self.device))
        torch.cuda.current_stream().wait_stream(self.stream)
        return found

    def _record(self, given: tuple[Any, ...]) -> tuple[torch.cuda.CUDAGraph, list[Any], Any]:
        inputs = [one.clone() if isinstance(one, Tensor) else one for one in _arrived(given, self.device)]
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            found = self.step(*inputs)
        return graph, inputs, found
