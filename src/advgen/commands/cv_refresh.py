"""`advgen cv refresh`: fetch new stars, citations and works, and propose them as a diff."""

import argparse
import datetime
import difflib
import re
import sys
from pathlib import Path

from advgen.cv import bibliography, refresh
from advgen.cv.profile import load_profile
from advgen.cv.sections.publications import Bibliography
from advgen.cv.text_files import load_text
from advgen.files.provenance import write_bytes

_ORCID = re.compile(r"orcid\.org/(\d{4}-\d{4}-\d{4}-\d{3}[\dX])")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `advgen cv refresh`."""
    parser.epilog = "Tokens of GitHub and ORCID are read from GITHUB_TOKEN and ORCID_TOKEN only, and never written."
    parser.add_argument("--profile", type=Path, required=True, metavar="YAML", help="person and repositories")
    parser.add_argument("--bibliography", type=Path, metavar="BIB", help="publications that are known")
    parser.add_argument("--metrics", type=Path, required=True, metavar="YAML", help="the numbers; created if missing")
    parser.add_argument("--orcid", metavar="ID", help="default: the ORCID among the links of the profile")
    parser.add_argument("--write", action="store_true", help="apply the change, and print it")


def run(arguments: argparse.Namespace) -> None:
    """Print the proposed change. Exit status 1 if a service failed."""
    profile, *_ = load_profile(arguments.profile, None, arguments.bibliography)
    entries = []
    if arguments.bibliography:
        people = {person.name: person.url for person in profile.people}
        custom = (section.file for section in profile.sections.values() if isinstance(section, Bibliography))
        paths = [arguments.bibliography, *(arguments.profile.parent / file for file in custom if file)]
        entries = [e for path in paths for e in bibliography.load(path, profile.owners, people, repair=True)]
    orcid = arguments.orcid or next((found[1] for link in profile.links if (found := _ORCID.search(link.url))), None)
    services = refresh.Services()
    repositories = profile.content("repositories")
    names = [item.name for item in repositories if item.url is None or "://github.com/" in item.url]
    dois = [entry["facts"]["doi"] for entry in entries if "doi" in entry["facts"]]
    counts = refresh.fetch_stars(services, names) | refresh.fetch_citations(services, orcid, dois)
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    old = {arguments.metrics: load_text(arguments.metrics) if arguments.metrics.exists() else ""}
    new = dict(old)
    if counts:
        # incomplete counts keep the day of the old ones
        text = old[arguments.metrics]
        new[arguments.metrics] = refresh.update_metrics(text, counts, day, is_complete=not services.failures)
    if arguments.bibliography:
        old[arguments.bibliography] = load_text(arguments.bibliography)
        works = refresh.fetch_new_works(services, orcid, entries)
        new[arguments.bibliography] = "\n".join([old[arguments.bibliography], *works])
    for path, text in new.items():
        before, after = (source.splitlines(keepends=True) for source in (old[path], text))
        sys.stdout.writelines(difflib.unified_diff(before, after, str(path), str(path)))
        if arguments.write and text != old[path]:
            write_bytes(path, text.encode())
    if services.failures:
        raise ValueError("\n".join(services.failures))
