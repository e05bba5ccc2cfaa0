"""The frame of a pair of glasses, known without tensors: a mask draws it, and a study is checked by it."""

from __future__ import annotations


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
