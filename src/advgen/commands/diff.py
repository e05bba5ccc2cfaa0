"""`advgen diff`: which numbers of two runs differ, and which by more than their intervals."""

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from advgen.core import catalog  # noqa: F401  (fills TABLES)
from advgen.core.schema import TABLES
from advgen.files.provenance import Stamp, write_bytes
from advgen.io.stamps import read_stamp
from advgen.io.tables import read_table, table_kind
from advgen.report.page import Section, Table, format_cell, format_head, interval_columns, render

Row = dict[str, Any]
VERDICTS = ("equal", "inside its interval", "beyond its interval", "no interval")
MOST_LINES = 20  # lines of each list on the terminal; the page has all


class NumberChange(NamedTuple):
    """One number in both runs, with its intervals if it has any."""

    table: str
    row: str
    column: str
    before: float
    after: float
    intervals: tuple[tuple[float, float], tuple[float, float]] | None

    @property
    def verdict(self) -> str:
        """One of VERDICTS. A number is inside if either run's value is in the interval of the other run."""
        if self.before == self.after or (math.isnan(self.before) and math.isnan(self.after)):
            return "equal"
        if self.intervals is None:
            return "no interval"
        (low, high), (other_low, other_high) = self.intervals
        inside = low <= self.after <= high or other_low <= self.before <= other_high
        return "inside its interval" if inside else "beyond its interval"

    @property
    def relative_size(self) -> float:
        """The size of the change as a share of the larger number."""
        return abs(self.after - self.before) / max(abs(self.before), abs(self.after), 1e-12)

    def __str__(self) -> str:
        texts = [format_cell(value) for value in (self.before, self.after)]
        for place, (low, high) in enumerate(self.intervals or ()):
            texts[place] += f" [{format_cell(low)}, {format_cell(high)}]"
        return f"{self.table}: {self.row}, {format_head(self.column)}: {' -> '.join(texts)}"


class SpecChange(NamedTuple):
    """A key of one file's spec that differs between the runs."""

    file: str
    key: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.before} -> {self.after}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen diff`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Compare the tables of two runs, row by row and number by number. A number differs beyond its interval if the\n"
        "value of each run is outside the interval of the other run. Most intervals in the tables are over images, so\n"
        "another seed, machine or version can move a number beyond them."
    )
    parser.add_argument("--page", type=Path, metavar="HTML", help="also write all differences as a searchable page")
    parser.epilog = "  python -m advgen diff results ../other/results"
    parser.add_argument("before", type=Path, metavar="RESULTS", help="results folder of one run")
    parser.add_argument("after", type=Path, metavar="OTHER", help="results folder of the other run")


def run(arguments: argparse.Namespace) -> None:
    """Print the device of each run, the number of differences per table, and the largest differences."""
    folders = [arguments.before, arguments.after]
    tables = [{path.stem: path for path in sorted((folder / "tables").glob("*.parquet"))} for folder in folders]
    for folder, found in zip(folders, tables, strict=True):
        if not found:
            raise ValueError(f"{folder}: has no tables/*.parquet; name the results folder of a finished run")
        stamps = [read_stamp(path) for path in folder.glob("*/*/*/*.safetensors")]
        devices = sorted({stamp.device for stamp in stamps if stamp is not None})
        print(f"{folder}: computed on {', '.join(devices) or 'an unknown device'}")
    names = [name for name in tables[0] if name in tables[1]]
    changes: list[NumberChange] = []
    unmatched = [f"the table {name}" for name in sorted(set(tables[0]) ^ set(tables[1]))]
    for name in names:
        compared, single = compare_tables(name, tables[0][name], tables[1][name])
        changes += compared
        unmatched += single
    _print_counts(names, changes)
    for verdict in VERDICTS[2:]:
        _print_list(verdict, _largest_first(change for change in changes if change.verdict == verdict))
    _print_list("in one run only", unmatched)
    specs = list(compare_specs(*folders))
    _print_list("different specs", specs)
    if arguments.page is not None:
        title = f"{folders[0]} and {folders[1]}"
        write_bytes(arguments.page, render_page(title, changes, specs, unmatched).encode())
        print(f"\n{arguments.page}: all differences as a page")


def _print_counts(names: Sequence[str], changes: Sequence[NumberChange]) -> None:
    counts = Counter((name, change.verdict) for change in changes for name in (change.table, "all"))
    print(f"\n{'table':<16}", *(f"{verdict:>20}" for verdict in VERDICTS))
    for name in (*names, "all"):
        if name == "all" or any(counts[name, verdict] for verdict in VERDICTS):
            print(f"{name:<16}", *(f"{counts[name, verdict]:>20}" for verdict in VERDICTS))


def _print_list(title: str, lines: Sequence[Any]) -> None:
    if lines:
        print("", title, *(f"  {line}" for line in lines[:MOST_LINES]), sep="\n")
    if len(lines) > MOST_LINES:
        print(f"  and {len(lines) - MOST_LINES} more")


def _largest_first(changes: Iterable[NumberChange]) -> list[NumberChange]:
    return sorted(changes, key=lambda change: -change.relative_size)


def compare_specs(before: Path, after: Path) -> Iterator[SpecChange]:
    """The differences between the specs of files that both runs have, in order of their paths."""
    for path in sorted([*before.glob("*/*/**/*.parquet"), *before.glob("*/*/**/*.safetensors")]):
        name = path.relative_to(before)
        stamps = [read_stamp(folder / name) for folder in (before, after) if (folder / name).is_file()]
        if len(stamps) == 2 and None not in stamps:
            first, second = (dict(_flatten(stamp.spec)) for stamp in stamps if stamp is not None)
            for key in sorted(first.keys() | second.keys()):
                values = (first.get(key, "–"), second.get(key, "–"))
                if values[0] != values[1]:
                    yield SpecChange(str(name), key, *values)


def _flatten(spec: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(spec, dict) and spec:
        for name, value in spec.items():
            yield from _flatten(value, f"{key}.{name}" if key else name)
    else:
        yield key, json.dumps(spec)


def render_page(
    title: str, changes: Sequence[NumberChange], specs: Sequence[SpecChange], unmatched: Sequence[str]
) -> str:
    """All differences as tables to sort, search and filter."""
    rows = []
    for change in _largest_first(change for change in changes if change.verdict != "equal"):
        (low, high), (other_low, other_high) = change.intervals or ((None, None), (None, None))
        rows.append(
            {"table": change.table, "row": change.row, "number": format_head(change.column), "verdict": change.verdict}
            | {"before": change.before, "after": change.after, "before_low": low, "before_high": high}
            | {"after_low": other_low, "after_high": other_high}
        )
    counts = Counter(change.verdict for change in changes)
    summary = "; ".join(f"{counts[verdict]:,} {verdict}" for verdict in VERDICTS)
    parts = (
        ("Different numbers", "Numbers", f"{summary}.", rows),
        ("In one run only", "In one run only", "", [{"what": one} for one in unmatched]),
        ("Different specs", "Specs", "", [change._asdict() for change in specs]),
    )
    sections = []
    for heading, name, text, part in parts:
        tables = [Table(name, pa.Table.from_pylist(part), measured=SpecChange._fields)] if part else []
        sections.append(Section(heading, "Table", text, tables=tables))
    return render(title, sections, Stamp("advgen diff", {}, "").token(), trace_command="python -m advgen trace FILE")


def compare_tables(name: str, before: Path, after: Path) -> tuple[list[NumberChange], list[str]]:
    """The measured numbers of the rows that both tables of a kind have, and the rows that only one has, as text.

    Both are empty if the kind is not part of a report.
    """
    tables = [read_table(path, images=False) for path in (before, after)]
    kind = TABLES[table_kind(tables[0])]
    if table_kind(tables[1]) != table_kind(tables[0]) or not kind.measured:
        return [], []
    first, second = ({tuple(row[key] for key in kind.key): row for row in table.to_pylist()} for table in tables)
    changes, unmatched = [], []
    for key, row in first.items():
        other = second.get(key, {})
        for column in kind.measured:
            value, other_value = row.get(column), other.get(column)
            if isinstance(value, int | float) and isinstance(other_value, int | float):
                intervals, words = _intervals(column, row, other), " ".join(map(format_cell, key))
                changes.append(NumberChange(name, words, column, float(value), float(other_value), intervals))
    for keys, which in ((first.keys() - second, "the first"), (second.keys() - first, "the second")):
        unmatched += sorted(f"{name}: {' '.join(map(format_cell, key))}, in {which}" for key in keys)
    return changes, unmatched


def _intervals(column: str, *rows: Row) -> Any:
    ends = interval_columns(column)
    found = tuple(tuple(row.get(end) for end in ends) for row in rows)
    return found if all(end is not None for pair in found for end in pair) else None
