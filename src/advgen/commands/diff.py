"""`advgen diff`: which numbers of two runs differ, and which by more than their intervals."""

import argparse
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from advgen.core import catalog  # noqa: F401  (fills TABLES)
from advgen.core.schema import TABLES
from advgen.io.stamps import read_stamp
from advgen.io.tables import read_table, table_kind
from advgen.report.page import cell, head, interval

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
    for name in sorted(set(tables[0]) ^ set(tables[1])):
        print(f"\n{name}: in one run only")


def devices(folder: Path) -> set[str]:
    """What the models of a run were trained on."""
    stamps = [read_stamp(path) for path in folder.glob("*/*/*/*.safetensors")]
    return {stamp.device for stamp in stamps if stamp is not None}


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


def _intervals(column: str, *rows: Row) -> Any:
    ends = interval(column)
    found = tuple(tuple(row.get(end) for end in ends) for row in rows)
    return found if all(end is not None for pair in found for end in pair) else None


def _share(one: Moved) -> float:
    return abs(one.after - one.before) / max(abs(one.before), abs(one.after), 1e-12)


def _line(one: Moved) -> str:
    shown = [cell(value) for value in (one.before, one.after)]
    if one.intervals:
        shown = [f"{text} [{cell(low)}, {cell(high)}]" for text, (low, high) in zip(shown, one.intervals, strict=True)]
    return f"{one.table}: {one.row}, {head(one.column)}: {' -> '.join(shown)}"
