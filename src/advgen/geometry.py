"""Shapes and sizes that are known without tensors: models and masks have them, and a study is checked by them."""

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


def glasses_frame(shape: tuple[int, int, int], thickness: float) -> set[tuple[int, int]]:
    """Row and column of each pixel of the frame: two rims and a bridge between them, scaled to the image.

    Args:
        shape: channels, height and width.
        thickness: of the frame, as a share of the width; one pixel at least.
    """
    _, height, width = shape
    line = max(1, round(thickness * width))
    top, bottom = round(0.2 * height), round(0.5 * height)
    frame = set()
    for left, right in ((0.06, 0.44), (0.56, 0.94)):
        rows, columns = range(top, bottom), range(round(left * width), round(right * width))
        rim = {*rows[:line], *rows[-line:]}, {*columns[:line], *columns[-line:]}
        frame |= {(row, column) for row in rows for column in columns if row in rim[0] or column in rim[1]}
    bridge = range((top + bottom - line) // 2, (top + bottom - line) // 2 + line)
    frame |= {(row, column) for row in bridge for column in range(round(0.44 * width), round(0.56 * width))}
    return {(row, column) for row, column in frame if 0 <= row < height}
