"""Files of models: exported programs, TorchScript, and weights with the code that builds the module.

No pickle is read. An exported program of torch 2.14 may contain pickles and formulas that torch evaluates. So its parts
are inspected before torch loads it, and parts that plain weights do not need are an error.
"""

import io
import json
import logging
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from advgen.io.checkpoints import load_model
from advgen.io.headers import HEADER
from advgen.models.factories import call_factory, first_line

EXPORT = (
    "in the code that made it, torch.export.save(torch.export.export(model.eval(), (images,), "
    "dynamic_shapes=({0: torch.export.Dim('batch')},)), 'model.pt2')"
)
"""How to save a model without a pickle."""
_PARTS = re.compile(
    r"archive_(format|version)|byteorder|version|\.data/\w+|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/(weights|constants)/(weight_\d+|tensor_\d+|model_(weights|constants)_config\.json)"
)
"""Parts of an exported program that has only numbers."""
_FORMULA = re.compile(r"(?!.*(__|\b[a-z_]\w*\s*\())(\w|[-+*/(),<>=&|~ ]|\d\.\d|'\w+')*")
"""Formulas that torch may evaluate: numbers, names, and functions with a capital letter, unlike Python's."""


def load_model_file(path: Path, factory: str | None) -> nn.Module:
    """The module in a file; `factory` builds the module for a safetensors file. ValueError for any other file."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file; give a .pt2, TorchScript or .safetensors file")
    kind = detect_format(path)
    if kind == "pickle":
        raise ValueError(f"{path}: is a pickle, which runs code when it is read; export the model {EXPORT}")
    if kind == "safetensors":
        return _load_weights(path, factory)
    if kind == "checkpoint":
        model: nn.Module = load_model(path)
        return model
    if factory is not None:
        raise ValueError(f"{path}: holds its own code; leave the factory {factory} out")
    return _load_exported(path) if kind == "exported" else _load_scripted(path)


def detect_format(path: Path) -> str:
    """The format of a file by its content: exported, scripted, safetensors, checkpoint (of a study) or pickle.

    ValueError if it is none of them.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            files = archive.namelist()
        names = [name.partition("/")[2] for name in files]
        if "archive_format" in names or "serialized_exported_program.json" in files:
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
        f"{path}: is not a model file; give an exported program (.pt2), TorchScript, or safetensors with a factory"
    )


def _metadata(path: Path) -> Mapping[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path}: cannot be read as safetensors ({error}); save it again") from None


def _load_exported(path: Path) -> nn.Module:
    content = path.read_bytes()
    if reason := _unsafe_part(content):
        raise ValueError(f"{path}: {reason}; export it again: {EXPORT}")
    if b"cuda" in _device_types(content) and not torch.cuda.is_available():
        raise ValueError(f"{path}: was exported on a GPU, and there is none; export model.cpu() with images on the CPU")
    try:
        with _quiet():
            # the guards are Python code in the file
            module: nn.Module = torch.export.load(io.BytesIO(content)).module(check_guards=False)
    except Exception as error:
        raise ValueError(f"{path}: torch cannot load it ({first_line(error)}); export it again: {EXPORT}") from None
    # an exported program has the mode of its export only, and raises an error if another one is set
    module.train = MethodType(lambda self, mode=True: self, module)  # type: ignore[method-assign]
    return module


def _unsafe_part(content: bytes) -> str:
    """Why an exported program must not be loaded: torch would run code in a part of it. Empty if it is safe."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        roots = {name.partition("/")[0] for name in archive.namelist()}
        parts = {name.partition("/")[2]: name for name in archive.namelist()}
        if len(roots) != 1 or len(parts) != len(archive.namelist()) or "archive_format" not in parts:
            return "is not laid out as torch.export.save of this version does"
        if unknown := [part for part in parts if not _PARTS.fullmatch(part)]:
            return f"holds {unknown[0]}, which may be a pickle"
        try:
            for part in ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json"):
                for payload in json.loads(archive.read(parts[part]))["config"].values():
                    if payload["use_pickle"] or not re.fullmatch(r"(weight|tensor)_\d+", payload["path_name"]):
                        return f"has weights that are pickled ({payload['path_name']})"
            for key, text in _strings(json.loads(archive.read(parts["models/model.json"]))):
                if (key == "name" and not re.fullmatch(r"[\w.]*", text)) or not (
                    key != "expr_str" or _FORMULA.fullmatch(text)
                ):
                    return f"holds a {key} that may be code ({text[:40]!r})"
            torch.load(io.BytesIO(archive.read(parts["data/sample_inputs/model.pt"])), weights_only=True)
        except Exception as error:
            return f"cannot be read without unpickling ({first_line(error)})"
    return ""


def _device_types(content: bytes) -> set[bytes]:
    """The types of devices in an exported program."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        text = b"".join(archive.read(name) for name in archive.namelist() if name.endswith(".json"))
    return set(re.findall(rb'{"type": "(\w+)", "index"', text))


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """All strings in a JSON value, each with the key it belongs to."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _strings(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one, key)


def _load_scripted(path: Path) -> nn.Module:
    try:
        with _quiet():
            module: nn.Module = torch.jit.load(path, map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as TorchScript ({first_line(error)}); save it again") from None
    return module


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress torch's warnings and log, since an error here is reported in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _load_weights(path: Path, factory: str | None) -> nn.Module:
    if factory is None:
        raise ValueError(f"{path}: holds only weights; name the code that builds the model: factory path.py:function")
    module = call_factory(factory)
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: cannot be read as safetensors ({error}); save it again") from None
    expected = module.state_dict()
    for name in [*expected, *weights]:
        if name not in weights or name not in expected:
            where = f"{path} has no" if name in expected else f"{factory} has no"
            raise ValueError(f"{where} {name!r}; the weights are another model's, or saved under other names")
        if expected[name].shape != weights[name].shape:
            shapes = f"{tuple(weights[name].shape)}, and {factory} makes {tuple(expected[name].shape)}"
            raise ValueError(f"{path}: {name!r} is of shape {shapes}; the weights are another model's")
    module.load_state_dict(weights)
    return module
