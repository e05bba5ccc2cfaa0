"""Measure text in millimetres, wrap it, and choose font sizes."""

import re
from collections.abc import Iterable
from functools import cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

MM_PER_INCH = 25.4
MM_PER_POINT = MM_PER_INCH / 72


@cache
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of one line of text in millimetres; `size` is in points."""
    font = FontProperties(family="DejaVu Sans", weight=weight, size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) * MM_PER_POINT


def fit_font_size(text: str, width: float, size: float, smallest: float = 4.5, weight: str = "normal") -> float:
    """Return `size` in points, or a smaller size at which the text fits into `width` millimetres."""
    wide = text_width(text, size, weight)
    # The rasteriser moves letters to whole pixels, so small text is slightly wider than computed.
    return size if wide <= width else max(smallest, 0.97 * size * width / wide)


def wrap_text(text: str, width: float, size: float = 6.5) -> list[str]:
    """Break a text at spaces and hyphens into lines of at most `width` millimetres."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for piece in re.findall(r"[^ -]+-* *|-+ *", paragraph):
            if line and text_width((line + piece).rstrip(), size) > width + 0.01:
                lines.append(line.rstrip())
                line = ""
            line += piece
        lines.append(line.rstrip())
    return lines


def label_width(labels: Iterable[str], widest: float, size: float = 6.5, weight: str = "normal") -> float:
    """Return the margin in millimetres for labels at the left: at most `widest`, plus a gap of 2."""
    lines = [line for label in labels for line in label.split("\n")]
    return min(widest, max((text_width(line, size, weight) for line in lines), default=0.0)) + 2.0
