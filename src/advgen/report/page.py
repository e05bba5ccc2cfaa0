"""Render the report: one self-contained HTML file with all figures, captions, tables and checks. Torch-free."""

import base64
import json
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
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
STATUS_TEXTS = {
    "failed": "check failed",
    "warning": "warning",
    "passed": "checks passed",
    "missing": "missing",
    "": "no check",
}
CONNECTIVES = {"on", "seed", "against", "with", "behind", "in", "of", "and", "+"}
"""Words in the subject of a check that are neither names nor seeds."""
INTERVALS = {"mean": ("low", "high"), "estimate": ("low", "high")}
"""Columns whose interval is not in NAME_low and NAME_high."""
WORDS = {"linf": "L∞", "l2": "L2", "l0": "L0", "mse": "MSE", "ssim": "SSIM", "rms": "RMS"}
UNITS = {"bits": "(bits)", "db": "(dB)"}


@dataclass(frozen=True)
class Figure:
    """One figure of the report.

    Attributes:
        name: its name in the study.
        caption: the caption as reStructuredText.
        png: content of the PNG file; None if the figure does not exist.
        pdf: path of the PDF relative to the report; None: in results/figures; "": there is none.
        dark: content of the PNG file for a dark page.
        title, sentence, rows: the finding and its numbers.
        definition: the part of the study that defines it, as YAML.
        command: the command that draws it.
        inputs: digests of the files it was drawn from, by path.
        explorer: images to browse, as JSON.
        checks: the sanity checks about its models, attacks and masks.
    """

    name: str
    caption: str
    png: bytes | None
    pdf: str | None = None
    dark: bytes | None = None
    title: str = ""
    sentence: str = ""
    rows: pa.Table | None = None
    definition: str = ""
    command: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    explorer: Mapping[str, Any] | None = None
    checks: Sequence[Mapping[str, Any]] | None = None

    @property
    def heading(self) -> str:
        """Title of the finding, or the name."""
        return self.title or self.name

    @property
    def status(self) -> str:
        """Status of the worst check; "missing" if the figure does not exist, "" without checks."""
        if self.png is None:
            return "missing"
        found = {check_status(check) for check in self.checks or ()}
        return next((name for name in STATUSES if name in found), "")

    @property
    def link(self) -> str:
        """Path of the PDF relative to the report; "" if there is none."""
        return f"../figures/{self.name}.pdf" if self.pdf is None else self.pdf


@dataclass(frozen=True)
class Table:
    """One table: its heading, rows and path, and the columns that stay columns if all rows have the same value."""

    title: str
    rows: pa.Table
    source: str = ""
    measured: Sequence[str] = ()
    parquet: bytes | None = None
    """Content of the file for download; None: the rows are written to a new file."""


@dataclass(frozen=True)
class Section:
    """Figures and tables on one subject; sections of a group share a heading."""

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
    trace_command: str = "python -m advgen trace results/report/index.html",
) -> str:
    """Return the page as HTML.

    Args:
        title: heading of the page.
        sections: in order; a group is placed where its first section is.
        stamp: token of the page's stamp, `advgen:…`.
        checks: the table of checks, if there is one.
        provenance: further facts for the footer, e.g. versions.
        trace_command: the command that lists what the page was made from.

    Raises:
        ValueError: a caption is not valid reStructuredText, or an image is not a PNG file.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        alt=first_sentence,
        bind=bind_units,
        cells=format_table,
        csv=embed_csv,
        data=embed_json,
        parquet=embed_parquet,
        picture=embed_png,
        rst=rst_to_html,
        slug=to_slug,
        status=check_status,
        stem=lambda path: Path(path).stem,
    )
    groups: dict[str, list[Section]] = {}
    for section in sections:
        groups.setdefault(section.group, []).append(section)
    findings = {
        group: figures
        for group, members in groups.items()
        if (figures := [figure for section in members for figure in section.figures])
    }
    return environment.get_template("report.html.j2").render(
        title=title,
        groups=groups,
        findings=findings if any(figure.sentence for figures in findings.values() for figure in figures) else {},
        status_texts=STATUS_TEXTS,
        checks=group_checks(checks) if checks is not None else None,
        stamp=stamp,
        trace_command=trace_command,
        provenance=dict(provenance or {}),
        css=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        js=Markup((TEMPLATES / "report.js").read_text(encoding="utf-8")),
    )


# --- text ------------------------------------------------------------------------------------------------------------

# A caption must not read files or insert HTML, because anyone may open the page.
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


def _parse_rst(publish: Callable[..., Any], text: str, **options: Any) -> Any:
    """Call a docutils function; raise ValueError if the text is not valid."""
    try:
        return publish(text, settings_overrides=_RST, **options)
    except SystemMessage as error:
        raise ValueError(f"caption is not valid reStructuredText: {error}: {text[:60]!r}") from None


def rst_to_html(text: str) -> Markup:
    """Convert reStructuredText to HTML; raises ValueError if it is not valid."""
    return Markup(_parse_rst(publish_parts, text, writer="html5")["body"].strip())


def first_sentence(text: str) -> str:
    """Return the first sentence of reStructuredText without markup; raises ValueError if the text is not valid."""
    plain = " ".join(_parse_rst(publish_doctree, text).astext().split())
    return re.split(r"(?<=[.:])\s", plain, maxsplit=1)[0]


def bind_units(text: str) -> str:
    """Replace the space before each percent sign by one that does not break."""
    return re.sub(r"(?<=\d) %", "\u00a0%", text)


def to_slug(text: str) -> str:
    """Convert a text to an id of an HTML element."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"


@dataclass(frozen=True)
class Picture:
    """A PNG file inside the page."""

    uri: str
    width: int
    height: int


def embed_png(png: bytes) -> Picture:
    """Return a PNG file as a data URI with its size in pixels; raises ValueError if it is not a PNG file."""
    if not png.startswith(PNG) or len(png) < 24:
        raise ValueError("a figure of the report is not a PNG file; delete it and run again")
    width, height = struct.unpack(">II", png[16:24])
    return Picture("data:image/png;base64," + base64.b64encode(png).decode(), width, height)


# --- tables ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cells:
    """A table as text: heads, and whether their columns are numbers; rows; and the columns that are constant."""

    heads: list[tuple[str, bool]]
    rows: list[list[str]]
    same: list[tuple[str, str]]


def format_table(table: pa.Table, measured: Sequence[str] = ()) -> Cells:
    """Write a table with intervals next to their estimates, and constant columns apart unless they are `measured`."""
    columns: dict[str, list[Any]] = {
        field.name: table.column(field.name).to_pylist()
        for field in table.schema
        if not (pa.types.is_fixed_size_binary(field.type) or pa.types.is_list(field.type))
    }
    intervals = {name: interval_columns(name) for name in columns}
    intervals = {name: ends for name, ends in intervals.items() if all(end in columns for end in ends)}
    ends = {end for pair in intervals.values() for end in pair}
    texts: dict[str, list[str]] = {}
    numeric: dict[str, bool] = {}
    for name, values in columns.items():
        if name in ends:
            continue
        texts[name] = [format_cell(value) for value in values]
        if name in intervals:
            low, high = (columns[end] for end in intervals[name])
            texts[name] = [
                text if a is None or b is None else f"{text} [{format_cell(a)}, {format_cell(b)}]"
                for text, a, b in zip(texts[name], low, high, strict=True)
            ]
        numeric[name] = all(value is None or isinstance(value, (int, float)) for value in values)
    first = next(iter(texts), None)
    constant = {
        name
        for name, column in texts.items()
        if name != first and name not in measured and len(column) > 1 and len(set(column)) == 1
    }
    varying = [name for name in texts if name not in constant]
    return Cells(
        heads=[(format_head(name), numeric[name]) for name in varying],
        rows=[list(row) for row in zip(*(texts[name] for name in varying), strict=True)],
        same=[(format_head(name), column[0]) for name, column in texts.items() if name in constant],
    )


def interval_columns(name: str) -> tuple[str, str]:
    """Return the names of the columns with the ends of a column's intervals, if it has any."""
    return INTERVALS.get(name, (f"{name}_low", f"{name}_high"))


def format_cell(value: Any) -> str:
    """Write one value: three significant digits, separators of thousands, long digests cut."""
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


def format_head(name: str) -> str:
    """Write the name of a column as words."""
    return " ".join(WORDS.get(word, UNITS.get(word, word)) for word in name.split("_"))


def embed_csv(table: pa.Table) -> str:
    """Return a table as a data URI of a CSV file with all digits."""
    flat = [name for name in table.column_names if not pa.types.is_nested(table.schema.field(name).type)]
    file = BytesIO()
    pyarrow.csv.write_csv(table.select(flat), file)
    return f"data:text/csv;base64,{base64.b64encode(file.getvalue()).decode()}"


def embed_parquet(table: pa.Table, content: bytes | None = None) -> str:
    """Return a table as a data URI of a Parquet file; `content` is the file if it exists."""
    if content is None:
        file = BytesIO()
        pyarrow.parquet.write_table(table, file)
        content = file.getvalue()
    return f"data:application/vnd.apache.parquet;base64,{base64.b64encode(content).decode()}"


def embed_json(value: Any) -> Markup:
    """Return a value as JSON that is safe in a script element."""
    return Markup(json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))


# --- checks ----------------------------------------------------------------------------------------------------------


def select_checks(checks: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return the checks whose subject consists of some of these names of models, attacks and masks."""
    found = []
    for check in checks:
        subject = {word for word in str(check["subject"]).split() if word not in CONNECTIVES and not word.isdecimal()}
        if subject and subject <= set(names):
            found.append(check)
    return found


def check_status(check: Mapping[str, Any]) -> str:
    """Return one of STATUSES; a check of the kind "warning" cannot fail."""
    if check["holds"]:
        return "passed"
    return "warning" if check["kind"] == "warning" else "failed"


def group_checks(checks: pa.Table) -> dict[str, list[dict[str, Any]]]:
    """Return the checks by status, the worst first; every status is a key."""
    groups: dict[str, list[dict[str, Any]]] = {name: [] for name in STATUSES}
    for check in checks.to_pylist():
        groups[check_status(check)].append(check)
    return groups
