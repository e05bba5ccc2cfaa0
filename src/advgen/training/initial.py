"""Initial weights: drawn from the stream that the seed names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from advgen import seeds


def build_seeded(build: Callable[..., Any], *arguments: Any, seed: int) -> Any:
    """A module with its initial weights: the same for the same seed, whatever was drawn before."""
    seeds.seed_global(seeds.derive(seed, "weights", *arguments[:1]))
    return build(*arguments)
