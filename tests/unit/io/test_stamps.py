"""The stamp comes back from a PNG whatever the checksum behind it looks like."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from advgen.core.provenance import Stamp
from advgen.figures.common import save
from advgen.io.stamps import read_stamp


def test_every_figure_gives_its_stamp_back(tmp_path: Path) -> None:
    figure = Figure(figsize=(0.2, 0.2))
    for number in range(60):  # a quarter of all checksums begin with a byte that a token may hold
        stamp = Stamp("advgen draw", {"number": number}, "x" * (number % 7))
        pdf, png = tmp_path / "figure.pdf", tmp_path / "figure.png"
        save(figure, pdf, png, stamp.token())
        assert read_stamp(png) == stamp
        assert read_stamp(pdf) == stamp


def test_a_picture_without_stamp_has_none(tmp_path: Path) -> None:
    Figure(figsize=(0.2, 0.2)).savefig(tmp_path / "plain.png")
    assert read_stamp(tmp_path / "plain.png") is None
