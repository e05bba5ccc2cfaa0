"""Checkpoints: models as safetensors files, and the state of unfinished training runs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from advgen import registry
from advgen.core.code import code_digest
from advgen.files.provenance import Stamp, atomic_write
from advgen.io.headers import HEADER, check_header, read_header, sealed_header
from advgen.specs.networks import FileNetwork

if TYPE_CHECKING:
    from torch import Tensor, nn


def save_model(path: Path, module: nn.Module, stamp: Stamp) -> None:
    """Save a registered model with its family, spec and number of outputs, from which `load_model` rebuilds it.

    The header also has the digest of its code, because jobs that read the model depend on it.
    """
    family, outputs = module.family, module.outputs
    spec = module.spec.model_dump(mode="json")  # type: ignore[operator, union-attr]
    weights = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    code = code_digest(*sorted(set(registry.targets(module.spec))))
    header = {"family": family, "spec": spec, "outputs": outputs, "code": code, "weights": _digest(weights)}
    metadata = {HEADER: sealed_header(header, stamp)}
    with atomic_write(path) as temporary:
        _save(weights, temporary, metadata)


def _save(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    try:
        save_file(tensors, path, metadata)
    except SafetensorError as error:
        raise OSError(None, f"cannot be written ({error})", str(path)) from None


def load_model(path: Path) -> Any:
    """Load a network, generator or autoencoder from a checkpoint, in eval mode on the CPU.

    Raises:
        ValueError: the file is damaged, or not a checkpoint of this version.
    """
    header = read_header(path)
    try:
        model = header["model"]
        spec = TypeAdapter(FAMILY_SPECS[model["family"]]).validate_python(model["spec"])
        module: nn.Module = build(model["family"], spec, model["outputs"])
        module.load_state_dict(_checked_weights(path, model["weights"]))
    except (KeyError, TypeError, ValidationError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{path}: not a model of this version of advgen ({str(error).splitlines()[0]})") from None
    return module.eval()


def check_weights(path: Path) -> None:
    """Raise ValueError if a checkpoint differs from the digests in its header."""
    model = read_header(path).get("model")
    if not isinstance(model, dict):
        raise ValueError(f"{path}: not a checkpoint of advgen; delete it and run again")
    check_header(path)
    _checked_weights(path, model.get("weights"))


def _checked_weights(path: Path, digest: object) -> dict[str, Tensor]:
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: cannot be read ({error}); delete it and run again") from None
    if _digest(weights) != digest:
        raise ValueError(f"{path}: its weights have been changed; delete it and run again")
    return weights


def _digest(weights: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(f"{name} {tuple(weights[name].shape)} {weights[name].dtype}\n".encode())
        digest.update(weights[name].numpy().tobytes())
    return digest.hexdigest()


FAMILY_SPECS: dict[str, Any] = {
    "networks": registry.AnyNetwork,
    "generators": registry.AnyGenerator,
    "autoencoders": registry.AnyAutoencoder,
    "files": FileNetwork,
}


def build(family: str, spec: Any, outputs: int | None = None) -> Any:
    """Return a new module of a family. `outputs` is the number of logits of networks and custom models."""
    target = registry.resolve(spec)
    module = target(spec, outputs) if family in ("networks", "files") else target(spec)
    module.family, module.spec, module.outputs = family, spec, outputs
    return module


def save_state(path: Path, state: dict[str, Tensor], key: str, device: str = "") -> None:
    """Save the state of an unfinished run. `key` is the digest of everything that affects it except the device."""
    with atomic_write(path) as temporary:
        _save(state, temporary, {HEADER: f"{key} {device}"})


def load_state(path: Path, key: str) -> dict[str, Tensor] | None:
    """Load the state of an unfinished run; None if there is none, or if it is damaged or belongs to another run."""
    try:
        return load_file(path) if _state_header(path)[0] == key else None
    except (OSError, SafetensorError):
        return None


def state_device(path: Path) -> str:
    """Return the device on which a state was saved."""
    return _state_header(path)[1]


def _state_header(path: Path) -> tuple[str, str]:
    with safe_open(path, framework="pt") as file:
        key, _, device = (file.metadata() or {}).get(HEADER, "").partition(" ")
    return key, device
