"""Prove that a refactoring moved nothing: printed commands and payloads before and after it.

snakemake -n --logger-advgen-plain --config study=config/smoke.yaml > before.txt      in both checkouts
python tests/same.py commands before.txt after.txt                equal up to the order of flags, digests and log paths
python tests/same.py payloads old/results new/results             equal bit for bit: tables and weights, stamps aside

Columns and keys that were renamed are told as `--renamed old=new`; those that were added are named, and are no
difference.
"""

import argparse
import json
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from advgen.core import catalog
from advgen.io import tables
from advgen.io.headers import read_header
from advgen.specs.base import canonical_json

Names = dict[str, str]
STAMPS = ("judge",)
"""Columns that name a file by its digest: in results of before 2026-11-24 its stamp is part of that."""


def commands(text: str, renamed: Names) -> Counter[str]:
    """Each printed command: its name and, in one order, its flags with their files; without code digest and log."""
    found = Counter[str]()
    for line in text.splitlines():
        _, start, command = line.partition("python -m advgen ")
        if not start or line.split("python")[0].strip() not in ("", "Shell command:"):
            continue
        words = shlex.split(re.split(r" 2?> results/logs/", command)[0])
        flags: dict[str, list[str]] = {"": []}
        flag = ""
        for word in words:
            if word.startswith("--"):
                flag = word
                flags.setdefault(flag, [])
            else:
                flags[flag].append(word)
        flags.pop("--code", None)
        if "--spec" in flags:
            flags["--spec"] = [json.dumps(mapped(json.loads(flags["--spec"][0]), renamed), sort_keys=True)]
        # the page lists its tables in the order in which their kinds are known
        if flags[""][0] == "report":
            flags["--tables"].sort()
            flags["--captions"] = sorted(Path(path).name for path in flags["--captions"])
            flags["--templates"] = sorted(Path(path).name for path in flags["--templates"])
        if flags[""][0] == "verify":
            flags.pop("--spec", None)
        found[json.dumps(flags, sort_keys=True)] += 1
    return found


def mapped(value: Any, renamed: Names) -> Any:
    """A spec with today's names for its keys and values."""
    if isinstance(value, dict):
        return {renamed.get(key, key): mapped(item, renamed) for key, item in value.items()}
    if isinstance(value, list):
        return [mapped(item, renamed) for item in value]
    return renamed.get(value, value) if isinstance(value, str) else value


def payload(path: Path, renamed: Names) -> dict[str, str]:
    """What a table or checkpoint holds: a digest of each column, or of the weights."""
    if path.suffix == ".safetensors":
        return {"weights": read_header(path)["model"]["weights"]}
    table = today(pq.read_table(path), renamed)
    alone = {name: table.select([name]).rename_columns(["one"]) for name in table.column_names if name not in STAMPS}
    return {name: tables.data_digest(one) for name, one in alone.items()}


def today(table: pa.Table, renamed: Names) -> pa.Table:
    """A table with today's names of columns and words, and its rows in today's order."""
    kind = tables.table_kind(table)
    schema = catalog.TABLES[renamed.get(kind, kind)]
    own = [name if name in schema.columns else renamed.get(name, name) for name in table.column_names]
    table = table.rename_columns(own)
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            words = [_today(word, renamed) for word in table.column(place).to_pylist()]
            table = table.set_column(place, field, pa.array(words, field.type))
    return table.sort_by([(name, "ascending") for name in schema.key])


def _today(word: str | None, renamed: Names) -> str | None:
    """A word, or the words in quotes of a spec in JSON."""
    if word is None or not word.startswith("{"):
        return word if word is None else renamed.get(word, word)
    return canonical_json(mapped(json.loads(word), renamed))


def _file(part: str, renamed: Names) -> str:
    stem, dot, ending = part.partition(".")
    return f"{renamed.get(stem, stem)}{dot}{ending}"


def compare_payloads(before: Path, after: Path, renamed: Names) -> Iterator[str]:
    """What differs between two folders of results."""
    files = [
        {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".parquet", ".safetensors")}
        for folder in (before, after)
    ]
    known = [{name for name in one if not name.startswith("state/")} for one in files]
    paths = {"/".join(_file(part, renamed) for part in name.split("/")): name for name in known[0]}
    known[0] = set(paths)
    yield from (f"{name}: only before" for name in sorted(known[0] - known[1]))
    yield from (f"{name}: only after" for name in sorted(known[1] - known[0]))
    same = 0
    for name in sorted(known[0] & known[1]):
        old, new = payload(before / paths[name], renamed), payload(after / name, {})
        lost = sorted(old.keys() - new.keys())
        other = sorted(one for one in old.keys() & new.keys() if old[one] != new[one])
        added = sorted(new.keys() - old.keys())
        if added:
            print(f"{name}: added {', '.join(added)}")
        if lost or other:
            found = [f"{what} {', '.join(names)}" for what, names in (("lost", lost), ("changed", other)) if names]
            yield f"{name}: {'; '.join(found)}"
        same += not (lost or other)
    print(f"{same} files with equal payloads")


def compare_commands(before: Path, after: Path, renamed: Names) -> Iterator[str]:
    """Commands that only one of two logs has."""
    old, new = (commands(path.read_text(encoding="utf-8"), names) for path, names in ((before, renamed), (after, {})))
    yield from (f"only before: {line}" for line in (old - new).elements())
    yield from (f"only after:  {line}" for line in (new - old).elements())
    if not new:
        yield "no printed commands: is it the log of `snakemake -n --logger-advgen-plain`?"
    print(f"{(old & new).total()} equal commands")


def main() -> None:
    """Compare, print what differs, and fail if anything does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("commands", "payloads"))
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--renamed", nargs="*", default=[], metavar="OLD=NEW", help="keys, columns and words")
    given = parser.parse_args()
    compare = compare_commands if given.what == "commands" else compare_payloads
    differences = list(compare(given.before, given.after, dict(one.split("=") for one in given.renamed)))
    print("\n".join(differences) or "no difference", flush=True)
    sys.exit(bool(differences))


if __name__ == "__main__":
    main()
