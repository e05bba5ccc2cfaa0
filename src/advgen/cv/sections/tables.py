"""Custom sections of type `table`."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from advgen.cv.fields import Text
from advgen.cv.sections.base import Body, CustomSection, Section, SectionType


class Table(CustomSection):
    """Rows of cells, below a heading for each column if there is any."""

    columns: list[Text] = []
    rows: Annotated[list[Annotated[list[Text], Field(min_length=1)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _check_width(self) -> Self:
        width = len(self.columns or self.rows[0])
        for index, row in enumerate(self.rows):
            if len(row) != width:
                raise ValueError(f"has {len(row)} cells in row {index + 1}, not {width}; write as many in every row")
        return self


def build(section: Section) -> Body:
    """Return the headings of the columns and the cells of each row."""
    table: Table = section.content
    columns = [section.text(text, "columns", index) for index, text in enumerate(table.columns)]
    cells = [
        [section.text(text, "rows", number, index) for index, text in enumerate(row)]
        for number, row in enumerate(table.rows)
    ]
    return {"kind": "table", "columns": columns, "cells": cells}


TABLE = SectionType("table", build=build, model=Table)
