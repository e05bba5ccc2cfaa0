"""Insert numbers into pages of the documentation, from archived tables, published values and a study."""

import re
from collections.abc import Callable, Collection, Iterable
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
from advgen.metrics.intervals import combine_intervals, wilson
from advgen.metrics.published import PUBLISHED, VALUES

EXPRESSION = re.compile(r"\{\{\s*(?P<function>\w+)(?P<arguments>\(.*?)\}\}")
STUDY = Path("config/evening.yaml")
UNIT = "\u00a0%"
SHARES = {
    *("accuracy", "clean_accuracy", "error", "clean_error", "error_unaimed", "certified_accuracy"),
    *("agreement", "ends_kept", "class_kept", "class_kept_real", "third_class", "third_class_blend"),
    *("precision", "recall"),
}
"""Columns that are shares of a row's n images, samples or pairs."""
SHARES_OF_CORRECT = {"success", "success_rounded", "success_unaimed", "success_target", "success_target_unaimed"}
"""Columns that are shares of those of a row's n images that are classified correctly without an attack."""
Interval = tuple[float, float, float]
"""A mean and the ends of its interval."""


def insert_numbers(text: str, page: Path, study: Path = STUDY) -> str:
    """Return the text of a page with each live value replaced by the number that it selects.

    `{{ result('transfer', 'error', source='fc100') | .1% }}` has the syntax of live values in a CV. The tables are the
    Parquet files in the folder of the page. Besides `result`, a page can use:

    - `interval(…)`: a cell and its interval; for a share without one in the table, Wilson's interval;
    - `seeds(…)`: the mean over rows of several seeds, with an interval over seeds and images (`mean_over_seeds`);
    - `difference(…, minus='another column')`: the verdict on the paired differences of two columns, with an interval
      over seeds; with `of='another name'` the second column is that of another model with the same seeds;
    - `portion(…, of='another name')`: a share divided by its sum with the share of another model with the same seeds,
      for example decisions by shape among decisions by shape or texture; with an interval over seeds and images;
    - `each(…)`: the numbers of all rows, in the table's order;
    - `effect(…)`: the effect of a comparison's arm, its interval and its `verdict(…)`: higher, lower, not significantly
      different, or not compared because an arm is at chance;
    - `answer(…)`: the same as a phrase for a sentence, with n and the number of seeds;
    - `arms('comparisons', 'effect', comparison=…)`: all arms of a comparison, n and the number of seeds;
    - `size(…)`: n and the number of seeds of the rows;
    - `failing('sanity_checks', 'subject', check=…, subject=…)`: for how many subjects a check fails;
    - `published('values', 'value', what=…)` or `published('szegedy2014-table-2', 'error', row=…, column=…)`: a
      published number, with ~ if it was not verified; `after=` names the preceding value where names repeat;
    - `with_published('between-nets', 'error', figure=…, attack=…)`: our numbers next to a published table;
    - `setting('gans.dcgan.training.epochs')`: a number of the study.

    Selectors may contain ? and *, as in file names: `source='decides-?'`.
    ValueError, with file and line, for an invalid live value or one that selects no cell.
    """

    def number(match: re.Match[str]) -> str:
        line = 1 + text.count("\n", 0, match.start())
        try:
            function = match["function"]
            if function == "setting":
                return read_setting(match["arguments"], study)
            if function not in {*FUNCTIONS, "published", "with_published"}:
                known = ", ".join([*FUNCTIONS, "published", "with_published", "setting"])
                raise ValueError(f"unknown function {function!r}; a page can use {known}")
            [live] = find_live_values(f"{{{{ result{match['arguments']}}}}}", line)
            if function == "published":
                return read_published(live)
            table = page.parent / f"{live.table}.parquet"
            if not table.is_file():
                raise ValueError(f"{table} does not exist; copy it from results/tables of the run that the page quotes")
            if function == "with_published":
                return format_with_published(live, table, study)
            return FUNCTIONS[function](live, table)
        except ValueError as error:
            raise ValueError(f"{page}:{line}: {str(error).removeprefix(f':{line}: ')}") from None

    return EXPRESSION.sub(number, text)


def format_interval(live: LiveValue, numbers: Iterable[object]) -> str:
    """Format a number, and its interval if there is one: 25.0 % [21.4, 29.0]."""
    middle, *ends = (format_number(live, one) for one in numbers)
    return f"{middle} [{', '.join(end.removesuffix(UNIT) for end in ends)}]" if ends else middle


def format_number(live: LiveValue, number: object) -> str:
    """Format a number with a true minus sign."""
    text = live.format_value(number).replace("-", "−").replace("%", UNIT)
    return re.sub(r"[−+](?=0[.0]*\D*$)", "", text)  # no sign before a zero


def format_cell(live: LiveValue, path: Path) -> str:
    """Format one cell."""
    return format_interval(live, [read_cell(live, path)])


def format_cell_interval(live: LiveValue, path: Path) -> str:
    """Format one cell and its interval; an effect that is not compared is replaced by the reason."""
    return explain_chance(live, path) or format_interval(live, read_interval(live, path))


def read_interval(live: LiveValue, path: Path) -> Interval:
    """Return a cell and its interval: that of the column or of the table, otherwise Wilson's interval of a share."""
    middle: Any = read_cell(live, path)
    rows = select_rows(live, path)
    if not (ends := find_interval_columns(live, rows)) and live.column in SHARES | SHARES_OF_CORRECT:
        return middle, *wilson_of_share(middle, count_images(live, rows))
    low, high = (read_cell(replace(live, column=end), path) for end in ends or ["low", "high"])
    return middle, low, high  # type: ignore[return-value]


def find_interval_columns(live: LiveValue, rows: pa.Table) -> list[str]:
    """Return the columns with the ends of a column's interval, or those of the table if it has only one interval."""
    pairs = ([f"{live.column}_{end}" for end in ("low", "high")], ["low", "high"])
    return next((pair for pair in pairs if {*pair} <= {*rows.column_names}), [])


def count_images(live: LiveValue, rows: pa.Table) -> int:
    """Return the number of images behind a share, the smallest over the rows."""
    n_N = rows["n"].to_numpy()
    return round(min(n_N * rows["clean_accuracy"].to_numpy() if live.column in SHARES_OF_CORRECT else n_N))


def wilson_of_share(share: float, n: int) -> tuple[float, float]:
    """Return Wilson's interval of a share of n."""
    return wilson(round(share * n), n)


def explain_chance(live: LiveValue, path: Path) -> str:
    """Return why an arm's effect is not reported, or nothing if neither the arm nor its baseline has runs at chance.

    The wording is that of the figure.
    """
    table = read_table(path)
    if live.column != "effect" or "at_chance" not in table.column_names:
        return ""
    [row] = select_rows(live, path).to_pylist()
    if row["at_chance"]:
        some = "" if row["at_chance"] == row["seeds"] else f"{row['at_chance']} of {row['seeds']} runs "
        return f"{some}at chance, not compared"
    baseline_at_chance = any(
        other["at_chance"] and other["comparison"] == row["comparison"] and other["arm"] == other["baseline"]
        for other in table.to_pylist()
    )
    return "the baseline is at chance, not compared" if baseline_at_chance else ""


def format_verdict(live: LiveValue, path: Path) -> str:
    """Describe the sign of an effect, given its interval."""
    if explain_chance(live, path):
        return "at chance, not compared"
    effect, low, high = read_interval(live, path)
    if None in (effect, low, high):
        raise ValueError("a baseline's row has no effect; name another arm")
    return describe_sign(effect, low, high)


def describe_sign(effect: float, low: float, high: float) -> str:
    """Return whether an effect is higher, lower or not significantly different from zero."""
    if low <= 0 <= high:
        return "not significantly different"
    return "higher" if effect > 0 else "lower"


def format_effect(live: LiveValue, path: Path) -> str:
    """Format an effect, its interval and its verdict."""
    return explain_chance(live, path) or f"{format_cell_interval(live, path)}: {format_verdict(live, path)}"


def format_answer(live: LiveValue, path: Path) -> str:
    """Format the verdict on an effect, then in brackets the effect, its interval, n and the number of seeds."""
    chance = explain_chance(live, path)
    size = format_size(live, path)
    if chance:
        return f"{chance} ({size})"
    return f"{format_verdict(live, path)} ({format_cell_interval(live, path)}; {size})"


def format_difference(live: LiveValue, path: Path) -> str:
    """Format the verdict on the paired differences of two columns, with an interval over seeds alone."""
    rest, (minus, of) = split_conditions(live, "minus", "of")
    pairs = pair_by_seed(rest, of, path)
    for column in (live.column, minus):
        if column not in next(iter(pairs.values()))[0]:
            raise ValueError(f"table {live.table!r} has no column {column!r}")
    differences_R = np.array([float(first[live.column]) - float(second[minus]) for first, second in pairs.values()])
    mean, low, high = combine_intervals(
        float(differences_R.mean()), group_means_by_seed(differences_R, [*pairs]), (0.0, 0.0)
    )
    return f"{describe_sign(mean, low, high)} ({format_interval(live, (mean, low, high))}; {format_size(rest, path)})"


def split_conditions(live: LiveValue, *keys: str) -> tuple[LiveValue, list[str]]:
    """Return a live value without some of its conditions, and the values of these."""
    conditions = {column: str(value) for column, value in live.where}
    rest = tuple(pair for pair in live.where if pair[0] not in keys)
    return replace(live, where=rest), [conditions.get(key, "") for key in keys]


def pair_by_seed(live: LiveValue, of: str, path: Path) -> dict[tuple[int, ...], tuple[dict[str, Any], dict[str, Any]]]:
    """Return pairs of rows by their seeds: of a model and of the model `of`, or twice the same row without `of`.

    The condition on the table's leftmost column is taken as the name of the model.
    """
    columns, conditions = read_table(path).column_names, dict(live.where)
    name = min((column for column in conditions if column in columns), key=columns.index, default="")
    other = replace(live, where=tuple({**conditions, name: of}.items())) if of else live
    first, second = (
        dict(zip(read_seeds(rows), rows.to_pylist(), strict=True))
        for rows in (drop_own_examples(match_rows(live, path)), drop_own_examples(match_rows(other, path)))
    )
    if not first or first.keys() != second.keys():
        raise ValueError(f"{len(first)} and {len(second)} rows of {live.table!r}; name two with the same seeds")
    return {seeds: (row, second[seeds]) for seeds, row in first.items()}


def format_portion(live: LiveValue, path: Path) -> str:
    """Format a share divided by its sum with that of another model with the same seeds, over seeds and images."""
    rest, [of] = split_conditions(live, "of")
    if not of:
        raise ValueError("portion(…) needs a second model; name it with of=, as in source='one', of='two'")
    pairs = pair_by_seed(rest, of, path)
    pairs_R2 = np.array([[row[live.column] for row in pair] for pair in pairs.values()])
    if not pairs_R2.sum(1).all():
        raise ValueError(f"both shares are 0 for one of the seeds, so that {live.column} / (sum with {of!r}) is 0 / 0")
    shares_R = pairs_R2[:, 0] / pairs_R2.sum(1)
    mean, n = float(shares_R.mean()), min(first["n"] for first, _ in pairs.values())
    low, high = wilson_of_share(mean, round(n * float(pairs_R2.sum(1).mean())))
    by_seed = group_means_by_seed(shares_R, [*pairs])
    return format_interval(live, combine_intervals(mean, by_seed, (mean - low, high - mean), True))


def format_arms(live: LiveValue, path: Path) -> str:
    """Format all arms of a comparison as lines of a table's cell, the baseline first."""
    rows = select_rows(live, path).to_pylist()
    if len({row["comparison"] for row in rows}) != 1:
        raise ValueError(f"{len(rows)} rows of {live.table!r} do not belong to one comparison; name one")
    rows.sort(key=lambda row: (row["arm"] != row["baseline"], natural_order(row["arm"])))
    lines = []
    for row in rows:
        effect = replace(live, where=(("arm", row["arm"]), ("comparison", row["comparison"])))
        mean = replace(effect, column="mean", format=live.format.lstrip("+"))
        if row["arm"] == row["baseline"]:
            lines.append(f"{row['arm']} {format_cell_interval(mean, path)}")
        else:
            lines.append(f"{row['arm']} {format_cell(mean, path)}, {format_effect(effect, path)}")
    return "<br>".join([*lines, format_size(live, path)])


def natural_order(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts names by the numbers in them: 500 images, 1500 images."""
    return [(int(part), "") if part.isdigit() else (10**9, part) for part in re.split(r"(\d+)", name) if part]


def format_size(live: LiveValue, path: Path) -> str:
    """Format n, if it is larger than 1, and the number of seeds.

    A Fréchet distance is measured on samples; their number is a setting of the study, so it is left out.
    """
    rows = match_rows(live, path)
    sizes = [1] if live.column.startswith("frechet_distance") else sorted(set(rows["n"].to_pylist()))
    parts = [f"n = {format_range(sizes, ',')}"] if sizes[-1] > 1 else []
    if "seeds" in rows.column_names:
        counts = set(rows["seeds"].to_pylist())
    else:  # a transfer has as many source as target seeds
        counts = {max(map(len, map(set, zip(*read_seeds(rows), strict=True))), default=0)} - {0}
    if counts:
        parts.append(f"{format_range(counts)} {'seed' if counts == {1} else 'seeds'}")
    return ", ".join(parts)


def format_range(numbers: Collection[int], spec: str = "") -> str:
    """Format the smallest and the largest of some numbers, or the one number."""
    return " to ".join(format(number, spec) for number in sorted({min(numbers), max(numbers)}))


def format_each(live: LiveValue, path: Path) -> str:
    """Format the numbers of all rows."""
    cells = match_rows(live, path)[live.column].to_pylist()
    numbers = [number for one in cells for number in (one if isinstance(one, list) else [one])]
    if not numbers:
        raise ValueError(f"0 rows of {live.table!r} match")
    *first, last = (format_number(live, number) for number in numbers)
    return ", ".join([*(number.removesuffix(UNIT) for number in first), last])


def count_failing(live: LiveValue, path: Path) -> str:
    """Format the number of subjects for which a check fails, and the number of all subjects."""
    holds = match_rows(live, path)["holds"].to_pylist()
    if not holds:
        raise ValueError(f"0 rows of {live.table!r} match")
    return f"{holds.count(False)} of {len(holds)}"


def match_rows(live: LiveValue, path: Path) -> pa.Table:
    """Return the rows that match the conditions, in which ? and * are wildcards."""
    patterns = [(column, value) for column, value in live.where if isinstance(value, str) and re.search(r"[?*]", value)]
    rows = select_rows(replace(live, where=tuple({*live.where} - {*patterns})), path)
    for column, pattern in patterns:
        if column not in rows.column_names:
            raise ValueError(f"table {live.table!r} has no column {column!r}")
        rows = rows.filter(pa.array([fnmatchcase(str(one), pattern) for one in rows[column].to_pylist()], pa.bool_()))
    return rows


def format_mean_over_seeds(live: LiveValue, path: Path) -> str:
    """Format the mean over the rows of several seeds."""
    return format_interval(live, mean_over_seeds(live, path))


def mean_over_seeds(live: LiveValue, path: Path) -> Interval:
    """Return the mean of rows, one per seed or pair of seeds, with a 95 % interval for new seeds and new images.

    In a transfer, rows where a model is evaluated on its own examples are left out.
    """
    rows = drop_own_examples(match_rows(live, path))
    if len(rows) < 2 or len(set(read_seeds(rows))) < len(rows):
        conditions = ", ".join(f"{column}={value!r}" for column, value in live.where)
        raise ValueError(
            f"{len(rows)} rows of {live.table!r} match {conditions}; select one row for each of several seeds"
        )
    return average_rows(live, rows)


def drop_own_examples(rows: pa.Table) -> pa.Table:
    """Return the rows without those where a model is evaluated on examples crafted on itself."""
    names = ("source", "source_seed", "target", "target_seed")
    if not {*names} <= {*rows.column_names}:
        return rows
    models = zip(*(rows[name].to_pylist() for name in names), strict=True)
    return rows.filter(pa.array([model[:2] != model[2:] for model in models], pa.bool_()))


def read_seeds(rows: pa.Table) -> list[tuple[int, ...]]:
    """Return the seeds of each row: of its model, or of its source and its target model."""
    names = [name for name in rows.column_names if name == "seed" or name.endswith("_seed")]
    return list(zip(*(rows[name].to_pylist() for name in names), strict=True))


def average_rows(live: LiveValue, rows: pa.Table) -> Interval:
    """Return the mean of rows and its interval over seeds and images."""
    values_N = rows[live.column].to_numpy().astype(float)
    mean, images, is_share = float(values_N.mean()), (0.0, 0.0), live.column in SHARES | SHARES_OF_CORRECT
    if ends := find_interval_columns(live, rows):
        low, high = (float(rows[end].to_numpy().mean()) for end in ends)
        images = mean - low, high - mean
    elif is_share:
        low, high = wilson_of_share(mean, count_images(live, rows))
        images = mean - low, high - mean
    return combine_intervals(mean, group_means_by_seed(values_N, read_seeds(rows)), images, is_share)


def group_means_by_seed(values_N: np.ndarray, seeds: list[tuple[int, ...]]) -> list[list[float]]:
    """Return the mean of each seed, in one list for each kind of seed (source, target) that has several values."""
    kinds = [np.array(kind) for kind in zip(*seeds, strict=True)]
    means = [[float(values_N[kind_N == seed].mean()) for seed in np.unique(kind_N)] for kind_N in kinds]
    return [of_kind for of_kind in means if len(of_kind) > 1]


def read_published(live: LiveValue) -> str:
    """Format a published number."""
    conditions = dict(live.where)
    if live.table == "values":
        names = [value.what for value in VALUES]
        if (after := conditions.get("after", "")) and after not in names:
            raise ValueError(f"no published value is called {after!r}; docs/published.md lists all")
        candidates = VALUES[names.index(str(after)) + 1 :][:1] if after else VALUES
        found = [value for value in candidates if value.what == conditions.get("what")]
        if len(found) != 1:
            count, name = len(found), conditions.get("what")
            raise ValueError(f"{count} published values are called {name!r}; docs/published.md lists all")
        number, unit, is_verified = found[0].value, found[0].unit, found[0].verified
    else:
        if live.table not in PUBLISHED:
            raise ValueError(f"no published table is called {live.table!r}; choose from {', '.join(PUBLISHED)}")
        table, row, column = PUBLISHED[live.table], str(conditions.get("row")), str(conditions.get("column"))
        if row not in table.errors or column not in table.targets:
            raise ValueError(f"{live.table} has no error of {column!r} on {row!r}")
        number, unit, is_verified = table.error(row, column), "%", table.counts(row, column)
    return f"{'' if is_verified else '~'}{number:g}{UNIT if unit else ''}"


def format_with_published(live: LiveValue, path: Path, study: Path) -> str:
    """Format a published table as Markdown: our error, its interval, and in brackets the published error.

    A cell is bold if the published error is outside our interval. As in the figure, ours are means over all pairs of
    seeds. Random noise depends on no source model, so all sources count.
    """
    conditions = dict(live.where)
    figure = load_yaml(study)["figures"][conditions["figure"]]
    published, names, attack = PUBLISHED[figure["published"]], figure["names"], conditions["attack"]
    table = read_table(path).to_pandas()
    lines = [f"| crafted on | {' | '.join(published.targets)} |", f"|---|{'---|' * len(published.targets)}"]
    for row in published.errors:
        name = names.get(row)
        is_noise = name in set(table["attack"])
        ours = table[table["attack"] == name if is_noise else (table["attack"] == attack) & (table["source"] == name)]
        cells = []
        for column in published.targets:
            pairs = ours[ours["target"] == names.get(column)]
            theirs = f"{'' if published.counts(row, column) else '~'}{published.error(row, column):g}"
            if row == column:
                cells.append("")
            elif pairs.empty:
                cells.append(f"– ({theirs})")
            else:
                mean, low, high = average_rows(live, pa.Table.from_pandas(pairs, preserve_index=False))
                text = f"{format_interval(live, (mean, low, high)).replace(UNIT, '')} ({theirs})"
                is_inside = low <= published.error(row, column) / 100 <= high
                cells.append(text if is_inside else f"**{text}**")
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def read_setting(arguments: str, study: Path) -> str:
    """Format a number of the study, selected by its keys."""
    match = re.fullmatch(r"\('([^']+)'\)\s*(?:\|\s*(\S+)\s*)?", arguments)
    if not match:
        raise ValueError(f"'setting{arguments}' is not a live value; write setting('gans.dcgan.training.epochs')")
    value: Any = load_yaml(study)
    for key in match[1].split("."):
        value = {str(name): item for name, item in value.items()}.get(key) if isinstance(value, dict) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{study} has no number {match[1]!r}")
    return format_number(LiveValue(study.stem, match[1], (), match[2] or "", 0), value)


def load_yaml(path: Path) -> Any:
    """Return the content of a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


FUNCTIONS: dict[str, Callable[[LiveValue, Path], str]] = {
    "result": format_cell,
    "interval": format_cell_interval,
    "seeds": format_mean_over_seeds,
    "difference": format_difference,
    "portion": format_portion,
    "each": format_each,
    "effect": format_effect,
    "answer": format_answer,
    "verdict": format_verdict,
    "arms": format_arms,
    "size": format_size,
    "failing": count_failing,
}
"""What a page can call, by name."""
