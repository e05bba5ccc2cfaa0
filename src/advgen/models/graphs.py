"""CUDA graphs: a step is recorded once and then launched as a whole.

With small networks a GPU waits for the host, which launches a hundred operations per step one by one. A recorded step
reads and writes the same memory every time, so all numbers that change must be in that memory.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from advgen.io.devices import cuda_graphs

WARM = 3
"""Steps that run unrecorded first, in which libraries choose kernels and optimizers create their state."""

Step = Callable[..., Any]


def capture_step(step: Step, device: torch.device | str) -> Step:
    """The step itself on the CPU; on a GPU with `ADVGEN_CUDA_GRAPHS=1`, a step that is recorded and replayed.

    A step takes tensors, floats and other values, and returns a tensor or a tuple of tensors without autograd graphs.
    Everything that changes between two calls must be an argument, or a tensor that is changed in place. On a GPU,
    tensors are moved there and floats become float32 scalars. Any other value, and each shape, is part of the
    recording: a new one is recorded separately. The step must not wait for the device or read host memory. A fused
    optimizer keeps its step count on the device.
    """
    device = torch.device(device)
    if device.type == "cpu":
        return step
    return (
        _Recorded(step, device) if uses_cuda_graphs(device) else lambda *arguments: step(*_to_device(arguments, device))
    )


def uses_cuda_graphs(device: torch.device | str) -> bool:
    """Whether steps are recorded on this device, which Adam must know (`capturable`)."""
    return torch.device(device).type != "cpu" and cuda_graphs()


def _to_device(arguments: tuple[Any, ...], device: torch.device) -> list[Any]:
    """The arguments with tensors and floats on the device."""
    moved = []
    for one in arguments:
        if isinstance(one, Tensor) and one.device != device:
            one = one.to(device, non_blocking=True)
        elif isinstance(one, float):
            one = torch.full((), one, dtype=torch.float32, device=device)
        moved.append(one)
    return moved


def _clone(output: Any) -> Any:
    return output.clone() if isinstance(output, Tensor) else tuple(one.clone() for one in output)


class _Recorded:
    """A step that is recorded once for each shape of its arguments. It returns copies."""

    def __init__(self, step: Step, device: torch.device):
        self.step, self.device = step, device
        # torch needs warm-up and recording on one stream that is not the default
        self.stream = torch.cuda.Stream()
        self.calls = Counter[Any]()
        self.recorded = dict[Any, tuple[torch.cuda.CUDAGraph, list[Any], Any]]()

    def __call__(self, *arguments: Any) -> Any:
        shapes = tuple(
            one.shape if isinstance(one, Tensor) else type(one) if isinstance(one, float) else one for one in arguments
        )
        self.calls[shapes] += 1
        if self.calls[shapes] <= WARM:
            return self._warm_up(arguments)
        if shapes not in self.recorded:
            self.recorded[shapes] = self._record(arguments)
        graph, inputs, output = self.recorded[shapes]
        for target, one in zip(inputs, arguments, strict=True):
            if isinstance(one, Tensor):
                target.copy_(one, non_blocking=True)
            elif isinstance(one, float):
                target.fill_(one)
        graph.replay()
        return _clone(output)

    def _warm_up(self, arguments: tuple[Any, ...]) -> Any:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            output = self.step(*_to_device(arguments, self.device))
        torch.cuda.current_stream().wait_stream(self.stream)
        return output

    def _record(self, arguments: tuple[Any, ...]) -> tuple[torch.cuda.CUDAGraph, list[Any], Any]:
        inputs = [one.clone() if isinstance(one, Tensor) else one for one in _to_device(arguments, self.device)]
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            output = self.step(*inputs)
        return graph, inputs, output
