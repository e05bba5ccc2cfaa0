"""advgen: experiments with generative and adversarial vision models.

docs/api.md documents the Python functions. They are imported when they are used, so that the Snakefile and the CV do
not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from torch import nn

    from advgen.api.attack import attack as attack
    from advgen.api.attack import transfer as transfer
    from advgen.api.evaluation import evaluate as evaluate
    from advgen.api.generative import frechet_distance as frechet_distance
    from advgen.api.generative import images as images
    from advgen.api.generative import inpaint as inpaint
    from advgen.api.generative import invert as invert
    from advgen.api.generative import sample as sample

__version__ = "0.1.0"

_API = {
    "attack": "attack",
    "evaluate": "evaluation",
    "frechet_distance": "generative",
    "images": "generative",
    "inpaint": "generative",
    "invert": "generative",
    "sample": "generative",
    "transfer": "attack",
}
"""The module in `advgen.api` of each public function."""


def load(path: str | os.PathLike[str]) -> nn.Module:
    """Load a trained model from a checkpoint of advgen, in eval mode on the CPU.

    Raises:
        ValueError: the file does not exist, is damaged, or is not a checkpoint of advgen.
    """
    from advgen.api.inputs import existing_file
    from advgen.io.checkpoints import load_model

    module: nn.Module = load_model(existing_file(path))
    return module


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module 'advgen' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"advgen.api.{_API[name]}"), name)


def __dir__() -> list[str]:
    return sorted(["__version__", "load", *_API])
