"""`advgen docs`: the pages that are told by the code itself, and the numbers of results that are quoted."""

import argparse
import re
from pathlib import Path

from advgen.commands.reference import commands_page, tables_page
from advgen.core.provenance import write_bytes
from advgen.driver.pages import results_page, rules_page
from advgen.study.reference import reference, schema_text

RESULTS = Path("docs/results.md")
QUOTED = re.compile(r"[−+]?\d[\d.,]*(?:\u00a0%)?<!-- (?P<asked>.+?) -->")
"""A number and, hidden in what is shown of the page, the cell that it was taken from."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen docs`."""
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is out of date")


def run(arguments: argparse.Namespace) -> None:
    """Write or check all pages."""
    pages = {
        Path("config/README.md"): reference(),
        Path("config/config.schema.json"): schema_text(),
        Path("docs/rules.md"): rules_page(Path("config/smoke.yaml")),
        Path("results/README.md"): results_page(),
        Path("docs/reference/cli.md"): commands_page(),
        Path("docs/reference/tables.md"): tables_page(),
        RESULTS: with_numbers(RESULTS.read_text(encoding="utf-8"), RESULTS),
    }
    for path, text in pages.items():
        if not arguments.check:
            write_bytes(path, text.encode())
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise ValueError(f"{path} is out of date; run `python -m advgen docs`")


def with_numbers(text: str, page: Path) -> str:
    """A page with each quoted number taken again from the archived tables in the folder of its name.

    `25.0 %<!-- result('transfer', 'error', source='fc100') | .1% -->` is a live value as in a CV. ValueError, with file
    and line, for one that is none or that finds no cell.
    """
    from advgen.cv.cells import cell
    from advgen.cv.live_values import find

    def number(quoted: re.Match[str]) -> str:
        line = 1 + text.count("\n", 0, quoted.start())
        [live] = find(f"{{{{ {quoted['asked']} }}}}", line, str(page))
        table = page.with_suffix("") / f"{live.table}.parquet"
        if not table.is_file():
            raise ValueError(
                f"{page}:{line}: there is no {table}; copy it from results/tables of the run that is quoted"
            )
        try:
            shown = live.show(cell(live, table)).replace("-", "−").replace("%", "\u00a0%")
        except ValueError as error:
            raise ValueError(f"{page}:{line}: {error}") from None
        return f"{shown}<!-- {quoted['asked']} -->"

    return QUOTED.sub(number, text)
