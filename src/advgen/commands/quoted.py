"""Live values of pages: numbers of archived tables, published ones and those of a study, with what they show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from advgen.cv.cells import read_cell, select_rows
from advgen.cv.live_values import LiveValue, find_live_values
from advgen.io.tables import read_table
from advgen.metrics.intervals import joined, wilson
from advgen.metrics.published import PUBLISHED, VALUES

QUOTED = re.compile(r"\{\{\s*(?P<what>\w+)(?P<asked>\(.*?)\}\}")
STUDY = Path("config/evening.yaml")
UNIT = "\u00a0%"
SHARES = {
    *("accuracy", "clean_accuracy", "error", "clean_error", "error_unaimed", "certified_accuracy"),
    *("agreement", "ends_kept", "class_kept", "class_kept_real", "third_class", "third_class_blend"),
    *("precision", "recall"),
}
"""Columns that are shares of a row's n images, samples or pairs."""
OF_RIGHT = {"success", "success_rounded", "success_unaimed", "success_target", "success_target_unaimed"}
"""Columns that are shares of those of a row's n images that are right without an attack."""
Shown = tuple[float, float, float]


def with_numbers(text: str, page: Path, study: Path = STUDY) -> str:
    """A page whose live values are numbers of the archived tables beside it.

    `{{ result('transfer', 'error', source='fc100') | .1% }}` is a live value as in a CV. Others ask alike:

    - `interval(…)`: the same with its interval, that of the table or, of a share that has none there, Wilson's;
    - `seeds(…)`: the mean over rows of several seeds, with an interval over seeds and images (`over_seeds`);
    - `difference(…, minus='another column')`: what the paired differences of two columns show, over seeds alone; with
      `of='another name'` that column is another net's of the same seeds;
    - `portion(…, of='another name')`: a share's own share of its sum with another net's of the same seeds, over seeds
      and images (decisions by shape among those by shape or by texture);
    - `each(…)`: the numbers of all rows, or of a list in one, in the table's order;
    - `effect(…)`: of a comparison's arm or a check, with its interval and `verdict(…)`, which stands alone too: higher,
      lower, not told apart, or that an arm at chance is not compared;
    - `answer(…)`: the same as words for a sentence, with n and the number of seeds;
    - `arms('comparisons', 'effect', comparison=…)`: all arms of a comparison, its n and its seeds;
    - `size(…)`: n and the number of seeds of some rows;
    - `failing('sanity_checks', 'subject', check=…, subject=…)`: of how many subjects a check does not hold;
    - `published('values', 'value', what=…)` or `published('szegedy2014-table-2', 'error', row=…, column=…)`: a number
      that was published, with ~ if it was not verified. Where several are called alike, `after=` names the one before;
    - `beside('between-nets', 'error', figure=…, attack=…)`: ours beside a published table, as in that figure;
    - `setting('gans.dcgan.training.epochs')`: a number of the study.

    What selects several rows may have ? and * in its names, as those of files: `source='decides-?'`.
    ValueError, with file and line, for one that is none or that finds no cell.
    """

    def number(quoted: re.Match[str]) -> str:
        line = 1 + text.count("\n", 0, quoted.start())
        try:
            what = quoted["what"]
            if what == "setting":
                return setting(quoted["asked"], study)
            if what not in {*WAYS, "published", "beside"}:
                raise ValueError(f"no live value is called {what!r}; there are {', '.join(WAYS)} and others")
            [live] = find_live_values(f"{{{{ result{quoted['asked']}}}}}", line)
            if what == "published":
                return published(live)
            table = page.parent / f"{live.table}.parquet"
            if not table.is_file():
                raise ValueError(f"there is no {table}; copy it from results/tables of the run that is quoted")
            return beside(live, table, study) if what == "beside" else WAYS[what](live, table)
        except ValueError as error:
            raise ValueError(f"{page}:{line}: {str(error).removeprefix(f':{line}: ')}") from None

    return QUOTED.sub(number, text)


def told(live: LiveValue, numbers: Iterable[object]) -> str:
    """A number, with its interval if there is one: 25.0 % [21.4, 29.0]."""
    middle, *ends = (_shown(live, one) for one in numbers)
    return f"{middle} [{', '.join(end.removesuffix(UNIT) for end in ends)}]" if ends else middle


def _shown(live: LiveValue, number: object) -> str:
    text = live.format_value(number).replace("-", "−").replace("%", UNIT)
    return re.sub(r"[−+](?=0[.0]*\D*$)", "", text)  # nothing rounded has no sign


def result(live: LiveValue, path: Path) -> str:
    """One cell."""
    return told(live, [read_cell(live, path)])


def interval(live: LiveValue, path: Path) -> str:
    """One cell and its interval; of an effect, words where its arm is at chance."""
    return _at_chance(live, path) or told(live, _interval(live, path))


def _interval(live: LiveValue, path: Path) -> Shown:
    """A cell with its own interval, or the one of its table, or Wilson's of a share."""
    middle: Any = read_cell(live, path)
    rows = select_rows(live, path)
    if not (ends := _ends(live, rows)) and live.column in SHARES | OF_RIGHT:
        return middle, *_wilson(middle, _images(live, rows))
    low, high = (read_cell(replace(live, column=end), path) for end in ends or ["low", "high"])
    return middle, low, high  # type: ignore[return-value]


def _ends(live: LiveValue, rows: pa.Table) -> list[str]:
    """The columns of a column's interval: its own, or those of the table where it has one alone."""
    pairs = ([f"{live.column}_{end}" for end in ("low", "high")], ["low", "high"])
    return next((pair for pair in pairs if {*pair} <= {*rows.column_names}), [])


def _images(live: LiveValue, rows: pa.Table) -> int:
    """How many images a share is of: the fewest of some rows."""
    n_N = rows["n"].to_numpy()
    return round(min(n_N * rows["clean_accuracy"].to_numpy() if live.column in OF_RIGHT else n_N))


def _wilson(share: float, n: int) -> tuple[float, float]:
    return wilson(round(share * n), n)


def _at_chance(live: LiveValue, path: Path) -> str:
    """Why an arm's effect is not told, in the words of the figure, where it or its baseline has runs at chance."""
    table = read_table(path)
    if live.column != "effect" or "at_chance" not in table.column_names:
        return ""
    [row] = select_rows(live, path).to_pylist()
    baseline = [
        one
        for one in table.to_pylist()
        if one["comparison"] == row["comparison"] and one["arm"] == one["baseline"] and one["at_chance"]
    ]
    if row["at_chance"]:
        some = "" if row["at_chance"] == row["seeds"] else f"{row['at_chance']} of {row['seeds']} runs "
        return f"{some}at chance, not compared"
    return "the baseline is at chance, not compared" if baseline else ""


def verdict(live: LiveValue, path: Path) -> str:
    """What an effect and its interval show."""
    if _at_chance(live, path):
        return "at chance, not compared"
    effect, low, high = _interval(live, path)
    if None in (effect, low, high):
        raise ValueError("that is no effect, but a baseline's; name another arm")
    return _verdict(effect, low, high)


def _verdict(effect: float, low: float, high: float) -> str:
    if low <= 0 <= high:
        return "not told apart"
    return "higher" if effect > 0 else "lower"


def effect(live: LiveValue, path: Path) -> str:
    """An effect, its interval and what it shows."""
    return _at_chance(live, path) or f"{interval(live, path)}: {verdict(live, path)}"


def answer(live: LiveValue, path: Path) -> str:
    """What an effect shows, and in brackets the effect, its interval, n and the number of seeds."""
    effect = [] if _at_chance(live, path) else [interval(live, path)]
    return f"{_at_chance(live, path) or verdict(live, path)} ({'; '.join([*effect, size(live, path)])})"


def difference(live: LiveValue, path: Path) -> str:
    """What the paired differences of two columns show, over the seeds of all nets that they are of."""
    one, (minus, of) = _without(live, "minus", "of")
    pairs = _pairs(one, of, path)
    for column in (live.column, minus):
        if column not in next(iter(pairs.values()))[0]:
            raise ValueError(f"table {live.table!r} has no column {column!r}")
    apart = np.array([float(mine[live.column]) - float(theirs[minus]) for mine, theirs in pairs.values()])
    mean, low, high = joined(float(apart.mean()), _of_seeds(apart, [*pairs]), (0.0, 0.0))
    return f"{_verdict(mean, low, high)} ({told(live, (mean, low, high))}; {size(one, path)})"


def _without(live: LiveValue, *keys: str) -> tuple[LiveValue, list[str]]:
    """A live value without some of what it asks for, and these."""
    asked = {column: str(value) for column, value in live.where}
    kept = tuple(pair for pair in live.where if pair[0] not in keys)
    return replace(live, where=kept), [asked.get(key, "") for key in keys]


def _pairs(live: LiveValue, of: str, path: Path) -> dict[tuple[int, ...], tuple[dict[str, Any], dict[str, Any]]]:
    """The rows of a net and of another one, `of`, if there is one, by their seeds.

    A net's name is the first of the table's columns that is asked for.
    """
    columns, asked = read_table(path).column_names, dict(live.where)
    name = min((column for column in asked if column in columns), key=columns.index, default="")
    other = replace(live, where=tuple({**asked, name: of}.items())) if of else live
    mine, theirs = (
        dict(zip(_seeds(rows), rows.to_pylist(), strict=True))
        for rows in (_of_others(_several(live, path)), _of_others(_several(other, path)))
    )
    if not mine or mine.keys() != theirs.keys():
        raise ValueError(f"{len(mine)} and {len(theirs)} rows of {live.table!r}; name two with the same seeds")
    return {seeds: (row, theirs[seeds]) for seeds, row in mine.items()}


def portion(live: LiveValue, path: Path) -> str:
    """A share's own share of its sum with that of another net of the same seeds, over seeds and images."""
    one, [of] = _without(live, "of")
    if not of:
        raise ValueError("a portion is of a sum of two; name the other with of=, as source='one', of='two'")
    pairs = _pairs(one, of, path)
    pairs_R2 = np.array([[row[live.column] for row in pair] for pair in pairs.values()])
    if not pairs_R2.sum(1).all():
        raise ValueError(f"with one of its seeds neither it nor {of!r} has any, so there is nothing to share")
    shares_R = pairs_R2[:, 0] / pairs_R2.sum(1)
    mean, fewest = float(shares_R.mean()), min(mine["n"] for mine, _ in pairs.values())
    low, high = _wilson(mean, round(fewest * float(pairs_R2.sum(1).mean())))
    return told(live, joined(mean, _of_seeds(shares_R, [*pairs]), (mean - low, high - mean), True))


def arms(live: LiveValue, path: Path) -> str:
    """All arms of a comparison, the baseline first, as lines of a table's cell."""
    rows = select_rows(live, path).to_pylist()
    if not rows or len({row["comparison"] for row in rows}) > 1:
        raise ValueError(f"{len(rows)} rows of {live.table!r} are no comparison; name one")
    rows.sort(key=lambda row: (row["arm"] != row["baseline"], in_order(row["arm"])))
    lines = []
    for row in rows:
        one = replace(live, where=(("arm", row["arm"]), ("comparison", row["comparison"])))
        mean = replace(one, column="mean", format=live.format.lstrip("+"))
        if row["arm"] == row["baseline"]:
            lines.append(f"{row['arm']} {interval(mean, path)}")
        else:
            lines.append(f"{row['arm']} {result(mean, path)}, {effect(one, path)}")
    return "<br>".join([*lines, size(live, path)])


def in_order(name: str) -> list[tuple[int, str]]:
    """Names with numbers in the order of these."""
    return [(int(part), "") if part.isdigit() else (10**9, part) for part in re.split(r"(\d+)", name) if part]


def size(live: LiveValue, path: Path) -> str:
    """n, where it is more than one, and the number of seeds of some rows.

    What is measured on samples has the number of those for n, which is the study's and the same in all rows.
    """
    rows = _several(live, path)
    ns = [1] if live.column.startswith("frechet_distance") else sorted(set(rows["n"].to_pylist()))
    told = [f"n = {' to '.join(f'{n:,}' for n in dict.fromkeys((ns[0], ns[-1])))}"] if ns[-1] > 1 else []
    # of a transfer each side has as many nets
    each_side = {max(map(len, map(set, zip(*_seeds(rows), strict=True))), default=0)} - {0}
    runs = set(rows["seeds"].to_pylist()) if "seeds" in rows.column_names else each_side
    many = [" to ".join(str(one) for one in dict.fromkeys((min(runs), max(runs)))) if runs else ""]
    return ", ".join([*told, *(f"{one} {'seed' if one == '1' else 'seeds'}" for one in many if one)])


def each(live: LiveValue, path: Path) -> str:
    """All numbers of some rows."""
    cells = _several(live, path)[live.column].to_pylist()
    numbers = [one for many in cells for one in (many if isinstance(many, list) else [many])]
    if not numbers:
        raise ValueError(f"0 rows of {live.table!r} have that")
    *first, last = (_shown(live, one) for one in numbers)
    return ", ".join([*(one.removesuffix(UNIT) for one in first), last])


def failing(live: LiveValue, path: Path) -> str:
    """Of how many subjects a check does not hold, and how many there are."""
    holds = _several(live, path)["holds"].to_pylist()
    if not holds:
        raise ValueError(f"0 rows of {live.table!r} have that")
    return f"{holds.count(False)} of {len(holds)}"


def _several(live: LiveValue, path: Path) -> pa.Table:
    """The rows that are selected, where ? and * in a name stand for others."""
    patterns = [(column, value) for column, value in live.where if isinstance(value, str) and re.search(r"[?*]", value)]
    rows = select_rows(replace(live, where=tuple({*live.where} - {*patterns})), path)
    for column, pattern in patterns:
        if column not in rows.column_names:
            raise ValueError(f"table {live.table!r} has no column {column!r}")
        rows = rows.filter(pa.array([fnmatchcase(str(one), pattern) for one in rows[column].to_pylist()], pa.bool_()))
    return rows


def seeds(live: LiveValue, path: Path) -> str:
    """The mean over the rows of several seeds."""
    return told(live, over_seeds(live, path))


def over_seeds(live: LiveValue, path: Path) -> Shown:
    """Mean of a table's rows, one for each seed or pair of seeds, and a 95 % interval for new seeds and new images.

    In a transfer a net's examples are not shown to itself, but to the same net of other seeds.
    """
    rows = _of_others(_several(live, path))
    if len(rows) < 2 or len(set(_seeds(rows))) < len(rows):
        given = ", ".join(f"{column}={value!r}" for column, value in live.where)
        raise ValueError(f"{len(rows)} rows of {live.table!r} have {given}; name one for each of several seeds")
    return _over_seeds(live, rows)


def _of_others(rows: pa.Table) -> pa.Table:
    """Without the rows in which a net is shown its own examples."""
    names = ("source", "source_seed", "target", "target_seed")
    if not {*names} <= {*rows.column_names}:
        return rows
    nets = zip(*(rows[name].to_pylist() for name in names), strict=True)
    return rows.filter(pa.array([one[:2] != one[2:] for one in nets], pa.bool_()))


def _seeds(rows: pa.Table) -> list[tuple[int, ...]]:
    """The seeds of each row: of its net, or of its source and its target."""
    names = [name for name in rows.column_names if name == "seed" or name.endswith("_seed")]
    return list(zip(*(rows[name].to_pylist() for name in names), strict=True))


def _over_seeds(live: LiveValue, rows: pa.Table) -> Shown:
    values_N = rows[live.column].to_numpy().astype(float)
    mean, images = float(values_N.mean()), (0.0, 0.0)
    if ends := _ends(live, rows):
        low, high = (float(rows[end].to_numpy().mean()) for end in ends)
        images = mean - low, high - mean
    elif live.column in SHARES | OF_RIGHT:
        low, high = _wilson(mean, _images(live, rows))
        images = mean - low, high - mean
    return joined(mean, _of_seeds(values_N, _seeds(rows)), images, live.column in SHARES | OF_RIGHT)


def _of_seeds(values_N: np.ndarray[Any, np.dtype[np.float64]], seeds: list[tuple[int, ...]]) -> list[list[float]]:
    """The means of each seed, once for every kind of seed of which there are several."""
    kinds = [np.array(kind) for kind in zip(*seeds, strict=True)]
    means = [[float(values_N[kind_N == seed].mean()) for seed in np.unique(kind_N)] for kind_N in kinds]
    return [one for one in means if len(one) > 1]


def published(live: LiveValue) -> str:
    """A published number."""
    asked = dict(live.where)
    if live.table == "values":
        whats = [one.what for one in VALUES]
        if (after := asked.get("after", "")) and after not in whats:
            raise ValueError(f"nothing published is called {after!r}; docs/published.md lists all")
        rest = VALUES[whats.index(str(after)) + 1 :][:1] if after else VALUES
        found = [one for one in rest if one.what == asked.get("what")]
        if len(found) != 1:
            raise ValueError(
                f"{len(found)} published values are called {asked.get('what')!r}; docs/published.md lists all"
            )
        value, unit, verified = found[0].value, found[0].unit, found[0].verified
    else:
        if live.table not in PUBLISHED:
            raise ValueError(f"no published table is called {live.table!r}; there are {', '.join(PUBLISHED)}")
        table, row, column = PUBLISHED[live.table], str(asked.get("row")), str(asked.get("column"))
        if row not in table.errors or column not in table.targets:
            raise ValueError(f"{live.table} has no error of {column!r} on {row!r}")
        value, unit, verified = table.error(row, column), "%", table.counts(row, column)
    return f"{'' if verified else '~'}{value:g}{UNIT if unit else ''}"


def beside(live: LiveValue, path: Path, study: Path) -> str:
    """Rows of a table: our errors, in brackets their intervals, the published ones; bold where these lie outside.

    As in the figure: means over all pairs of seeds; noise is made for no net, so that all sources count.
    """
    asked = dict(live.where)
    figure = _study(study)["figures"][asked["figure"]]
    theirs, names, attack = PUBLISHED[figure["published"]], figure["names"], asked["attack"]
    table = read_table(path).to_pandas()
    lines = [f"| crafted on | {' | '.join(theirs.targets)} |", f"|---|{'---|' * len(theirs.targets)}"]
    for row in theirs.errors:
        ours = names.get(row)
        control = ours in set(table["attack"])
        mine = table[table["attack"] == ours if control else (table["attack"] == attack) & (table["source"] == ours)]
        cells = []
        for column in theirs.targets:
            pairs = mine[mine["target"] == names.get(column)]
            number = f"{'' if theirs.counts(row, column) else '~'}{theirs.error(row, column):g}"
            if row == column:
                cells.append("")
            elif pairs.empty:
                cells.append(f"– ({number})")
            else:
                kept = pa.Table.from_pandas(pairs, preserve_index=False)
                mean, low, high = _over_seeds(live, kept)
                ours_told = told(live, (mean, low, high)).replace(UNIT, "")
                missed = not low <= theirs.error(row, column) / 100 <= high
                cells.append(f"**{ours_told} ({number})**" if missed else f"{ours_told} ({number})")
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def setting(asked: str, study: Path) -> str:
    """A number of the study, by its keys."""
    given = re.fullmatch(r"\('([^']+)'\)\s*(?:\|\s*(\S+)\s*)?", asked)
    if not given:
        raise ValueError(f"'setting{asked}' is not a live value; write setting('gans.dcgan.training.epochs')")
    found: Any = _study(study)
    for key in given[1].split("."):
        found = {str(name): value for name, value in found.items()}.get(key) if isinstance(found, dict) else None
    if not isinstance(found, int | float) or isinstance(found, bool):
        raise ValueError(f"{study} has no number {given[1]!r}")
    return _shown(LiveValue(study.stem, given[1], (), given[2] or "", 0), found)


def _study(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


WAYS: dict[str, Callable[[LiveValue, Path], str]] = {
    one.__name__: one
    for one in (result, interval, seeds, difference, portion, each, effect, answer, verdict, arms, size, failing)
}
