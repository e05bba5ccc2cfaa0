"""A classifier of somebody else's, from a file: an exported program, TorchScript, or weights with the code they fit.

No pickle is read. An exported program of torch 2.14 may hold pickles, and formulas that torch evaluates: its parts are
looked at before torch sees them, and what weights of plain numbers do not need is refused.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import logging
import re
import sys
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MethodType, ModuleType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from advgen.files.user_files import factory_files
from advgen.io.checkpoints import load_model
from advgen.io.headers import HEADER
from advgen.models.predict import device_of

Channels = float | Sequence[float] | None
EXPORT = (
    "in its own code, torch.export.save(torch.export.export(model.eval(), (images,), "
    "dynamic_shapes=({0: torch.export.Dim('batch')},)), 'model.pt2')"
)
"""How a model becomes a file that is no pickle."""
_PARTS = re.compile(
    r"archive_(format|version)|byteorder|version|\.data/\w+|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/(weights|constants)/(weight_\d+|tensor_\d+|model_(weights|constants)_config\.json)"
)
"""What an exported program consists of, if it holds numbers alone."""
_FORMULA = re.compile(r"(?!.*(__|\b[a-z_]\w*\s*\())(\w|[-+*/(),<>=&|~ ]|\d\.\d|'\w+')*")
"""What torch may evaluate: numbers, names, and functions with a capital letter; Python's own have a small one."""


QUANTIZED = (
    "the model is quantised (int8), so there are no gradients at its pixels; attack the float model that it was made "
    "from, and give this one the adversarial images"
)


class UnusableOutput(ValueError):
    """A model returns what no attack can use, or cannot give a gradient; the message says what to do."""


class CustomModel(nn.Module):
    """A classifier with what prepares its inputs: it takes images (B, C, H, W) in [0, 1] and gives logits (B, K).

    Pixels are stretched from [0, 1] to `bounds`, then `mean` is subtracted and the rest divided by `std`, each a number
    or one for each channel. Where nothing leads from the logits back to the pixels, the gradient is zero, not missing.

    A model may change its input in place, compute in float64, or return its logits as `.logits` or `["logits"]`.
    """

    def __init__(
        self, net: nn.Module, bounds: tuple[float, float] = (0, 1), mean: Channels = None, std: Channels = None
    ):
        super().__init__()
        self.net, (self.low, high) = net, map(float, bounds)
        self.width = high - self.low
        if not self.width > 0:
            raise ValueError(f"bounds = {tuple(bounds)}: must be the lowest and the highest pixel, such as (0, 1)")
        subtracted, divisor = _channels("mean", mean, 0.0), _channels("std", std, 1.0)
        if not (divisor > 0).all():
            raise ValueError(f"std = {std}: must be positive; it divides the pixels")
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", subtracted.to(device_of(net)), persistent=False)
        self.register_buffer("std", divisor.to(device_of(net)), persistent=False)
        self.stretched, self.standardised = (self.low, high) != (0, 1), mean is not None or std is not None
        self.is_double, self.is_quantized = _computes_in(net, torch.float64), _is_quantized(net)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits (B, K); ValueError if a gradient is wanted and a quantised net cannot have one."""
        given_BCHW = x_BCHW
        needs_gradient = torch.is_grad_enabled() and given_BCHW.requires_grad
        if needs_gradient and self.is_quantized:
            raise UnusableOutput(QUANTIZED)
        # a copy, which the net may change in place
        x_BCHW = x_BCHW.double() if self.is_double and x_BCHW.dtype != torch.float64 else x_BCHW.clone()
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, x_BCHW.shape[1]):
                raise ValueError(f"{name} has {len(values)} numbers for {x_BCHW.shape[1]} channels; give one for each")
        if self.stretched:
            x_BCHW = self.low + self.width * x_BCHW
        if self.standardised:
            x_BCHW = (x_BCHW - self.mean) / self.std
        logits_BK = _logits(self.net(x_BCHW))
        if logits_BK.dtype == torch.float64:
            logits_BK = logits_BK.to(given_BCHW.dtype)
        if needs_gradient and not logits_BK.requires_grad and logits_BK.ndim == 2:
            return logits_BK + 0 * given_BCHW.flatten(1).sum(1, keepdim=True)
        return logits_BK


def _logits(output: Any) -> Tensor:
    """The logits in what a model returns; UnusableOutput, which says how to wrap it, if there are none."""
    found = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", output)
    if isinstance(found, tuple) and len(found) == 1:
        found = found[0]
    if not isinstance(found, Tensor):
        keys = f" with {', '.join(map(str, output))}" if isinstance(output, Mapping) else ""
        place = repr(next(iter(output))) if isinstance(output, Mapping) and output else "0"
        raise UnusableOutput(
            f"the model returns an output of type {type(output).__name__}{keys}; "
            f"wrap it in a module whose forward returns the logits alone, such as self.net(x)[{place}]"
        )
    if found.ndim == 1 or found.shape[1:] == (1,):
        raise UnusableOutput(
            "the model returns one number per image; if that is the logit z of class 1 of two, before any sigmoid, "
            "wrap it in a module whose forward returns torch.stack([0 * z.flatten(), z.flatten()], 1)"
        )
    return found


def _computes_in(net: nn.Module, dtype: torch.dtype) -> bool:
    """Whether all weights of a model, or all its buffers if it has no weights, have a floating-point type."""
    for tensors in (net.parameters(), net.buffers()):
        if found := {one.dtype for one in tensors if one.is_floating_point()}:
            return found == {dtype}
    return False


def _is_quantized(net: nn.Module) -> bool:
    """Whether a part of a model computes with quantised weights, for which torch has no gradients."""
    if isinstance(net, torch.jit.ScriptModule):
        try:
            return "quantized::" in str(net.inlined_graph)
        except RuntimeError:  # no forward
            return False
    return ".quantized." in f"{type(net).__module__}." or any(map(_is_quantized, net.children()))


def _channels(name: str, values: Channels, default: float) -> Tensor:
    """One number or one for each channel, as (C, 1, 1)."""
    try:
        return torch.tensor(default if values is None else values, dtype=torch.float32).reshape(-1, 1, 1)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} = {values!r}: must be a number, or one for each channel") from None


def load_custom_model(
    path: Path,
    factory: str | None = None,
    *,
    bounds: tuple[float, float] = (0, 1),
    mean: Channels = None,
    std: Channels = None,
) -> nn.Module:
    """A classifier that takes images (B, C, H, W) in [0, 1] and gives logits (B, K), in eval mode on the CPU.

    `path` is an exported program, TorchScript, safetensors, or a checkpoint of ours. `factory` is the code that makes
    the module whose weights are in a safetensors file, "module:function" or "path.py:function": it takes nothing.
    `bounds`, `mean` and `std` are as in `CustomModel`. ValueError in one line for any other file, and for a factory
    that fails.
    """
    net = _load(path, factory)
    elsewhere = device_of(net)
    if elsewhere.type != "cpu":
        net = _on_the_cpu(net, path, elsewhere)
    return CustomModel(net, bounds, mean, std).eval()


def _on_the_cpu(net: nn.Module, path: Path, device: torch.device) -> nn.Module:
    try:
        return net.to("cpu")
    except RuntimeError as error:
        raise ValueError(
            f"{path}: lies on {device} and cannot be moved ({_line(error)}); save it from the CPU"
        ) from None


def _load(path: Path, factory: str | None) -> nn.Module:
    if not path.is_file():
        raise ValueError(f"{path}: no such file; give a .pt2, TorchScript or .safetensors file")
    kind = detect_format(path)
    if kind == "pickle":
        raise ValueError(f"{path}: is a pickle, which runs code when it is read; export the model {EXPORT}")
    if kind == "safetensors":
        return _with_weights(path, factory)
    if kind == "checkpoint":
        model: nn.Module = load_model(path)
        return model
    if factory is not None:
        raise ValueError(f"{path}: holds its own code; leave the factory {factory} out")
    return _exported(path) if kind == "exported" else _scripted(path)


def detect_format(path: Path) -> str:
    """What a file is by its content: exported, scripted, safetensors, checkpoint (of ours) or pickle.

    ValueError if it is none of them.
    """
    if zipfile.is_zipfile(path):
        names = [name.partition("/")[2] for name in _names(path)]
        if "archive_format" in names or "serialized_exported_program.json" in _names(path):
            return "exported"
        if "constants.pkl" in names and any(name.startswith("code/") for name in names):
            return "scripted"
        if "data.pkl" in names:
            return "pickle"
    else:
        with path.open("rb") as file:
            start = file.read(9)
        if start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
            return "checkpoint" if HEADER in _metadata(path) else "safetensors"
        if start[:1] == b"\x80":
            return "pickle"
    raise ValueError(
        f"{path}: is no model; give an exported program (.pt2), TorchScript, or safetensors with a factory"
    )


def _names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def _metadata(path: Path) -> Mapping[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path}: cannot be read as safetensors ({error}); save it again") from None


def _exported(path: Path) -> nn.Module:
    content = path.read_bytes()
    if reason := _distrusted(content):
        raise ValueError(f"{path}: {reason}; export it again: {EXPORT}")
    if b"cuda" in _devices(content) and not torch.cuda.is_available():
        raise ValueError(f"{path}: was exported on a GPU, and there is none; export model.cpu() with images on the CPU")
    try:
        with _quiet():
            # without its guards, which are Python that stands in the file
            module: nn.Module = torch.export.load(io.BytesIO(content)).module(check_guards=False)
    except Exception as error:
        raise ValueError(f"{path}: torch cannot load it ({_line(error)}); export it again: {EXPORT}") from None
    # an exported program has one mode, that of its export, and refuses to be asked for another
    module.train = MethodType(lambda self, mode=True: self, module)  # type: ignore[method-assign]
    return module


def _distrusted(content: bytes) -> str:
    """Why an exported program is not loaded, or nothing: torch would un-pickle or evaluate a part of it."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        roots = {name.partition("/")[0] for name in archive.namelist()}
        parts = {name.partition("/")[2]: name for name in archive.namelist()}
        if len(roots) != 1 or len(parts) != len(archive.namelist()) or "archive_format" not in parts:
            return "is not laid out as torch.export.save of this version does"
        if strange := [part for part in parts if not _PARTS.fullmatch(part)]:
            return f"holds {strange[0]}, which may be a pickle"
        try:
            for part in ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json"):
                for payload in json.loads(archive.read(parts[part]))["config"].values():
                    if payload["use_pickle"] or not re.fullmatch(r"(weight|tensor)_\d+", payload["path_name"]):
                        return f"has weights that are pickled ({payload['path_name']})"
            for key, text in _texts(json.loads(archive.read(parts["models/model.json"]))):
                if (key == "name" and not re.fullmatch(r"[\w.]*", text)) or not (
                    key != "expr_str" or _FORMULA.fullmatch(text)
                ):
                    return f"holds a {key} that may be code ({text[:40]!r})"
            torch.load(io.BytesIO(archive.read(parts["data/sample_inputs/model.pt"])), weights_only=True)
        except Exception as error:
            return f"cannot be read without un-pickling ({_line(error)})"
    return ""


def _devices(content: bytes) -> set[bytes]:
    """The types of devices that an exported program names."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        told = b"".join(archive.read(name) for name in archive.namelist() if name.endswith(".json"))
    return set(re.findall(rb'{"type": "(\w+)", "index"', told))


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _texts(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, key)


def _scripted(path: Path) -> nn.Module:
    try:
        with _quiet():
            module: nn.Module = torch.jit.load(path, map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as TorchScript ({_line(error)}); save it again") from None
    return module


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's warnings and tracebacks: what is wrong is told in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _with_weights(path: Path, factory: str | None) -> nn.Module:
    if factory is None:
        raise ValueError(f"{path}: holds weights alone; name the code that they fit with factory, net.py:function")
    module = call_factory(factory)
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: cannot be read as safetensors ({error}); save it again") from None
    wanted = module.state_dict()
    for name in [*wanted, *weights]:
        if name not in weights or name not in wanted:
            where = f"{path} has no" if name in wanted else f"{factory} has no"
            raise ValueError(f"{where} {name!r}; the weights are another model's, or saved under other names")
        if wanted[name].shape != weights[name].shape:
            shapes = f"{tuple(weights[name].shape)}, and {factory} makes {tuple(wanted[name].shape)}"
            raise ValueError(f"{path}: {name!r} is of shape {shapes}; the weights are another model's")
    module.load_state_dict(weights)
    return module


def call_factory(factory: str) -> nn.Module:
    """The module that "module:function" or "path.py:function" makes; ValueError in one line if it does not."""
    place, _, name = factory.rpartition(":")
    if not place or not name.isidentifier():
        raise ValueError(f"factory {factory!r}: write module:function, or path.py:function")
    try:
        files = factory_files(factory)
    except ValueError as error:
        raise ValueError(f"factory {factory!r}: {error}") from None
    with _in_sight(place, files):
        code = _code(place, factory)
        if not callable(function := getattr(code, name, None)):
            raise ValueError(f"factory {factory!r}: {place} has no function {name!r}")
        try:
            module = function()
        except Exception as error:
            raise ValueError(f"factory {factory!r}: raised {type(error).__name__}: {_line(error)}; mend it") from error
    if not isinstance(module, nn.Module):
        raise ValueError(f"factory {factory!r}: gave {type(module).__name__}; it must return a torch.nn.Module")
    return module


@contextmanager
def _in_sight(place: str, files: Iterable[Path]) -> Iterator[None]:
    """The folder of a user's module is searched first; its files hide no other module of their names, before or after.

    So two models may each have a `layers.py` beside them.
    """
    folder = Path(place).absolute().parent if place.endswith(".py") else Path.cwd()
    own = {_dotted(file.absolute().relative_to(folder)): file for file in files}
    others = {name for name in own.keys() & sys.modules.keys() if not _stands_in(sys.modules[name], own[name])}
    hidden = {name: sys.modules.pop(name) for name in others}
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    # bytecode is taken for that of a file of the same size and second, also after an edit
    writes_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_none
        sys.path.remove(str(folder))
        for name in own.keys() - before:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)


def _dotted(file: Path) -> str:
    return ".".join(part for part in file.with_suffix("").parts if part != "__init__")


def _stands_in(module: ModuleType, file: Path) -> bool:
    known = getattr(module, "__file__", None)
    return known is not None and Path(known).resolve() == file.resolve()


def _code(place: str, factory: str) -> ModuleType:
    """The user's module."""
    path = Path(place)
    try:
        if path.suffix != ".py":
            return importlib.import_module(place)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        code = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(code)
        return code
    except Exception as error:
        raise ValueError(f"factory {factory!r}: {place} raised {type(error).__name__}: {_line(error)}") from error


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
