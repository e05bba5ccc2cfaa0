"""`advgen cv import`: convert the files of the CV generator bamos/cv. Its reader is a plug-in, plugins/bamos_cv."""

import argparse
from pathlib import Path

import yaml

from advgen.cv import foreign
from advgen.cv.bibtex import repair_bibtex
from advgen.cv.text_files import load_text
from advgen.cv.yaml_files import read
from advgen.files.provenance import write_bytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `advgen cv import`."""
    parser.add_argument("profile", type=Path, metavar="cv.yaml", help="its YAML file")
    parser.add_argument("--bibliography", type=Path, metavar="BIB", help="its .bib (default: the one in cv.yaml)")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for profile.yaml, publications.bib")


def run(arguments: argparse.Namespace) -> None:
    """Write profile.yaml and publications.bib, and print what they cannot hold."""
    document = read(arguments.profile)
    reader = foreign.find_reader(document)
    if reader is None:
        what = "this is not a cv.yaml of bamos/cv; a profile needs no import"
        raise ValueError(f"{arguments.profile}:1: {what}")
    bibliography = arguments.bibliography or _find_bibliography(arguments.profile, document.data)
    converted, notes = reader.convert(document, bibliography)
    entries, repairs = repair_bibtex(load_text(bibliography), bibliography)
    targets = {"profile.yaml": "", "publications.bib": entries}
    for section in converted.data.get("sections", {}).values():
        if "file" in section:
            other = arguments.profile.parent / section["file"]
            targets[other.name], more = repair_bibtex(load_text(other), other)
            section["file"] = other.name
            repairs += more
    head = f"# Made from {arguments.profile.name}. Add updated: 2025-01-31, or a metrics.yaml with as_of.\n"
    targets["profile.yaml"] = head + yaml.safe_dump(converted.data, allow_unicode=True, sort_keys=False, width=110)
    for name in targets:
        if (arguments.out / name).exists():
            raise ValueError(f"{arguments.out / name}: exists already; choose another --out, or remove it")
    for name, content in targets.items():
        write_bytes(arguments.out / name, content.encode())
        print(arguments.out / name)
    for line in [*notes, *repairs]:
        print(f"not converted: {line}")
    if converted.data.get("repositories"):
        print(f"not converted: {arguments.profile}: stars came from the network; write metrics.yaml, or show none")


def _find_bibliography(profile: Path, data: dict[str, dict[str, str]]) -> Path:
    """Return the bibliography that a cv.yaml names, in the folders where the generator looks for it."""
    first = data.get("publications")  # a file name in the first year of the generator
    name = first if isinstance(first, str) else str((data.get("all_publications") or {}).get("file", "all.bib"))
    places = [profile.parent / "publications" / Path(name).name, profile.parent / Path(name).name]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ValueError(f"{profile}: its bibliography {name} is not in its folder; name the file: --bibliography BIB")
    return found
