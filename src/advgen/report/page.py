"""The report page: one self-contained HTML file with all figures, captions, tables and the checks. Torch-free."""

import base64
import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from docutils.core import publish_doctree, publish_parts
from docutils.utils import SystemMessage
from markupsafe import Markup

TEMPLATES = Path(__file__).parent
PNG = b"\x89PNG\r\n\x1a\n"
STATUSES = ("failed", "warning", "passed")
LINKING = {"on", "seed", "against", "with", "behind", "in", "of", "and", "+"}
"""What a check's subject is made of beside names and seeds."""

# A column with its interval in two more; the shorter the name, the later, so that `error` does not take `x_error`'s.
INTERVALS = {"mean": ("low", "high"), "estimate": ("low", "high")}
WORDS = {"linf": "L∞", "l2": "L2", "l0": "L0", "mse": "MSE", "ssim": "SSIM", "rms": "RMS"}
UNITS = {"bits": "(bits)", "db": "(dB)"}


@dataclass(frozen=True)
class Figure:
    """One figure: its name, its caption as reStructuredText, and its PNG file's bytes; None where it was not made.

    The rest is what its kind tells of it: what was found, in a sentence with its numbers, what was asked for and how it
    is made again, what it was made of (digests by path), its own colours for a dark page, images to look through, and
    the checks on what it shows; None where nothing was checked.
    """

    name: str
    caption: str
    png: bytes | None
    pdf: str | None = None
    dark: bytes | None = None
    title: str = ""
    sentence: str = ""
    rows: pa.Table | None = None
    asked: str = ""
    command: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    explorer: Mapping[str, Any] | None = None
    checks: Sequence[Mapping[str, Any]] | None = None

    @property
    def heading(self) -> str:
        """What it is about, else its name."""
        return self.title or self.name

    @property
    def status(self) -> str:
        """That of its worst check; "missing" where it was not made, "" where nothing was checked."""
        if self.png is None:
            return "missing"
        found = {status(check) for check in self.checks or ()}
        return next((name for name in STATUSES if name in found), "")

    @property
    def link(self) -> str:
        """Path of the PDF, relative to the report; "" where there is none."""
        return f"../figures/{self.name}.pdf" if self.pdf is None else self.pdf


@dataclass(frozen=True)
class Table:
    """One table: a heading, its rows, where its file lies, and the columns that must not be told once for all rows."""

    title: str
    rows: pa.Table
    source: str = ""
    measured: Sequence[str] = ()
    parquet: bytes | None = None
    """The file itself, to be taken from the page; else one of its rows."""


@dataclass(frozen=True)
class Section:
    """Figures and tables on one subject; sections of the same group stand under one heading."""

    group: str
    title: str
    text: str = ""
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()


def render(
    title: str,
    sections: Sequence[Section],
    stamp: str,
    checks: pa.Table | None = None,
    provenance: Mapping[str, str] | None = None,
    back: str = "python -m advgen trace results/report/index.html",
) -> str:
    """The whole page as HTML.

    Args:
        title: heading of the page.
        sections: in order; groups come in the order of their first section.
        stamp: token of the page's stamp, `advgen:…`.
        checks: the table of checks, or None where none were checked.
        provenance: further facts for the footer, e.g. versions.
        back: the command that follows the page back to what it was made from.

    Raises:
        ValueError: a caption is not valid reStructuredText, or a picture is no PNG.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        rst=rst_html, alt=alt_text, slug=slug, picture=picture, cells=cells, data=data_json, unbroken=unbroken
    )
    environment.filters.update(csv=csv_uri, parquet=parquet_uri, status=status, stem=lambda path: Path(path).stem)
    groups: dict[str, list[Section]] = {}
    for section in sections:
        groups.setdefault(section.group, []).append(section)
    found = {
        group: [figure for section in its for figure in section.figures]
        for group, its in groups.items()
        if any(section.figures for section in its)
    }
    return environment.get_template("report.html.j2").render(
        title=title,
        groups=groups,
        found=found if any(figure.sentence for figures in found.values() for figure in figures) else {},
        words=STATUS_WORDS,
        checks=check_groups(checks) if checks is not None else None,
        stamp=stamp,
        back=back,
        provenance=dict(provenance or {}),
        css=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        js=Markup((TEMPLATES / "report.js").read_text(encoding="utf-8")),
    )


# --- text ------------------------------------------------------------------------------------------------------------

# Captions come with the project, but a page that anyone opens should not read files or pass HTML through.
_RST = {
    "_disable_config": True,
    "doctitle_xform": False,
    "embed_stylesheet": False,
    "file_insertion_enabled": False,
    "halt_level": 2,
    "initial_header_level": 4,
    "raw_enabled": False,
    "report_level": 5,
    "syntax_highlight": "none",
}


def rst_html(text: str) -> Markup:
    """reStructuredText as HTML; ValueError if it is not valid."""
    try:
        return Markup(publish_parts(text, writer="html5", settings_overrides=_RST)["body"].strip())
    except SystemMessage as error:
        raise ValueError(f"caption is not valid reStructuredText: {error}: {text[:60]!r}") from None


def alt_text(text: str) -> str:
    """The first sentence of a text in reStructuredText, without markup."""
    try:
        plain = " ".join(publish_doctree(text, settings_overrides=_RST).astext().split())
    except SystemMessage as error:
        raise ValueError(f"caption is not valid reStructuredText: {error}: {text[:60]!r}") from None
    return re.split(r"(?<=[.:])\s", plain, maxsplit=1)[0]


def unbroken(text: str) -> str:
    """A text whose percent signs stay with their numbers."""
    return re.sub(r"(?<=\d) %", "\u00a0%", text)


def slug(text: str) -> str:
    """A text as the id of an element."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"


@dataclass(frozen=True)
class Picture:
    """A PNG inside the page."""

    uri: str
    width: int
    height: int


def picture(png: bytes) -> Picture:
    """A PNG file as a data URI with its size in pixels; ValueError if it is none."""
    if not png.startswith(PNG) or len(png) < 24:
        raise ValueError("a figure of the report is no PNG file; delete it and run again")
    width, height = struct.unpack(">II", png[16:24])
    return Picture("data:image/png;base64," + base64.b64encode(png).decode(), width, height)


# --- tables ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cells:
    """A table as text: heads with whether their columns are numbers, rows, and what is the same in all rows."""

    heads: list[tuple[str, bool]]
    rows: list[list[str]]
    same: list[tuple[str, str]]


def cells(table: pa.Table, measured: Sequence[str] = ()) -> Cells:
    """A table as people read it: intervals beside their estimates, and what is the same in all rows told once.

    `measured` columns stay columns, whatever they hold.
    """
    columns: dict[str, list[Any]] = {
        field.name: table.column(field.name).to_pylist()
        for field in table.schema
        if not (pa.types.is_fixed_size_binary(field.type) or pa.types.is_list(field.type))
    }
    intervals = {name: interval(name) for name in columns}
    intervals = {name: ends for name, ends in intervals.items() if all(end in columns for end in ends)}
    ends = {end for pair in intervals.values() for end in pair}
    shown: dict[str, list[str]] = {}
    numeric: dict[str, bool] = {}
    for name, values in columns.items():
        if name in ends:
            continue
        texts = [cell(value) for value in values]
        if name in intervals:
            low, high = (columns[end] for end in intervals[name])
            texts = [
                text if a is None or b is None else f"{text} [{cell(a)}, {cell(b)}]"
                for text, a, b in zip(texts, low, high, strict=True)
            ]
        shown[name] = texts
        numeric[name] = all(value is None or isinstance(value, (int, float)) for value in values)
    first = next(iter(shown), None)
    foldable = [name for name in shown if name != first and name not in measured]
    constant = [name for name in foldable if len(shown[name]) > 1 and len(set(shown[name])) == 1]
    kept = [name for name in shown if name not in constant]
    return Cells(
        heads=[(head(name), numeric[name]) for name in kept],
        rows=[list(row) for row in zip(*(shown[name] for name in kept), strict=True)],
        same=[(head(name), shown[name][0]) for name in constant],
    )


def interval(name: str) -> tuple[str, str]:
    """The columns that would hold the ends of a column's intervals."""
    return INTERVALS.get(name, (f"{name}_low", f"{name}_high"))


def cell(value: Any) -> str:
    """One value as text: three significant digits, thousands apart, long digests cut."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value == 0 or math.isinf(value):
            return f"{value:g}"
        digits = max(0, 2 - math.floor(math.log10(abs(value))))
        return f"{value:,.{digits}f}" if digits <= 6 and abs(value) < 1e9 else f"{value:.2e}"
    text = str(value)
    return text[:12] + "…" if re.fullmatch(r"[0-9a-f]{32,}", text) else text


def head(name: str) -> str:
    """A column's name as words."""
    words = [WORDS.get(word, UNITS.get(word, word)) for word in name.split("_")]
    return " ".join(words)


def csv_uri(table: pa.Table) -> str:
    """A table as a CSV file inside the page, with all digits."""
    flat = [name for name in table.column_names if not pa.types.is_nested(table.schema.field(name).type)]
    file = BytesIO()
    pyarrow.csv.write_csv(table.select(flat), file)
    return f"data:text/csv;base64,{base64.b64encode(file.getvalue()).decode()}"


def parquet_uri(table: pa.Table, content: bytes | None = None) -> str:
    """A table as a Parquet file inside the page: `content` if it is one already."""
    if content is None:
        file = BytesIO()
        pyarrow.parquet.write_table(table, file)
        content = file.getvalue()
    return f"data:application/vnd.apache.parquet;base64,{base64.b64encode(content).decode()}"


def data_json(value: Any) -> Markup:
    """A value as JSON that may stand in a script element."""
    return Markup(json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))


# --- checks ----------------------------------------------------------------------------------------------------------


STATUS_WORDS = {
    "failed": "check failed",
    "warning": "warning",
    "passed": "checks passed",
    "missing": "not made",
    "": "no check",
}


def concerning(checks: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Mapping[str, Any]]:
    """The checks whose subject is among what a figure shows: every model, attack and mask that it names."""
    shown = set(names)
    found = []
    for check in checks:
        words = {word for word in str(check["subject"]).split() if word not in LINKING and not word.isdecimal()}
        if words and words <= shown:
            found.append(check)
    return found


def status(check: Mapping[str, Any]) -> str:
    """One of STATUSES: a check that does not hold has failed, a warning that does not hold is given."""
    if check["holds"]:
        return "passed"
    return "warning" if check["kind"] == "warning" else "failed"


def check_groups(checks: pa.Table) -> dict[str, list[dict[str, Any]]]:
    """The checks by status, the worst first; every status is there."""
    groups: dict[str, list[dict[str, Any]]] = {name: [] for name in STATUSES}
    for check in checks.to_pylist():
        groups[status(check)].append(check)
    return groups
