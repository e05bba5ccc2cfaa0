"""A pretended GPU: its tensors say that they lie on cuda:0, compute on the CPU, and refuse what eager CUDA refuses.

Inside `PretendedGpu()`, `.to("cuda:0")` (with the number: torch asks the driver for a missing one) makes such tensors.
Operands must lie on one device, but for CPU scalars where CUDA takes them; `.numpy()` is refused, and so are operations
that have no deterministic CUDA kernel, as torch.use_deterministic_algorithms lists them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

CUDA = torch.device("cuda", 0)

INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
"""Take their indices from the CPU, too."""
UNORDERED = {
    "adaptive_max_pool2d_backward",
    "_adaptive_avg_pool2d_backward",
    "_adaptive_avg_pool3d_backward",
    "avg_pool3d_backward",
    "fractional_max_pool2d_backward",
    "grid_sampler_2d_backward",
    "grid_sampler_3d_backward",
    "histc",
    "kthvalue",
    "max_unpool2d",
    "median",
    "nanmedian",
    "nll_loss2d_backward",
    "nll_loss2d_forward",
    "put",
    "put_",
    "reflection_pad1d_backward",
    "reflection_pad2d_backward",
    "upsample_bicubic2d_backward",
    "upsample_bilinear2d_backward",
    "upsample_linear1d_backward",
}
"""Operations without a deterministic CUDA kernel: torch.use_deterministic_algorithms(True) makes them fail."""


class OnGpu(Tensor):
    """A tensor that says that it lies on cuda:0; `held` is where its numbers really are."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnGpu:
        assert not isinstance(held, OnGpu)
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device="meta",  # a wrapper on "cuda" would wake the driver
        )
        made.held = held
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_meta = property(lambda self: False)

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, given: Sequence[Any] = (), keys: Any = None) -> Any:
        return _run(operation, given, keys or {})

    def numpy(self, *given: Any, **keys: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def tolist(self) -> Any:
        return self.held.tolist()

    def new_tensor(self, data: Any, **keys: Any) -> OnGpu:
        return OnGpu(self.held.new_tensor(data, **{name: value for name, value in keys.items() if name != "device"}))

    def __repr__(self, **keys: Any) -> str:  # type: ignore[override]
        return f"OnGpu({self.held!r})"


class PretendedGpu(TorchDispatchMode):
    """Inside the block there is a GPU, whose driver is not woken."""

    def __enter__(self) -> PretendedGpu:
        self.no_driver = mock.patch("torch.cuda._lazy_init")
        self.no_driver.start()
        super().__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        self.no_driver.stop()

    def __torch_dispatch__(self, operation: Any, types: Any, given: Sequence[Any] = (), keys: Any = None) -> Any:
        return _run(operation, given, keys or {})


def _held(nested: Any) -> Any:
    return tree_map(lambda one: one.held if isinstance(one, OnGpu) else one, nested)


def _run(operation: Any, given: Sequence[Any], keys: Mapping[str, Any]) -> Any:
    """One operation: refused as CUDA would, or computed on the CPU, its results where CUDA would put them."""
    if torch.is_inference_mode_enabled():  # there a wrapper cannot be viewed
        with torch.inference_mode(False), torch.no_grad():
            return _run(operation, given, keys)
    name = operation._schema.name.split("::")[1]
    if operation is torch.ops.prim.device.default:
        return CUDA
    tensors = [one for one in tree_flatten((given, keys))[0] if isinstance(one, Tensor)]
    on_gpu = [one for one in tensors if isinstance(one, OnGpu)]
    device = keys.get("device")
    wanted = bool(on_gpu) if device is None else torch.device(device).type in ("cuda", "meta")
    _refuse_two_devices(operation, name, given, tensors)
    if on_gpu and name in UNORDERED:
        raise RuntimeError(f"{name} does not have a deterministic implementation")
    own = {key: value for key, value in keys.items() if key != "pin_memory"}
    if device is not None:
        own["device"] = torch.device("cpu")
    found = operation(*_held(given), **_held(own))
    if torch.Tag.inplace_view in operation.tags:  # what the wrapper itself says of its shape
        with no_dispatch():
            operation(*given, **keys)
    # what was changed in place is the very tensor that was given
    same = {id(one.held): one for one in on_gpu}

    def there(one: Any) -> Any:
        if not isinstance(one, Tensor):
            return one
        return same[id(one)] if id(one) in same else OnGpu(one)

    return tree_map(there, found) if wanted else found


def _refuse_two_devices(operation: Any, name: str, given: Sequence[Any], tensors: list[Tensor]) -> None:
    on_cpu = [one for one in tensors if not isinstance(one, OnGpu)]
    if not on_cpu or len(on_cpu) == len(tensors) or name in ("copy_", "_to_copy"):
        return
    scalars = all(one.dim() == 0 for one in on_cpu)
    if scalars and (torch.Tag.pointwise in operation.tags or name == "where"):
        return
    if name in INDEXING and isinstance(given[0], OnGpu):
        values = given[2] if name.startswith(("index_put", "_index_put")) else None
        if values is None or isinstance(values, OnGpu) or values.dim() == 0:
            return
    raise RuntimeError(f"Expected all tensors to be on the same device, but found at least two, cuda:0 and cpu: {name}")
