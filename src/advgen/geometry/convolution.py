"""Sizes of feature maps, known without tensors: networks have them, and a study is checked by them."""

from __future__ import annotations


def conv_sizes(side: int, layers: int, kernel: int, stride: int, padding: int, pool: int = 1) -> list[int]:
    """Pixels along one side before and after each of some convolutions with their pooling."""
    sizes = [side]
    for _ in range(layers):
        sizes.append(((sizes[-1] + 2 * padding - kernel) // stride + 1) // pool)
    return sizes


def transposed_sizes(side: int, layers: int, kernel: int, stride: int, padding: int) -> list[int]:
    """Pixels along one side before and after each of some transposed convolutions."""
    sizes = [side]
    for _ in range(layers):
        sizes.append((sizes[-1] - 1) * stride - 2 * padding + kernel)
    return sizes


def transposed_start(side: int, layers: int, kernel: int, stride: int, padding: int) -> int | None:
    """Pixels along one side before some transposed convolutions that lead to `side`; None if no number does."""
    for _ in range(layers):
        steps, rest = divmod(side + 2 * padding - kernel, stride)
        side = steps + 1
        if rest or side < 1:
            return None
    return side
