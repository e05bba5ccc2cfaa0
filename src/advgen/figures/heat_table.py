"""Draw tables of coloured cells, each with a number and small lines of text, below wrapped column headings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from matplotlib.patches import Rectangle

from advgen.figures.drawing import draw_heat_cell
from advgen.figures.layout import Page
from advgen.figures.style import INK
from advgen.figures.text import fit_font_size, wrap_text


class Cell(NamedTuple):
    """Text, colour and small lines of a cell, and whether it is outlined."""

    text: str
    fill: tuple[float, ...]
    lines: Sequence[str] = ()
    outlined: bool = False


@dataclass(frozen=True)
class HeatTable:
    """A table of cells of equal size; sizes are millimetres, font sizes are points.

    Args:
        columns: the column headings.
        cell_width, row_height: size of a cell.
        font_size: of the headings.
        bold: headings in bold.
    """

    columns: Sequence[str]
    cell_width: float
    row_height: float
    font_size: float = 6.0
    bold: Collection[str] = ()

    @property
    def heading_height(self) -> float:
        """Height of the column headings."""
        return 0.46 * self.font_size * max(len(self._wrap(name)) for name in self.columns) + 1.2

    def _wrap(self, name: str) -> list[str]:
        return wrap_text(name, self.cell_width - 1, self.font_size)

    def draw(self, page: Page, left: float, top: float, rows: float, cells: Mapping[tuple[float, int], Cell]) -> None:
        """Draw the cells from `top` on, with the headings above.

        Args:
            page: where to draw.
            left, top: upper left corner of the cells.
            rows: number of rows; a fraction leaves space between groups of rows.
            cells: the cells by row and column; others stay empty.
        """
        for number, name in enumerate(self.columns):
            lines = self._wrap(name)
            size = min(fit_font_size(line, self.cell_width - 1, self.font_size) for line in lines)
            place = (left + (number + 0.5) * self.cell_width, top - 1)
            weight = "bold" if name in self.bold else "normal"
            page.text(*place, "\n".join(lines), ha="center", va="bottom", size=size, linespacing=1.1, weight=weight)
        axes = page.axes(left, top, self.cell_width * len(self.columns), self.row_height * rows)
        axes.set(xlim=(0, len(self.columns)), ylim=(rows, 0))
        axes.set_axis_off()
        for (row, column), cell in cells.items():
            draw_heat_cell(axes, column, row, cell.text, cell.fill, cell.lines, self.cell_width)
        # After all cells, so that no neighbour covers an outline.
        for (row, column), cell in cells.items():
            if cell.outlined:
                corner = (column + 0.02, row + 0.02)
                axes.add_patch(Rectangle(corner, 0.96, 0.96, fill=False, edgecolor=INK, linewidth=1.2))
