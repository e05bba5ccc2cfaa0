"""Initial weights."""

from collections.abc import Callable
from typing import Any

from advgen import seeds


def build_seeded(build: Callable[..., Any], *arguments: Any, seed: int) -> Any:
    """A module whose initial weights depend only on the seed, not on the state of the random generators."""
    seeds.seed_global(seeds.derive(seed, "weights", *arguments[:1]))
    return build(*arguments)
