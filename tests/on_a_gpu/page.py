"""What `make gpu-test` found, as a section of docs/gpu.md."""

import re
from collections.abc import Sequence
from typing import NamedTuple

HEADING = "## Measured on a GPU"


class Row(NamedTuple):
    """One line of the table; `passed` is None for what was measured or not tried, and not judged."""

    what: str
    found: str
    passed: bool | None = None


def section(rows: Sequence[Row], device: str, versions: str) -> str:
    """The section with its table."""
    judged = {True: "yes", False: "**no**", None: ""}
    lines = [f"| {row.what} | {row.found} | {judged[row.passed]} |" for row in rows]
    return "\n".join(
        [
            HEADING,
            "",
            f"By `make gpu-test`, on {device}, {versions}.",
            "",
            "| what | found | as it should be |",
            "|---|---|---|",
            *lines,
            "",
        ]
    )


def with_section(page: str, text: str) -> str:
    """The page with this section in the place of the one that it had, or at its end."""
    start = page.find(f"{HEADING}\n")
    if start < 0:
        return f"{page.rstrip()}\n\n{text}"
    after = re.search(r"^## ", page[start + len(HEADING) :], flags=re.MULTILINE)
    rest = page[start + len(HEADING) + after.start() :] if after else ""
    return page[:start] + text + (f"\n{rest}" if rest else "")
