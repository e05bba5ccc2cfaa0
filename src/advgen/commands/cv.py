"""`advgen cv`: a CV from YAML and BibTeX alone, in all formats, without a study."""

import argparse
import json
import logging
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from advgen import __version__
from advgen.core.code import code_digest
from advgen.cv.build import Choice, build
from advgen.cv.formats import FORMATS, render
from advgen.cv.live_values import Document, LiveValue, merge, read
from advgen.cv.sources import digest_source
from advgen.cv.target import Unprintable
from advgen.files.provenance import Stamp, atomic_write, sha256_text, write_bytes
from advgen.io.stamps import content_digest, seal
from advgen.outcomes.cv.outcome import cv_formats
from advgen.specs.base import canonical_json

_KINDS = (".png", ".svg", ".jpg", ".pdf")
# what a CV is made of; not the log of --watch itself
_WATCHED = (*_KINDS, ".yaml", ".yml", ".bib", ".parquet", ".j2", ".typ", ".css")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen cv`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "The example in config/cv is a good start; docs/cv.md explains every key. Files of the generator bamos/cv\n"
        "(cv.yaml and its .bib) are read as they are."
    )
    source = parser.add_argument_group("what the CV is made of")
    source.add_argument("--profile", type=Path, required=True, metavar="YAML", help="who, where, and the sections")
    source.add_argument("--bibliography", type=Path, metavar="BIB", help="publications")
    source.add_argument("--metrics", type=Path, metavar="YAML", help="citations and stars with their date")
    source.add_argument("--overlay", type=Path, metavar="YAML", help="private YAML merged over the profile by item id")
    source.add_argument("--tables", type=Path, metavar="FOLDER", help="Parquet tables for {{ result(…) }} in texts")
    source.add_argument("--figures", type=Path, metavar="FOLDER", help="pictures that the profile names")
    choice = parser.add_argument_group("what is shown of it")
    choice.add_argument("--selected", action="store_true", help="of the publications, only the selected")
    choice.add_argument("--tags", nargs="+", default=[], metavar="TAG", help="only what has one of these tags, or none")
    choice.add_argument("--sections", nargs="+", default=[], metavar="NAME", help="only these sections")
    output = parser.add_argument_group("what is written")
    output.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="made if missing")
    output.add_argument("--name", default="cv", help="name of the files before their endings (default: cv)")
    output.add_argument("--formats", nargs="+", choices=FORMATS, metavar="ENDING", help=_formats())
    output.add_argument("--watch", action="store_true", help="stay, and build again after each change of a file")


def _formats() -> str:
    return f"of {', '.join(FORMATS)} (default: all, latex.pdf where latexmk is installed); NAME.json is always written"


def run(arguments: argparse.Namespace) -> None:
    """Write the CV, or keep it up to date until interrupted."""
    logging.basicConfig(format="warning: %(message)s")
    if arguments.name != Path(arguments.name).name:
        raise ValueError(f"--name {arguments.name}: must be the name of a file, not a path")
    if arguments.watch:
        _watch(arguments)
    else:
        _make(arguments)


def _watch(arguments: argparse.Namespace) -> None:
    """Build after each change; what is wrong stands in NAME.errors.txt beside the last good files, and on stderr."""
    # LaTeX takes seconds
    arguments.formats = arguments.formats or [name for name in cv_formats() if name != "latex.pdf"]
    errors = arguments.out / f"{arguments.name}.errors.txt"
    seen = None
    while True:
        now = _modified(arguments)
        if now != seen:
            seen = now
            start = time.monotonic()
            try:
                _make(arguments)
                print(f"built in {time.monotonic() - start:.1f} s", flush=True)
                errors.unlink(missing_ok=True)  # last: who waits for it to go finds all else done
            except (ValueError, OSError) as error:
                print(error, file=sys.stderr, flush=True)
                write_bytes(errors, f"{error}\n".encode())
        time.sleep(0.1)


def _modified(arguments: argparse.Namespace) -> dict[Path, int]:
    """When each file beside the sources, and each template and table, was last written."""
    sources = [arguments.profile, arguments.bibliography, arguments.metrics, arguments.overlay]
    folders = {path.parent for path in sources if path}
    folders |= {path for path in (arguments.tables, arguments.figures) if path}
    patterns = ("*", "*/*.j2", "*/*.typ", "*/*.css")
    files = [path for folder in folders for pattern in patterns for path in folder.glob(pattern)]
    out = arguments.out.resolve()
    others = {path for path in files if path.suffix in _WATCHED and path.parent.resolve() != out}
    return {path: path.stat().st_mtime_ns for path in others.union(filter(None, sources)) if path.is_file()}


def _make(arguments: argparse.Namespace) -> None:
    cv = build(
        arguments.profile,
        arguments.bibliography,
        arguments.metrics,
        _lookup(arguments.tables),
        overlay=arguments.overlay,
        choice=Choice(arguments.selected, arguments.tags, arguments.sections),
    )
    document = merge(read(arguments.profile), arguments.overlay)
    figures = _figures(cv, document, arguments.figures)
    token = _stamp(arguments, document, figures).token()
    content = {"json": (json.dumps({"provenance": token, **cv}, ensure_ascii=False, indent=1) + "\n").encode()}
    left_out: list[Path] = []
    for format_ in arguments.formats or cv_formats():
        try:
            content[format_] = render(format_, cv, figures, token, _templates(arguments, document), folder="figures")
        except Unprintable as error:
            if format_ != "latex.pdf" or arguments.formats:
                raise ValueError(_located(error, arguments)) from error
            logging.warning("%s.latex.pdf is left out: %s", arguments.name, str(error).splitlines()[0])
            left_out.append(arguments.out / f"{arguments.name}.latex.pdf")
    # nothing is written before everything is made
    for path in figures.values():
        copy = arguments.out / "figures" / path.name
        if not copy.exists() or not copy.samefile(path):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    written = [arguments.out / f"{arguments.name}.{ending}" for ending in content]
    for path in written:
        if path.is_dir():
            raise ValueError(f"{path} is a folder, and a file of this name is to be written; move it, or say --name")
    with ExitStack() as together:
        for path, data in zip(written, content.values(), strict=True):
            temporary = together.enter_context(atomic_write(path))
            temporary.write_bytes(data)
            seal(temporary)  # nobody sees it open
    for path in left_out:
        path.unlink(missing_ok=True)  # one of an earlier build would pass for one of this
    print("\n".join(map(str, written)))


def _located(error: Unprintable, arguments: argparse.Namespace) -> str:
    """The error with the file and line where the first character of each entry stands."""
    sources = [path for path in (arguments.bibliography, arguments.profile, arguments.overlay) if path]
    lines = []
    for (name, (character, *_)), said in zip(error.held.items(), str(error).split("\n"), strict=True):
        places = []
        for path in sources:
            text = path.read_text(encoding="utf-8-sig")
            start = max(text.find(f"{{{name},"), 0)  # where an entry of a bibliography begins
            if (at := text.find(character, start)) >= 0:
                places.append((not start, f"{path}:{text.count(chr(10), 0, at) + 1}: "))
        lines.append((min(places)[1] if places else "") + said)
    return "\n".join(lines)


def _templates(arguments: argparse.Namespace, document: Document) -> Path | None:
    """The folder of the user's own templates, beside the profile."""
    name = (document.data or {}).get("templates")
    return arguments.profile.parent / name if name else None


def _lookup(folder: Path | None) -> Callable[[LiveValue], object]:
    def lookup(value: LiveValue) -> object:
        if folder is None:
            raise ValueError(f"table {value.table!r} is not at hand; say where tables lie: --tables FOLDER")
        path = folder / f"{value.table}.parquet"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in folder.glob("*.parquet"))) or "none"
            raise ValueError(f"no table {value.table!r} in {folder}; tables there: {known}")
        # pyarrow is needed for live numbers alone
        from advgen.cv.cells import read_cell

        return read_cell(value, path)

    return lookup


def _figures(cv: dict[str, Any], document: Document, folder: Path | None) -> dict[str, Path]:
    """The file of every figure that the CV shows."""
    files, errors = {}, []
    names = [figure["name"] for section in cv["sections"] for figure in section.get("figures", ())]
    places = {figure["name"]: index for index, figure in enumerate((document.data or {}).get("figures") or ())}
    for name in names:
        found = [folder / f"{name}{kind}" for kind in _KINDS if (folder / f"{name}{kind}").is_file()] if folder else []
        if found:
            files[name] = found[0]
        else:
            where = document.where(("figures", places[name], "name"))
            remedy = f"put {name}.png into {folder}" if folder else "say where figures lie: --figures FOLDER"
            errors.append(f"{where}: the figure {name!r} has no file; {remedy}")
    if errors:
        raise ValueError("\n".join(errors))
    return files


def _stamp(arguments: argparse.Namespace, document: Document, figures: dict[str, Path]) -> Stamp:
    """Digests only: nothing of a private overlay stands in it."""
    inputs = [arguments.profile, arguments.overlay, arguments.bibliography, arguments.metrics, *figures.values()]
    named = sorted({value.table for found in document.live_values.values() for value in found})
    tables = [arguments.tables / f"{name}.parquet" for name in named] if arguments.tables else []
    tables = [path for path in tables if path.is_file()]  # a section that is not shown needs none
    choice = canonical_json(
        {"selected": arguments.selected, "tags": list(arguments.tags), "sections": list(arguments.sections)}
    )
    return Stamp(
        command="advgen cv",
        spec={"sha256": sha256_text(choice)},
        code=code_digest("advgen.commands.cv:run"),
        inputs={_relative(path): digest_source(path) for path in inputs if path is not None}
        | {_relative(path): content_digest(path) for path in tables},
        versions={"python": platform.python_version(), "advgen": __version__, "typst": version("typst")},
    )


def _relative(path: Path) -> str:
    """The path as seen from here, or the name alone for what lies elsewhere."""
    shown = os.path.relpath(path)
    return path.name if shown.startswith("..") else shown
