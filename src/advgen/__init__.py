"""advgen: experiments with generative and adversarial vision models, and the pages that show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from torch import nn

__version__ = "0.1.0"


def load(path: str | os.PathLike[str]) -> nn.Module:
    """Rebuild a trained module from its checkpoint alone, in eval mode on the CPU.

    Raises ValueError if the file is damaged or not one of ours.
    """
    from pathlib import Path

    from advgen.io.checkpoints import load_model

    module: nn.Module = load_model(Path(path))
    return module
