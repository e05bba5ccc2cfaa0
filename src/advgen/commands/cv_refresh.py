"""`advgen cv-refresh`: ask what changed out there, and propose it as a diff."""

import argparse
import datetime
import difflib
import re
import sys
from pathlib import Path

from advgen.cv import bibliography as bib
from advgen.cv import refresh
from advgen.cv.live_values import load_text
from advgen.cv.profile import Bibliography, load_profile
from advgen.files.provenance import write_bytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen cv-refresh`."""
    parser.epilog = "A token of GitHub or ORCID is read from GITHUB_TOKEN and ORCID_TOKEN alone, and never written."
    parser.add_argument("--profile", type=Path, required=True, metavar="YAML", help="who, and which repositories")
    parser.add_argument("--bibliography", type=Path, metavar="BIB", help="publications that are known")
    parser.add_argument("--metrics", type=Path, required=True, metavar="YAML", help="the numbers; made if missing")
    parser.add_argument("--orcid", metavar="ID", help="default: the ORCID among the links of the profile")
    parser.add_argument("--write", action="store_true", help="write the change instead of printing it alone")


def run(arguments: argparse.Namespace) -> None:
    """Print the proposed change; exit status 1 if a service would not answer."""
    profile, _ = load_profile(arguments.profile, None, arguments.bibliography)
    entries = []
    if arguments.bibliography:
        people = {person.name: person.url for person in profile.people}
        own = (section.file for section in profile.sections.values() if isinstance(section, Bibliography))
        known = [arguments.bibliography, *(arguments.profile.parent / file for file in own if file)]
        entries = [entry for path in known for entry in bib.load(path, profile.owners, people, mend=True)]
    orcid = arguments.orcid or next((found[1] for link in profile.links if (found := _ORCID.search(link.url))), None)
    services = refresh.Services()
    names = [item.name for item in profile.repositories if item.url is None or "://github.com/" in item.url]
    counted: dict[str, int] = refresh.stars(services, names)
    dois = [entry["facts"]["doi"] for entry in entries if "doi" in entry["facts"]]
    counted |= refresh.citations(services, orcid, dois)
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    old = {arguments.metrics: load_text(arguments.metrics) if arguments.metrics.exists() else ""}
    # numbers that are still the old ones are not of today
    text = old[arguments.metrics]
    new = {arguments.metrics: refresh.revised(text, counted, day, not services.silent) if counted else text}
    if arguments.bibliography:
        text = load_text(arguments.bibliography)
        old[arguments.bibliography] = text
        added = refresh.works(services, orcid, entries)
        new[arguments.bibliography] = "\n".join([text, *added]) if added else text
    for path, text in new.items():
        before, after = (source.splitlines(keepends=True) for source in (old[path], text))
        sys.stdout.writelines(difflib.unified_diff(before, after, str(path), str(path)))
        if arguments.write and text != old[path]:
            write_bytes(path, text.encode())
    if services.silent:
        raise ValueError("\n".join(services.silent))


_ORCID = re.compile(r"orcid\.org/(\d{4}-\d{4}-\d{4}-\d{3}[\dX])")
