"""A pretended GPU: its tensors say that they lie on cuda:0, compute on the CPU, and refuse what eager CUDA refuses.

Inside `PretendedGpu()`, `.to("cuda:0")` (with the number: torch asks the driver for a missing one) makes such tensors.
Operands must lie on one device, but for CPU scalars where CUDA takes them; `.numpy()` is refused, a generator of
another device, and operations that have no deterministic CUDA kernel, as torch.use_deterministic_algorithms lists them.

It counts what the host asks of the device. A launch is an operation that is no view and no allocation; what CUDA fuses
or splits counts as torch dispatches it. A sync is whatever makes the host wait, as torch.cuda.set_sync_debug_mode would
name it: a number, an index of unknown length, or a copy that is not `non_blocking`.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from typing import Any
from unittest import mock

import torch
from tests.gpu.recording import Recording, change_tensors, refuse_uncapturable
from torch import Tensor
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

CUDA = torch.device("cuda", 0)
MEMORY = 16 * 2**30
"""Bytes."""

INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
"""Take their indices from the CPU, too."""
WRITING = {"index_put", "index_put_", "_index_put_impl_"}
COPYING = {"copy_", "_to_copy"}
DOCUMENTED: dict[str, tuple[str, ...]] = {
    "torch.nn.AvgPool3d": ("avg_pool3d_backward",),
    "torch.nn.AdaptiveAvgPool2d": ("_adaptive_avg_pool2d_backward",),
    "torch.nn.AdaptiveAvgPool3d": ("_adaptive_avg_pool3d_backward",),
    "torch.nn.AdaptiveMaxPool2d": ("adaptive_max_pool2d_backward",),
    "torch.nn.FractionalMaxPool2d": ("fractional_max_pool2d_backward",),
    "torch.nn.FractionalMaxPool3d": ("fractional_max_pool3d_backward",),
    "torch.nn.MaxUnpool1d": ("max_unpool2d",),
    "torch.nn.MaxUnpool2d": ("max_unpool2d",),
    "torch.nn.MaxUnpool3d": ("max_unpool3d",),
    "torch.nn.functional.interpolate": (
        "upsample_linear1d_backward",
        "upsample_bilinear2d_backward",
        "upsample_bicubic2d_backward",
        "upsample_trilinear3d_backward",
        "_upsample_bilinear2d_aa_backward",
        "_upsample_bicubic2d_aa_backward",
    ),
    "torch.nn.ReflectionPad1d": ("reflection_pad1d_backward",),
    "torch.nn.ReflectionPad2d": ("reflection_pad2d_backward",),
    "torch.nn.ReflectionPad3d": ("reflection_pad3d_backward",),
    "torch.nn.NLLLoss": ("nll_loss2d_forward", "nll_loss2d_backward"),  # of two dimensions it is deterministic
    "torch.nn.CTCLoss": ("_ctc_loss_backward", "_cudnn_ctc_loss"),
    "torch.nn.EmbeddingBag": ("_embedding_bag_dense_backward",),
    "torch.Tensor.put_": ("put", "put_"),
    "torch.histc": ("histc",),
    "torch.bincount": (),  # with weights: see `_unordered`
    "torch.median": ("median", "nanmedian"),  # with indices: see `_unordered`
    "torch.nn.functional.grid_sample": ("grid_sampler_2d_backward", "grid_sampler_3d_backward"),
    "torch.Tensor.scatter_reduce": (),  # of products: see `_unordered`
    "torch.Tensor.resize_": (),  # of quantized tensors, which nothing here has
}
"""What torch.use_deterministic_algorithms(True) makes fail on a GPU, in its documentation's names and as operations."""
UNORDERED = {name for names in DOCUMENTED.values() for name in names} | {"kthvalue"}  # its indices; not documented
UNKNOWN_LENGTH = {"nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "bincount"}
ASKED = {"_local_scalar_dense", "item", "is_nonzero", "equal"} | UNKNOWN_LENGTH
"""Operations whose result, or whose result's length, the host must know."""
FREE = {"detach", "alias", "lift_fresh", "_unsafe_view", "_reshape_alias", "set_", "resize_"}
"""Neither a view by its schema nor a launch."""


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
    def __torch_dispatch__(cls, operation: Any, types: Any, arguments: Sequence[Any] = (), keys: Any = None) -> Any:
        return _run(operation, arguments, keys or {})

    def numpy(self, *arguments: Any, **keys: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def tolist(self) -> Any:
        _waits("tolist")
        return self.held.tolist()

    def new_tensor(self, data: Any, **keys: Any) -> OnGpu:
        _waits("new_tensor")
        return OnGpu(self.held.new_tensor(data, **{name: value for name, value in keys.items() if name != "device"}))

    def __repr__(self, **keys: Any) -> str:  # type: ignore[override]
        return f"OnGpu({self.held!r})"


class PretendedGpu(TorchDispatchMode):
    """Inside the block there is a GPU, whose driver is not woken; `launches`, and `syncs` by where the host waits."""

    now: PretendedGpu | None = None

    def __init__(self) -> None:
        super().__init__()
        self.launches, self.syncs = 0, Counter[str]()

    def __enter__(self) -> PretendedGpu:
        self.patched = ExitStack()
        properties = mock.Mock(total_memory=MEMORY)
        answers = {"_lazy_init": None, "get_device_name": "pretended", "get_device_properties": properties}
        for name, answer in answers.items():
            self.patched.enter_context(mock.patch(f"torch.cuda.{name}", return_value=answer))
        for name, stand_in in {
            "torch.cuda.Stream": mock.Mock,
            "torch.cuda.current_stream": mock.Mock,
            "torch.cuda.stream": nullcontext,
            "torch.cuda.CUDAGraph": Graph,
            "torch.cuda.graph": lambda graph, stream: graph,
            "torch.optim.Optimizer._accelerator_graph_capture_health_check": refuse_uncapturable,
        }.items():
            self.patched.enter_context(mock.patch(name, stand_in))
        PretendedGpu.now = self
        super().__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        PretendedGpu.now = None
        self.patched.close()

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Sequence[Any] = (), keys: Any = None) -> Any:
        return _run(operation, arguments, keys or {})


class Graph(Recording):
    """A recording whose replay is one launch."""

    def replay(self) -> None:
        assert PretendedGpu.now is not None
        PretendedGpu.now.launches += 1
        with no_dispatch():
            super().replay()


def computing(run: Callable[[Any], None]) -> Callable[[Any], None]:
    """A command's function, for ADVGEN_AROUND: what computes on a device computes on the pretended one."""

    def running(job: Any) -> None:
        if not job.spec.torch:
            return run(job)
        with PretendedGpu():
            job.device = str(CUDA)
            run(job)

    return running


def _waits(what: str) -> None:
    """Note that the host waits, and which line of the package makes it."""
    _refuse_recording(f"the host waits: {what}")
    if PretendedGpu.now is not None:
        own = [frame for frame in traceback.extract_stack() if "/advgen/" in frame.filename]
        where = f"{own[-1].filename.rpartition('/advgen/')[2]}:{own[-1].lineno}" if own else "?"
        PretendedGpu.now.syncs[f"{where} {what}"] += 1


def _refuse_recording(why: str) -> None:
    if Recording.now is not None:
        raise RuntimeError(f"operation not permitted when stream is capturing: {why}")


def _held(nested: Any) -> Any:
    return change_tensors(lambda one: one.held if isinstance(one, OnGpu) else one, nested)


def _run(operation: Any, arguments: Sequence[Any], keys: Mapping[str, Any]) -> Any:
    """One operation: refused as CUDA would, or computed on the CPU, its results where CUDA would put them."""
    if torch.is_inference_mode_enabled():  # there a wrapper cannot be viewed
        with torch.inference_mode(False), torch.no_grad():
            return _run(operation, arguments, keys)
    name = operation._schema.name.split("::")[1]
    if operation is torch.ops.prim.device.default:
        return CUDA
    tensors: list[Tensor] = []
    change_tensors(tensors.append, [arguments, keys])
    on_gpu = [one for one in tensors if isinstance(one, OnGpu)]
    device = keys.get("device")
    wanted = bool(on_gpu) if device is None else torch.device(device).type in ("cuda", "meta")
    _refuse_two_devices(operation, name, arguments, tensors)
    if wanted and (generator := keys.get("generator")) is not None and generator.device.type != "cuda":
        raise RuntimeError(f"Expected a 'cuda' device type for generator but found 'cpu': {name}")
    if on_gpu and _unordered(operation, name, arguments, keys):
        raise RuntimeError(f"{name} does not have a deterministic implementation")
    if on_gpu or wanted:
        _count(operation, name, arguments, keys, tensors, wanted)
    own = {key: value for key, value in keys.items() if key != "pin_memory"}
    if device is not None:
        own["device"] = torch.device("cpu")
    held, own = _held(arguments), _held(own)
    recording = Recording.now if on_gpu or wanted else None
    if recording is not None:
        if keys.get("generator") is not None:
            _refuse_recording("a generator that the graph does not know")
        recording.before([one.held for one in on_gpu])
    found = operation(*held, **own)
    if recording is not None:
        recording.note(operation, held, own, found)
    if torch.Tag.inplace_view in operation.tags:  # what the wrapper itself says of its shape
        with no_dispatch():
            operation(*arguments, **keys)
    # what was changed in place is the very tensor that was given
    same = {id(one.held): one for one in on_gpu}

    return change_tensors(lambda one: same[id(one)] if id(one) in same else OnGpu(one), found) if wanted else found


def _unordered(operation: Any, name: str, arguments: Sequence[Any], keys: Mapping[str, Any]) -> bool:
    if name in ("median", "nanmedian"):
        return bool(operation._overloadname.startswith("dim"))
    if name == "bincount":
        return (arguments[1] if len(arguments) > 1 else keys.get("weights")) is not None
    if name.startswith("scatter_reduce"):
        return "prod" in arguments or keys.get("reduce") == "prod"
    return name in UNORDERED


def _count(
    operation: Any, name: str, arguments: Sequence[Any], keys: Mapping[str, Any], tensors: list[Tensor], wanted: bool
) -> None:
    if PretendedGpu.now is None:
        return
    on_gpu = [isinstance(one, OnGpu) for one in tensors]
    if name in COPYING:
        # copy_(its own, the other, non_blocking), _to_copy(the other)
        there, here = (on_gpu[0], on_gpu[-1]) if name == "copy_" else (wanted, on_gpu[0])
        lagging = bool(keys.get("non_blocking")) or (name == "copy_" and len(arguments) > 2 and bool(arguments[2]))
        if here and not there:
            assert not lagging, "a copy to the CPU that does not block is read before it has arrived"
            _waits("copied to the CPU")
        elif there and not here:
            _refuse_recording("copied from the host's memory")
            if not lagging:
                _waits("copied to the device")
    elif name in INDEXING:
        indices = [one for one in arguments[1] if one is not None]
        masks = any(one.dtype in (torch.bool, torch.uint8) for one in indices)
        if masks and not (name in WRITING and arguments[2].numel() == 1):  # which is filled in without an index
            _waits("indexed by a mask")
        if not all(isinstance(one, OnGpu) for one in indices):
            _waits("indexed from the CPU")
    elif name in ASKED:
        _waits(name)
    works = all(on_gpu) if name in COPYING else not (operation.is_view or name in FREE or "empty" in name)
    PretendedGpu.now.launches += works


def _refuse_two_devices(operation: Any, name: str, arguments: Sequence[Any], tensors: list[Tensor]) -> None:
    on_cpu = [one for one in tensors if not isinstance(one, OnGpu)]
    if not on_cpu or len(on_cpu) == len(tensors) or name in COPYING:
        return
    scalars = all(one.dim() == 0 for one in on_cpu)
    changed = torch.Tag.inplace in operation.tags and on_cpu[0] is arguments[0]
    if scalars and not changed and (torch.Tag.pointwise in operation.tags or name == "where"):
        return
    if name in INDEXING and isinstance(arguments[0], OnGpu):
        values = arguments[2] if name in WRITING else None
        if values is None or isinstance(values, OnGpu) or values.dim() == 0:
            return
    raise RuntimeError(f"Expected all tensors to be on the same device, but found at least two, cuda:0 and cpu: {name}")
