"""`advgen diff`: which numbers of two runs differ, and which by more than their intervals."""

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from advgen.core import catalog  # noqa: F401  (fills TABLES)
from advgen.core.schema import TABLES
from advgen.files.provenance import Stamp, write_bytes
from advgen.io.stamps import read_stamp
from advgen.io.tables import read_table, table_kind
from advgen.report.page import Section, Table, cell, head, interval, render

Row = dict[str, Any]


class Moved(NamedTuple):
    """One number in both runs, with its interval where it has one."""

    table: str
    row: str
    column: str
    before: float
    after: float
    intervals: tuple[tuple[float, float], tuple[float, float]] | None

    @property
    def verdict(self) -> str:
        """Where the intervals tell, each number is compared with that of the other run."""
        if self.before == self.after or (math.isnan(self.before) and math.isnan(self.after)):
            return "equal"
        if self.intervals is None:
            return "moved, no interval"
        (low, high), (other_low, other_high) = self.intervals
        inside = low <= self.after <= high or other_low <= self.before <= other_high
        return "moved inside" if inside else "moved beyond"


VERDICTS = ("equal", "moved inside", "moved beyond", "moved, no interval")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen diff`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Compare the tables of two runs, row by row and number by number. A number has moved beyond its interval if\n"
        "each run's value lies outside the other's interval. Intervals are those that stand in the tables, mostly\n"
        "over images: another seed, machine or version may well move a number beyond them."
    )
    parser.add_argument("--page", type=Path, metavar="HTML", help="write all that moved as a page, too, with search")
    parser.epilog = "  python -m advgen diff results ../other/results"
    parser.add_argument("before", type=Path, metavar="RESULTS", help="results folder of one run")
    parser.add_argument("after", type=Path, metavar="OTHER", help="results folder of the other")


def run(arguments: argparse.Namespace) -> None:
    """Print what each run was made on, how many numbers of each table moved, and each that moved beyond."""
    folders = [arguments.before, arguments.after]
    tables = [{path.stem: path for path in sorted((folder / "tables").glob("*.parquet"))} for folder in folders]
    for folder, found in zip(folders, tables, strict=True):
        if not found:
            raise ValueError(f"{folder}: no tables/*.parquet in it; name the results folder of a finished run")
        print(f"{folder}: made on {', '.join(sorted(devices(folder))) or 'an unknown device'}")
    names = [name for name in tables[0] if name in tables[1]]
    moved = [number for name in names for number in compared(name, tables[0][name], tables[1][name])]
    counts = Counter((one.table, one.verdict) for one in moved)
    print(f"\n{'table':<16}", *(f"{verdict:>18}" for verdict in VERDICTS))
    for name in [name for name in names if any(one.table == name for one in moved)]:
        print(f"{name:<16}", *(f"{counts[name, verdict]:>18}" for verdict in VERDICTS))
    totals = Counter(one.verdict for one in moved)
    print(f"{'all':<16}", *(f"{totals[verdict]:>18}" for verdict in VERDICTS))
    for verdict in VERDICTS[2:]:
        some = sorted((one for one in moved if one.verdict == verdict), key=lambda one: -_share(one))
        print("", verdict, *(f"  {_line(one)}" for one in some[:20]), sep="\n") if some else None
        if len(some) > 20:
            print(f"  and {len(some) - 20} more")
    single = [f"the table {name}" for name in sorted(set(tables[0]) ^ set(tables[1]))]
    single += [row for name in names for row in one_run_only(name, tables[0][name], tables[1][name])]
    print("", "in one run only", *(f"  {one}" for one in single[:20]), sep="\n") if single else None
    if len(single) > 20:
        print(f"  and {len(single) - 20} more")
    asked = list(asked_otherwise(*folders))
    print("", "asked for otherwise", *(f"  {_asked(one)}" for one in asked[:20]), sep="\n") if asked else None
    if len(asked) > 20:
        print(f"  and {len(asked) - 20} more")
    if arguments.page is not None:
        title = f"{folders[0]} and {folders[1]}"
        write_bytes(arguments.page, page(title, moved, asked, single).encode())
        print(f"\n{arguments.page}: the same as a page")


def devices(folder: Path) -> set[str]:
    """What the models of a run were trained on."""
    stamps = [read_stamp(path) for path in folder.glob("*/*/*/*.safetensors")]
    return {stamp.device for stamp in stamps if stamp is not None}


class Asked(NamedTuple):
    """A key of one file's spec that has another value in each run."""

    file: str
    key: str
    before: str
    after: str


def asked_otherwise(before: Path, after: Path) -> Iterator[Asked]:
    """What the files that both runs have were asked for otherwise, models and experiments in order of their paths."""
    for path in sorted([*before.glob("*/*/**/*.parquet"), *before.glob("*/*/**/*.safetensors")]):
        name = path.relative_to(before)
        stamps = [read_stamp(folder / name) for folder in (before, after) if (folder / name).is_file()]
        if len(stamps) == 2 and None not in stamps:
            mine, others = (dict(_flat(stamp.spec)) for stamp in stamps if stamp is not None)
            for key in sorted(mine.keys() | others.keys()):
                values = (mine.get(key, "–"), others.get(key, "–"))
                if values[0] != values[1]:
                    yield Asked(str(name), key, *values)


def _flat(spec: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(spec, dict) and spec:
        for name, value in spec.items():
            yield from _flat(value, f"{key}.{name}" if key else name)
    else:
        yield key, json.dumps(spec)


def page(title: str, moved: Sequence[Moved], asked: Sequence[Asked], single: Sequence[str]) -> str:
    """All that differs, as tables to sort, search and filter."""
    kept = sorted((one for one in moved if one.verdict != "equal"), key=lambda one: -_share(one))
    rows: list[dict[str, Any]] = [
        {"table": one.table, "row": one.row, "number": head(one.column), "verdict": one.verdict}
        | {"before": one.before, "after": one.after}
        | {
            f"{run}_{end}": value
            for run, pair in zip(("before", "after"), one.intervals or ((None, None), (None, None)), strict=True)
            for end, value in zip(("low", "high"), pair, strict=True)
        }
        for one in kept
    ]
    counts = Counter(one.verdict for one in moved)
    words = "; ".join(f"{counts[verdict]:,} {verdict}" for verdict in VERDICTS)
    alone = [{"what": one} for one in single]
    names = list(Asked._fields)
    shown = [
        Table("Numbers", pa.Table.from_pylist(rows), measured=names) if rows else None,
        Table("In one run only", pa.Table.from_pylist(alone)) if alone else None,
        Table("Specs", pa.Table.from_pylist([one._asdict() for one in asked]), measured=names) if asked else None,
    ]
    heads = ("Numbers that moved", "In one run only", "What was asked for otherwise")
    titles = zip(heads, (f"{words}.", "", ""), shown, strict=True)
    sections = [Section(one, "Table", text, tables=[table] if table else []) for one, text, table in titles]
    stamp = Stamp("advgen diff", {}, "").token()
    return render(title, sections, stamp, back="python -m advgen trace FILE")


def compared(name: str, before: Path, after: Path) -> Iterator[Moved]:
    """The measured numbers of the rows that are in both tables of a kind; none if it is no table of a report."""
    mine, others = (read_table(path, images=False) for path in (before, after))
    kind = TABLES[table_kind(mine)]
    if table_kind(others) != table_kind(mine) or not kind.measured:
        return
    rows = {tuple(row[key] for key in kind.key): row for row in others.to_pylist()}
    for row in mine.to_pylist():
        key = tuple(row[key] for key in kind.key)
        other = rows.get(key, {})
        for column in kind.measured:
            value, its = row.get(column), other.get(column)
            if isinstance(value, (int, float)) and isinstance(its, (int, float)):
                intervals = _intervals(column, row, other)
                yield Moved(name, " ".join(map(cell, key)), column, float(value), float(its), intervals)


def one_run_only(name: str, before: Path, after: Path) -> Iterator[str]:
    """The rows of a table that the other run's has not, in words."""
    tables = [read_table(path, images=False) for path in (before, after)]
    kind = TABLES[table_kind(tables[0])]
    if table_kind(tables[1]) == table_kind(tables[0]) and kind.measured:
        first, second = ({tuple(row[key] for key in kind.key) for row in table.to_pylist()} for table in tables)
        for alone, which in ((first - second, "the first"), (second - first, "the second")):
            yield from sorted(f"{name}: {' '.join(map(cell, key))}, in {which}" for key in alone)


def _intervals(column: str, *rows: Row) -> Any:
    ends = interval(column)
    found = tuple(tuple(row.get(end) for end in ends) for row in rows)
    return found if all(end is not None for pair in found for end in pair) else None


def _share(one: Moved) -> float:
    return abs(one.after - one.before) / max(abs(one.before), abs(one.after), 1e-12)


def _asked(one: Asked) -> str:
    return f"{one.file}: {one.key}: {one.before} -> {one.after}"


def _line(one: Moved) -> str:
    shown = [cell(value) for value in (one.before, one.after)]
    if one.intervals:
        shown = [f"{text} [{cell(low)}, {cell(high)}]" for text, (low, high) in zip(shown, one.intervals, strict=True)]
    return f"{one.table}: {one.row}, {head(one.column)}: {' -> '.join(shown)}"
