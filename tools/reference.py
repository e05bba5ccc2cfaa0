"""Pages of the documentation: every command's arguments, the columns of every table, every kind of figure."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml

from advgen.core import catalog
from advgen.core.schema import Image, Table
from advgen.registry import kind_of, load_target
from advgen.specs.figures import FigureSpec, Group
from advgen.study.load import load_file
from tools.plan_pages import WRITTEN, summarised, where

COLUMNS = Path("docs/reference/columns.yaml")
"""What each column holds, by its name."""
SHOWN = (Path("config/config.yaml"), Path("config/smoke.yaml"))
"""Studies whose figures the gallery shows, the first that has a kind."""
TYPES = {
    "string": "text",
    "bool": "true or false",
    "int32": "whole number",
    "float32": "number",
    "float64": "number",
    "list<int32>": "whole numbers",
    "list<float32>": "numbers",
    "list<float64>": "numbers",
}


def commands_page() -> str:
    """docs/reference/cli.md: every command with its arguments."""
    parser_of: Any = load_target("advgen.cli:parser_of")
    tools: Any = load_target("advgen.cli:TOOLS")
    lines = [
        "# The command line",
        "",
        WRITTEN,
        "",
        "`advgen COMMAND …`, or `python -m advgen COMMAND …`; `--help` behind a command prints what stands here.",
        "Every command takes `--traceback`, which shows where an error was raised, and `--benchmark FILE`, which",
        "writes what it cost. An error ends in one line on stderr and the status 1.",
    ]
    for name in tools:
        parser = _commands(parser_of(name))[name]
        lines += [
            "",
            f"## {_shown(name)}",
            "",
            _sentence(parser.description),
            "",
            "```",
            _usage(name, parser),
            "```",
            "",
        ]
        lines += _arguments(parser)
        if parser.epilog:
            lines += ["", "```text", *parser.epilog.strip("\n").splitlines(), "```"]
    lines += [
        "",
        "## Commands of the jobs",
        "",
        "Snakemake calls these; what each reads and writes stands under its [rule](../rules.md). All take",
        "`--spec JSON`, what to do; `--code DIGEST`, which refuses to run other code than was planned; and",
        "`--plugins FILE …`.",
        "",
        "| command | what it does | keys of `--spec` |",
        "|---|---|---|",
    ]
    for name, task in catalog.TASKS.items():
        if name not in tools:
            keys = ", ".join(f"`{key}`" for key in task.model_fields)
            lines.append(f"| `{name}` | {_cell(task.sentence())} | {keys or 'none'} |")
    return "\n".join(lines) + "\n"


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    [commands] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(commands.choices)


def _shown(name: str) -> str:
    """`cv-diff` is written `cv diff`."""
    return name.replace("cv-", "cv ")


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if action.dest not in ("help", "benchmark", "traceback"):
            yield action


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices and not action.metavar else ""
    name = choices or str(action.metavar or (action.dest.upper() if action.option_strings else action.dest))
    return {"*": f"[{name} …]", "+": f"{name} …", "?": f"[{name}]"}.get(str(action.nargs), name)


def _usage(name: str, parser: argparse.ArgumentParser) -> str:
    words = [f"advgen {_shown(name)}"]
    for action in sorted(_actions(parser), key=lambda one: bool(one.option_strings)):
        flag = " ".join([*action.option_strings[:1], _value(action)]).strip()
        words.append(flag if action.required or not action.option_strings else f"[{flag}]")
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) > 100:
            lines.append("   ")
        lines[-1] += f" {word}"
    return "\n".join(lines)


def _arguments(parser: argparse.ArgumentParser) -> list[str]:
    rows = []
    for action in _actions(parser):
        told = " ".join([*action.option_strings[:1], _value(action)]).strip()
        help_ = (action.help or "") % {**vars(action), "prog": parser.prog}
        rows.append(f"| `{told}` | {_cell(help_)} |")
    return ["| argument | meaning |", "|---|---|", *rows] if rows else ["No arguments."]


def _sentence(text: str | None) -> str:
    return _cell(" ".join((text or "").split()))


def _cell(text: str) -> str:
    for sign, written in (("|", "\\|"), ("<", "&lt;"), ("{{", "&#123;&#123;"), ("*", "\\*")):
        text = text.replace(sign, written)
    return text


def tables_page(columns: Path = COLUMNS) -> str:
    """docs/reference/tables.md: every table with its columns, and what `columns` tells of them."""
    told: dict[str, str] = yaml.safe_load(columns.read_text(encoding="utf-8"))
    tidy = summarised()
    lines = [
        "# The tables",
        "",
        WRITTEN,
        "",
        "Each is a Parquet file that pandas, polars and DuckDB read. Rows are sorted by the key and unique in it. A",
        "column that does not apply to a row is empty there. Ends of intervals are at 95 %: Wilson's for shares, a",
        "bootstrap's over images for means, and for comparisons [over runs and images together](../comparisons.md),",
        "or over runs alone where `n` is 1.",
        "",
        "```python",
        "import pandas as pd",
        "",
        'pd.read_parquet("results/tables/robustness.parquet")',
        "```",
        "",
        'Images are bytes with their shape in the schema; `advgen.images(FILE, "image")` gives them as an array.',
        "pandas and polars keep the bytes and drop the shape: of a data frame, or of a file that they wrote again,",
        '`advgen.images(FRAME, "image", shape=(channels, height, width))` gives the array.',
        "",
        "Which tables are there:",
        "",
        "| over all runs | of single jobs |",
        "|---|---|",
    ]
    files = where()
    whole = [f"[{name}](#{kind.replace('_', '-')})" for name, kind in tidy.items()]
    single = [f"[{kind}](#{kind.replace('_', '-')})" for kind in catalog.TABLES if kind not in tidy.values()]
    lines.append(f"| {', '.join(whole)} | {', '.join(single)} |".replace("[<", "[&lt;"))
    for kind in [*tidy.values(), *(kind for kind in catalog.TABLES if kind not in tidy.values())]:
        table = catalog.TABLES[kind]
        names = [f"`results/tables/{name}.parquet`" for name, of in tidy.items() if of == kind]
        lines += ["", f"## {kind.replace('_', ' ')}", "", f"In {', '.join([*names, *files.get(kind, [])])}. "]
        lines[-1] += f"Key: {', '.join(f'`{name}`' for name in table.key)}."
        lines += ["", "| column | type | what it holds |", "|---|---|---|"]
        for name, type_ in table.columns.items():
            shown = "image" if isinstance(type_, Image) else TYPES[type_]
            lines.append(f"| `{name}` | {shown} | {_cell(_holds(kind, table, name, told))} |")
    return "\n".join(lines) + "\n"


def _holds(kind: str, table: Table, name: str, told: dict[str, str]) -> str:
    """What a column holds; nothing for one of a kind of one's own."""
    for tail, word in {"_low": "lower", "_high": "upper"}.items():
        if name.endswith(tail) and (stem := name.removesuffix(tail)) in table.columns:
            return f"{word} end of the interval of `{stem}`"
    return told.get(f"{kind}.{name}", told.get(name, ""))


def gallery_page() -> str:
    """docs/gallery.md: each kind of figure once, with its caption and what asks for it."""
    examples = gallery()
    default = sum(study == SHOWN[0] for study, _, _ in examples.values())
    lines = [
        "# The gallery",
        "",
        WRITTEN,
        "",
        f"The {len(catalog.FIGURES)} kinds of figure that a study can ask for, each once. {default} are from the",
        f"default study, `{SHOWN[0]}`, the others from `{SHOWN[1]}`, a study for tests whose nets are trained for",
        "seconds on few images: they show how such a figure looks, and nothing else. The pictures are taken from the",
        "results of both by `python -m docs.images.gallery`. In a report each stands with what it found, its numbers",
        "and where it comes from.",
    ]
    for group in get_args(Group):
        lines += ["", f"## {group}"]
        for kind, figure in catalog.FIGURES.items():
            if figure.group == group:
                lines += ["", f"### {kind.replace('_', ' ')}", "", *_shown_as(kind, figure, examples.get(kind))]
    return "\n".join(lines) + "\n"


Example = tuple[Path, str, FigureSpec]


def gallery() -> dict[str, Example]:
    """An example of each kind of figure that one of the studies shows: the study, its name there and its spec."""
    found: dict[str, Example] = {}
    for path in SHOWN:
        for name, spec in load_file(path).study.figures.items():
            found.setdefault(kind_of(type(spec)), (path, name, spec))
    return found


def _shown_as(kind: str, figure: type[FigureSpec], example: Example | None) -> Iterator[str]:
    """The lines of one kind: picture, caption, what asks for it; a kind of one's own has the caption alone."""
    caption = _caption(kind, figure)
    if example:
        yield from (f"![{caption.partition('. ')[0].removesuffix('.')}.](images/gallery/{kind}.png)", "")
    yield from (_cell(caption), "")
    keys = f"[Its keys](../config/README.md#{figure.__name__.lower()})"
    if example:
        study, name, spec = example
        asked = spec.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
        words = yaml.safe_dump({name: asked}, default_flow_style=None, sort_keys=False, width=110)
        yield from ("```yaml", "figures:", *(f"  {line}" for line in words.splitlines()), "```", "")
        keys += f" · from `{study}`"
    yield keys


def _caption(kind: str, figure: type[FigureSpec]) -> str:
    text = resources.files(figure.__module__.rpartition(".")[0]).joinpath(f"{kind}.rst").read_text(encoding="utf-8")
    return " ".join(text.split())
