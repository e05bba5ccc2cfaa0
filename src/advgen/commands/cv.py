"""`advgen cv`: a CV from YAML and BibTeX alone, in all formats, without a study."""

import argparse
import json
import logging
import os
import platform
import shutil
import sys
import time
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from advgen import __version__
from advgen.core.code import code_digest
from advgen.cv import themes
from advgen.cv.build import build
from advgen.cv.formats import FORMATS, render
from advgen.cv.live_values import LiveValue
from advgen.cv.scan import list_section_files
from advgen.cv.sections.base import Filter
from advgen.cv.sources import digest_source
from advgen.cv.templating import UnprintableError, list_figures
from advgen.cv.yaml_files import Document, merge, read
from advgen.files.provenance import Stamp, atomic_write, sha256_text, write_bytes
from advgen.io.stamps import content_digest, seal
from advgen.outcomes.cv.outcome import cv_formats
from advgen.specs.base import canonical_json

_PICTURES = (".png", ".svg", ".jpg", ".pdf")
# sources of a CV, not the log of --watch itself
_WATCHED = (*_PICTURES, ".yaml", ".yml", ".bib", ".parquet", ".j2", ".typ", ".css", ".py")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `advgen cv`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "Start with the example: advgen init --cv my-cv. docs/cv.md explains every key.\n"
        "Files of the generator bamos/cv (cv.yaml and its .bib) are read by a plug-in, plugins/bamos_cv."
    )
    source = parser.add_argument_group("sources")
    source.add_argument("--profile", type=Path, required=True, metavar="YAML", help="person, sections and their order")
    source.add_argument("--bibliography", type=Path, metavar="BIB", help="publications")
    source.add_argument("--metrics", type=Path, metavar="YAML", help="citations and stars with their date")
    source.add_argument("--overlay", type=Path, metavar="YAML", help="private YAML merged over the profile by item id")
    source.add_argument("--tables", type=Path, metavar="FOLDER", help="Parquet tables for {{ result(…) }} in texts")
    source.add_argument("--figures", type=Path, metavar="FOLDER", help="pictures that the profile names")
    choice = parser.add_argument_group("selection")
    choice.add_argument("--selected", action="store_true", help="only selected publications")
    tags = "only entries with one of these tags, or none"
    choice.add_argument("--tags", nargs="+", default=[], metavar="TAG", help=tags)
    choice.add_argument("--sections", nargs="+", default=[], metavar="NAME", help="only these sections")
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="created if missing")
    output.add_argument("--name", default="cv", help="name of the files before their endings (default: cv)")
    endings = f"of {', '.join(FORMATS)} (default: all, latex.pdf if latexmk is installed); NAME.json is always written"
    output.add_argument("--formats", nargs="+", choices=FORMATS, metavar="ENDING", help=endings)
    output.add_argument("--watch", action="store_true", help="keep running, and build after each change of a file")


def run(arguments: argparse.Namespace) -> None:
    """Write the CV, or keep it up to date until interrupted."""
    logging.basicConfig(format="warning: %(message)s")
    if arguments.name != Path(arguments.name).name:
        raise ValueError(f"--name {arguments.name}: must be the name of a file, not a path")
    if arguments.watch:
        _watch(arguments)
    else:
        _build(arguments)


def _watch(arguments: argparse.Namespace) -> None:
    """Build after each change. Errors go to stderr and NAME.errors.txt, next to the files of the last good build."""
    # LaTeX takes seconds
    arguments.formats = arguments.formats or [name for name in cv_formats() if name != "latex.pdf"]
    errors = arguments.out / f"{arguments.name}.errors.txt"
    built = None
    while True:
        current = _list_modified(arguments)
        if current != built:
            built = current
            start = time.monotonic()
            try:
                _build(arguments)
                print(f"built in {time.monotonic() - start:.1f} s", flush=True)
                errors.unlink(missing_ok=True)  # last, so that all other files are complete when it disappears
            except (ValueError, OSError) as error:
                print(error, file=sys.stderr, flush=True)
                write_bytes(errors, f"{error}\n".encode())
        time.sleep(0.1)


def _list_modified(arguments: argparse.Namespace) -> dict[Path, int]:
    """Return the modification times of all files near the sources, and of templates and tables."""
    sources = [arguments.profile, arguments.bibliography, arguments.metrics, arguments.overlay]
    folders = {path.parent for path in sources if path}
    folders |= {path for path in (arguments.tables, arguments.figures) if path}
    patterns = ("*", "*/*.j2", "*/*.typ", "*/*.css", "*/*.py", "*/theme.yaml")
    files = [path for folder in folders for pattern in patterns for path in folder.glob(pattern)]
    out = arguments.out.resolve()
    watched = {path for path in files if path.suffix in _WATCHED and path.parent.resolve() != out}
    return {path: path.stat().st_mtime_ns for path in watched.union(filter(None, sources)) if path.is_file()}


def _build(arguments: argparse.Namespace) -> None:
    """Build the CV in all formats, then write all files at once."""
    cv = build(
        arguments.profile,
        arguments.bibliography,
        arguments.metrics,
        partial(_look_up, arguments.tables),
        overlay=arguments.overlay,
        chosen=Filter(arguments.selected, arguments.tags, arguments.sections),
    )
    document = merge(read(arguments.profile), arguments.overlay)
    figures = _find_figures(cv, document, arguments.figures)
    token = _make_stamp(arguments, document, figures).token()
    data = document.data or {}
    custom = themes.custom_folders(arguments.profile.parent, data.get("theme") or "", data.get("templates"))
    contents = {"json": (json.dumps({"provenance": token, **cv}, ensure_ascii=False, indent=1) + "\n").encode()}
    omitted: list[Path] = []
    for format_ in arguments.formats or cv_formats():
        try:
            contents[format_] = render(format_, cv, figures, token, custom, folder="figures")
        except UnprintableError as error:
            if format_ != "latex.pdf" or arguments.formats:
                raise ValueError(_add_lines(error, arguments)) from error
            logging.warning("%s.latex.pdf is omitted: %s", arguments.name, str(error).splitlines()[0])
            omitted.append(arguments.out / f"{arguments.name}.latex.pdf")
    for path in figures.values():
        copy = arguments.out / "figures" / path.name
        if not copy.exists() or not copy.samefile(path):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    paths = [arguments.out / f"{arguments.name}.{ending}" for ending in contents]
    for path in paths:
        if path.is_dir():
            raise ValueError(f"{path} is a folder, and a file of this name must be written; move it, or set --name")
    with ExitStack() as stack:
        for path, written in zip(paths, contents.values(), strict=True):
            temporary = stack.enter_context(atomic_write(path))
            temporary.write_bytes(written)
            seal(temporary)  # before anybody can open the file
    for path in omitted:
        path.unlink(missing_ok=True)  # a file of an earlier build would look current
    print("\n".join(map(str, paths)))


def _add_lines(error: UnprintableError, arguments: argparse.Namespace) -> str:
    """Return the error with the file and line of the first character of each entry."""
    sources = [path for path in (arguments.bibliography, arguments.profile, arguments.overlay) if path]
    lines = []
    for (name, (character, *_)), message in zip(error.by_entry.items(), str(error).split("\n"), strict=True):
        places = []
        for path in sources:
            text = path.read_text(encoding="utf-8-sig")
            start = max(text.find(f"{{{name},"), 0)  # where an entry of a bibliography begins
            if (at := text.find(character, start)) >= 0:
                places.append((not start, f"{path}:{text.count(chr(10), 0, at) + 1}: "))
        lines.append((min(places)[1] if places else "") + message)
    return "\n".join(lines)


def _look_up(folder: Path | None, value: LiveValue) -> object:
    if folder is None:
        raise ValueError(f"table {value.table!r} is needed; name the folder of the tables: --tables FOLDER")
    path = folder / f"{value.table}.parquet"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.parquet"))) or "none"
        raise ValueError(f"no table {value.table!r} in {folder}; tables there: {known}")
    # imports pyarrow, which only live values need
    from advgen.cv.cells import read_cell

    return read_cell(value, path)


def _find_figures(cv: dict[str, Any], document: Document, folder: Path | None) -> dict[str, Path]:
    """Return the file of every figure that the CV shows."""
    files, errors = {}, []
    indices = {figure["name"]: index for index, figure in enumerate((document.data or {}).get("figures") or ())}
    for name in list_figures(cv):
        candidates = [folder / f"{name}{suffix}" for suffix in _PICTURES] if folder else []
        if found := [path for path in candidates if path.is_file()]:
            files[name] = found[0]
            continue
        where = document.where(("figures", indices[name], "name"))
        remedy = f"put {name}.png into {folder}" if folder else "name the folder of the figures: --figures FOLDER"
        errors.append(f"{where}: the figure {name!r} has no file; {remedy}")
    if errors:
        raise ValueError("\n".join(errors))
    return files


def _make_stamp(arguments: argparse.Namespace, document: Document, figures: dict[str, Path]) -> Stamp:
    """Return the provenance of the CV: digests and file names only, nothing of a private overlay."""
    inputs = [arguments.profile, arguments.overlay, arguments.bibliography, arguments.metrics, *figures.values()]
    inputs += [arguments.profile.parent / name for name in list_section_files(document.data)]
    names = sorted({value.table for found in document.live_values.values() for value in found})
    tables = [arguments.tables / f"{name}.parquet" for name in names] if arguments.tables else []
    tables = [path for path in tables if path.is_file()]  # sections that are not shown need none
    choice = {"selected": arguments.selected, "tags": list(arguments.tags), "sections": list(arguments.sections)}
    return Stamp(
        command="advgen cv",
        spec={"sha256": sha256_text(canonical_json(choice))},
        code=code_digest("advgen.commands.cv:run"),
        inputs={_relative(path): digest_source(path) for path in inputs if path is not None}
        | {_relative(path): content_digest(path) for path in tables},
        versions={"python": platform.python_version(), "advgen": __version__, "typst": version("typst")},
    )


def _relative(path: Path) -> str:
    """Return a path relative to the working folder, or the bare name of a file outside of it."""
    relative = os.path.relpath(path)
    return path.name if relative.startswith("..") else relative
