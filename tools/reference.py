"""Reference pages: the arguments of every command, the columns of every table, every kind of figure."""

import argparse
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml

from advgen.core import catalog
from advgen.core.schema import Image
from advgen.registry import kind_of, load_target
from advgen.specs.figures import FigureSpec, Group
from advgen.study.load import load_file
from tools.plan_pages import WRITTEN, list_summaries, locate_tables

EXAMPLES = (Path("config/config.yaml"), Path("config/smoke.yaml"))
"""Studies whose figures the gallery shows; for each kind of figure, the first study that has one."""
TYPES = {
    "string": "text",
    "bool": "true or false",
    "int32": "integer",
    "float32": "number",
    "float64": "number",
    "list<int32>": "integers",
    "list<float32>": "numbers",
    "list<float64>": "numbers",
}


def commands_page() -> str:
    """Return docs/reference/cli.md: every command with its arguments."""
    build_parser: Any = load_target("advgen.cli:build_parser")
    tools: Any = load_target("advgen.cli:TOOLS")
    lines = [
        "# The command line",
        "",
        WRITTEN,
        "",
        "Run a command with `advgen COMMAND …` or `python -m advgen COMMAND …`. `advgen COMMAND --help` prints its",
        "arguments. Every command accepts `--traceback`, which prints the traceback of an error, and `--benchmark",
        "FILE`, which writes its run time and memory. On an error, a command prints one line to stderr and exits with",
        "status 1.",
    ]
    for name in tools:
        parser = list_commands(build_parser(name))[name]
        lines += [
            "",
            f"## {format_command(name)}",
            "",
            format_sentence(parser.description),
            "",
            "```",
            format_usage(name, parser),
            "```",
            "",
        ]
        lines += format_arguments(parser)
        if parser.epilog:
            lines += ["", "```text", *parser.epilog.strip("\n").splitlines(), "```"]
    lines += [
        "",
        "## Commands of the jobs",
        "",
        "Snakemake calls these commands; the page of [rules](../rules.md) lists the files that each reads and writes.",
        "All accept `--spec JSON`, the specification of the job; `--code DIGEST`, which raises an error if the code",
        "has changed since the job was planned; and `--plugins FILE …`.",
        "",
        "| command | what it does | keys of `--spec` |",
        "|---|---|---|",
    ]
    for name, task in catalog.TASKS.items():
        if name not in tools:
            keys = ", ".join(f"`{key}`" for key in task.model_fields)
            lines.append(f"| `{name}` | {escape(task.help_text())} | {keys or 'none'} |")
    return "\n".join(lines) + "\n"


def list_commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    [commands] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(commands.choices)


def format_command(name: str) -> str:
    """Return a command as users type it: `cv diff` for `cv-diff`."""
    return name.replace("cv-", "cv ")


def list_arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a command, without those that all commands have."""
    for action in parser._actions:
        if action.dest not in ("help", "benchmark", "traceback"):
            yield action


def format_value(action: argparse.Action) -> str:
    """Return the placeholder of an argument's value."""
    if action.nargs == 0:
        return ""
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices and not action.metavar else ""
    name = choices or str(action.metavar or (action.dest.upper() if action.option_strings else action.dest))
    return {"*": f"[{name} …]", "+": f"{name} …", "?": f"[{name}]"}.get(str(action.nargs), name)


def format_usage(name: str, parser: argparse.ArgumentParser) -> str:
    """Return the usage of a command, wrapped."""
    words = [f"advgen {format_command(name)}"]
    for action in sorted(list_arguments(parser), key=lambda action: bool(action.option_strings)):
        flag = " ".join([*action.option_strings[:1], format_value(action)]).strip()
        words.append(flag if action.required or not action.option_strings else f"[{flag}]")
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) > 100:
            lines.append("   ")
        lines[-1] += f" {word}"
    return "\n".join(lines)


def format_arguments(parser: argparse.ArgumentParser) -> list[str]:
    """Return the table of a command's arguments."""
    rows = []
    for action in list_arguments(parser):
        argument = " ".join([*action.option_strings[:1], format_value(action)]).strip()
        help_ = (action.help or "") % {**vars(action), "prog": parser.prog}
        rows.append(f"| `{argument}` | {escape(help_)} |")
    return ["| argument | meaning |", "|---|---|", *rows] if rows else ["No arguments."]


def format_sentence(text: str | None) -> str:
    """Return a text in one line."""
    return escape(" ".join((text or "").split()))


def escape(text: str) -> str:
    """Return a text with the characters escaped that have a meaning in Markdown."""
    for sign, written in (("|", "\\|"), ("<", "&lt;"), ("{{", "&#123;&#123;"), ("*", "\\*")):
        text = text.replace(sign, written)
    return text


def tables_page() -> str:
    """Return docs/reference/tables.md: every table with its columns and their descriptions."""
    summaries = list_summaries()
    lines = [
        "# The tables",
        "",
        WRITTEN,
        "",
        "Each table is a Parquet file that you can read with pandas, polars or DuckDB. Rows are sorted by the key,",
        "which is unique. A column that does not apply to a row is empty. Intervals are 95 % intervals: Wilson's for",
        "shares, a bootstrap over images for means, and for comparisons [over runs and images](../comparisons.md),",
        "or over runs alone if `n` is 1.",
        "",
        "```python",
        "import pandas as pd",
        "",
        'pd.read_parquet("results/tables/robustness.parquet")',
        "```",
        "",
        'Images are stored as bytes, with their shape in the schema; `advgen.images(FILE, "image")` returns an array.',
        "pandas and polars keep the bytes and drop the shape. For a data frame, or a file that they wrote, use",
        '`advgen.images(FRAME, "image", shape=(channels, height, width))`.',
        "",
        "These are the tables:",
        "",
        "| over all runs | of single jobs |",
        "|---|---|",
    ]
    files = locate_tables()
    whole = [f"[{name}](#{kind.replace('_', '-')})" for name, kind in summaries.items()]
    single = [f"[{kind}](#{kind.replace('_', '-')})" for kind in catalog.TABLES if kind not in summaries.values()]
    lines.append(f"| {', '.join(whole)} | {', '.join(single)} |".replace("[<", "[&lt;"))
    for kind in [*summaries.values(), *(kind for kind in catalog.TABLES if kind not in summaries.values())]:
        table = catalog.TABLES[kind]
        names = [f"`results/tables/{name}.parquet`" for name, of in summaries.items() if of == kind]
        lines += ["", f"## {kind.replace('_', ' ')}", "", f"Files: {', '.join([*names, *files.get(kind, [])])}. "]
        lines[-1] += f"Key: {', '.join(f'`{name}`' for name in table.key)}."
        lines += ["", "| column | type | description |", "|---|---|---|"]
        for name, type_ in table.columns.items():
            type_name = "image" if isinstance(type_, Image) else TYPES[type_]
            lines.append(f"| `{name}` | {type_name} | {escape(table.descriptions[name])} |")
    return "\n".join(lines) + "\n"


def gallery_page() -> str:
    """Return docs/gallery.md: each kind of figure once, with its caption and its definition in YAML."""
    examples = find_examples()
    default = sum(study == EXAMPLES[0] for study, _, _ in examples.values())
    lines = [
        "# The gallery",
        "",
        WRITTEN,
        "",
        f"One example of each of the {len(catalog.FIGURES)} kinds of figure. {default} are from the default study,",
        f"`{EXAMPLES[0]}`. The others are from `{EXAMPLES[1]}`, a test study that trains its models for a few seconds",
        "on few images: these examples show the layout, not a result. `python -m docs.images.gallery` copies the",
        "pictures from the results of both studies. In a report, each figure comes with its finding, its numbers and",
        "its provenance.",
    ]
    for group in get_args(Group):
        lines += ["", f"## {group}"]
        for kind, figure in catalog.FIGURES.items():
            if figure.group == group:
                lines += ["", f"### {kind.replace('_', ' ')}", "", *format_figure(kind, figure, examples.get(kind))]
    return "\n".join(lines) + "\n"


Example = tuple[Path, str, FigureSpec]


def find_examples() -> dict[str, Example]:
    """Return an example of each kind of figure: the study, the name of the figure there and its definition."""
    found: dict[str, Example] = {}
    for path in EXAMPLES:
        for name, spec in load_file(path).study.figures.items():
            found.setdefault(kind_of(type(spec)), (path, name, spec))
    return found


def format_figure(kind: str, figure: type[FigureSpec], example: Example | None) -> Iterator[str]:
    """Yield the lines of one kind: picture, caption and YAML; only the caption without an example."""
    caption = read_caption(kind, figure)
    if example:
        yield from (f"![{caption.partition('. ')[0].removesuffix('.')}.](images/gallery/{kind}.png)", "")
    yield from (escape(caption), "")
    keys = f"[Its keys](../config/README.md#{figure.__name__.lower()})"
    if example:
        study, name, spec = example
        definition = spec.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
        words = yaml.safe_dump({name: definition}, default_flow_style=None, sort_keys=False, width=110)
        yield from ("```yaml", "figures:", *(f"  {line}" for line in words.splitlines()), "```", "")
        keys += f" · from `{study}`"
    yield keys


def read_caption(kind: str, figure: type[FigureSpec]) -> str:
    """Return the caption of a kind of figure in one line."""
    text = resources.files(figure.__module__.rpartition(".")[0]).joinpath(f"{kind}.rst").read_text(encoding="utf-8")
    return " ".join(text.split())
