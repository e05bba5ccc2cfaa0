"""The user's classifier in a study. Its checkpoint has no weights, only the paths of its files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from advgen.files.user_files import model_digest
from advgen.models.custom import load_custom_model
from advgen.specs.networks import FileNetwork


class FromFile(nn.Module):
    """The model in a file; ValueError if the file has changed since the checkpoint was made."""

    def __init__(self, spec: FileNetwork, outputs: int):
        super().__init__()
        if model_digest(spec.path, spec.factory) != spec.content:
            raise ValueError(f"{spec.path}: is no longer the model that the study was planned with; run again")
        self.model = load_custom_model(Path(spec.path), spec.factory, bounds=spec.bounds, mean=spec.mean, std=spec.std)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits (B, outputs) of float images in [0, 1]."""
        logits_BK: Tensor = self.model(x_BCHW)
        return logits_BK

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Empty: the weights are in the user's file."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load nothing: the weights are in the user's file."""
        return super().load_state_dict({}, strict=False)
