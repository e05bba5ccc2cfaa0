"""`advgen cv-import`: the files of the CV generator bamos/cv as ours."""

import argparse
from pathlib import Path

import yaml

from advgen.cv import legacy
from advgen.cv.bibliography import mended_text
from advgen.cv.live_values import load_text, read
from advgen.files.provenance import write_bytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen cv-import`."""
    parser.add_argument("profile", type=Path, metavar="cv.yaml", help="its YAML file")
    parser.add_argument("--bibliography", type=Path, metavar="BIB", help="its .bib (default: the one that it names)")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for profile.yaml, publications.bib")


def run(arguments: argparse.Namespace) -> None:
    """Write profile.yaml and publications.bib, and print what they cannot hold."""
    document = read(arguments.profile)
    if not legacy.recognised(document.data):
        raise ValueError(f"{arguments.profile}:1: this is no cv.yaml of bamos/cv; a profile of ours needs no import")
    bibliography = arguments.bibliography or _named(arguments.profile, document.data)
    converted, left = legacy.convert(document, bibliography)
    entries, mended = mended_text(load_text(bibliography), bibliography)
    targets = {"profile.yaml": "", "publications.bib": entries}
    for section in converted.data.get("sections", {}).values():
        if "file" in section:
            other = arguments.profile.parent / section["file"]
            targets[other.name], more = mended_text(load_text(other), other)
            section["file"] = other.name
            mended += more
    head = f"# Made from {arguments.profile.name}. Add updated: 2025-01-31, or a metrics.yaml with as_of.\n"
    text = yaml.safe_dump(converted.data, allow_unicode=True, sort_keys=False, width=110)
    targets["profile.yaml"] = head + text
    for name in targets:
        if (arguments.out / name).exists():
            raise ValueError(f"{arguments.out / name}: is there already; choose another --out, or remove it")
    for name, content in targets.items():
        write_bytes(arguments.out / name, content.encode())
        print(arguments.out / name)
    for line in [*left, *mended]:
        print(f"not carried over: {line}")
    if converted.data.get("repositories"):
        print(f"not carried over: {arguments.profile}: stars came from the network; write metrics.yaml, or show none")


def _named(profile: Path, data: dict[str, dict[str, str]]) -> Path:
    """The bibliography that a cv.yaml names, in the folder where the generator looks."""
    first = data.get("publications")  # in its first year
    name = first if isinstance(first, str) else str((data.get("all_publications") or {}).get("file", "all.bib"))
    places = [profile.parent / "publications" / Path(name).name, profile.parent / Path(name).name]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ValueError(f"{profile}: its bibliography {name} is not beside it; say where it is: --bibliography BIB")
    return found
