"""New numbers and works from the web: stars from GitHub, citations from OpenAlex and Crossref, works from ORCID.

Never part of a build: the results are proposed as a diff.
"""

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import Any

HOSTS = {
    "github": "https://api.github.com",
    "openalex": "https://api.openalex.org",
    "crossref": "https://api.crossref.org",
    "orcid": "https://pub.orcid.org",
}
"""Address of each service; the environment variable ADVGEN_<SERVICE>_URL replaces it."""

_TOKENS = {"github": "GITHUB_TOKEN", "orcid": "ORCID_TOKEN"}
_PAUSE = 0.2
_TIMEOUT = 20


@dataclass
class Services:
    """Sends requests to the services, at most a few per second, and collects their failures."""

    pause: float = _PAUSE
    failures: list[str] = field(default_factory=list)
    last_request: float = 0.0
    unavailable: set[str] = field(default_factory=set)

    def get(self, service: str, path: str) -> Any:
        """Return the JSON at a path, or None. A service that is unreachable or over its limit gets no more requests."""
        if service in self.unavailable:
            return None
        time.sleep(max(0.0, self.last_request + self.pause - time.monotonic()))
        self.last_request = time.monotonic()
        headers = {"Accept": "application/json", "User-Agent": "advgen"}
        if token := os.environ.get(_TOKENS.get(service, "")):
            headers["Authorization"] = f"Bearer {token}"
        host = os.environ.get(f"ADVGEN_{service.upper()}_URL", HOSTS[service])
        request = urllib.request.Request(host + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
                return json.loads(response.read(10_000_000))
        except urllib.error.HTTPError as error:
            if error.code in (403, 429):
                self.unavailable.add(service)
                name = _TOKENS.get(service)
                remedy = f"set {name}, or try again later" if name else "try again later"
                self.failures.append(f"{service}: over its limit for now ({error.code}); {remedy}")
            else:
                self.failures.append(f"{service}: {path} returned {error.code} {error.reason}")
        except ValueError:
            self.report_unexpected(service, path)
        except (OSError, http.client.HTTPException) as error:
            self.unavailable.add(service)
            reason = " ".join(str(getattr(error, "reason", error)).split())
            self.failures.append(f"{service}: cannot be reached ({reason}); nothing was counted there")
        return None

    def get_count(self, service: str, path: str, *keys: str) -> int | None:
        """Return the count at some keys of a response, or None."""
        response = self.get(service, path)
        count = _find_count(response, *keys)
        if response is not None and count is None:
            self.report_unexpected(service, path)
        return count

    def report_unexpected(self, service: str, path: str) -> None:
        """Record that a response has not the known form."""
        self.failures.append(f"{service}: {path} returned unexpected data; nothing was counted there")


def _find_count(response: Any, *keys: str) -> int | None:
    for key in keys:
        response = response.get(key) if isinstance(response, dict) else None
    return response if type(response) is int and response >= 0 else None


def fetch_stars(services: Services, names: Iterable[str]) -> dict[str, int]:
    """Return the stars of GitHub repositories `owner/name`, without those that failed."""
    counts = {
        name: services.get_count("github", f"/repos/{urllib.parse.quote(name)}", "stargazers_count") for name in names
    }
    return {name: count for name, count in counts.items() if count is not None}


def fetch_citations(services: Services, orcid: str | None, dois: Iterable[str]) -> dict[str, int]:
    """Return citations and h-index of a person from OpenAlex, or else citations of their DOIs from Crossref."""
    if orcid:
        path = f"/authors/orcid:{orcid}"
        response = services.get("openalex", path)
        count, h_index = _find_count(response, "cited_by_count"), _find_count(response, "summary_stats", "h_index")
        if count is not None:
            return {"citations": count} | ({"h_index": h_index} if h_index is not None else {})
        if response is not None:
            services.report_unexpected("openalex", path)
    keys = ("message", "is-referenced-by-count")
    counts = [services.get_count("crossref", f"/works/{urllib.parse.quote(doi)}", *keys) for doi in dois]
    known = [count for count in counts if count is not None]
    return {"citations": sum(known)} if known and "crossref" not in services.unavailable else {}


def fetch_new_works(services: Services, orcid: str | None, known: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return BibTeX of the works in an ORCID record that no known entry has, by DOI or title."""
    path = f"/v3.0/{orcid}/works"
    response = services.get("orcid", path) if orcid else None
    if response is None:
        return []
    try:
        return _select_new_works(response, known)
    except (AttributeError, IndexError, KeyError, TypeError):
        services.report_unexpected("orcid", path)
        return []


def _select_new_works(response: Any, known: Iterable[Mapping[str, Any]]) -> list[str]:
    entries = list(known)
    keys = {entry["key"].lower() for entry in entries}
    titles = {_title_key(entry["title"]) for entry in entries}
    dois = {entry["facts"]["doi"].lower() for entry in entries if "doi" in entry["facts"]}
    new = []
    for group in response["group"]:
        work = group["work-summary"][0]
        title = re.sub(r"</?(?:b|i|em|strong|sub|sup)>", "", _read_value(work, "title", "title"))
        identifiers = (work.get("external-ids") or {}).get("external-id") or ()
        found = (one.get("external-id-value") for one in identifiers if one.get("external-id-type") == "doi")
        doi = next(found, "") or ""
        if title and _title_key(title) not in titles and doi.lower() not in dois:
            titles.add(_title_key(title))
            new.append(_to_bibtex(work, title, doi, keys))
    return new


def _read_value(work: Mapping[str, Any], *path: str) -> str:
    value: Any = work
    for part in (*path, "value"):
        value = value.get(part) if isinstance(value, dict) else None
    return " ".join(str(value or "").split())


# entry type and venue field for each type of ORCID
_ENTRY_TYPES = {
    "journal-article": ("article", "journal"), "patent": ("patent", "howpublished"), "book": ("book", "publisher"),
    "book-chapter": ("incollection", "booktitle"), "dissertation-thesis": ("phdthesis", "school"),
    "report": ("techreport", "institution"), "data-set": ("dataset", "publisher"),
    "software": ("software", "publisher"), "preprint": ("misc", "howpublished"),
}  # fmt: skip


def _to_bibtex(work: Mapping[str, Any], title: str, doi: str, keys: set[str]) -> str:
    """Return an entry under a new key, which is added to `keys`. ORCID lists no authors: the user adds them."""
    year = _read_value(work, "publication-date", "year")
    entry_type, venue = _ENTRY_TYPES.get(str(work.get("type")), ("inproceedings", "booktitle"))
    word = re.sub(r"\W", "", title.split()[0].lower()) or "work"
    candidates = (f"{word}{year}{suffix}" for suffix in ["", *ascii_lowercase, *map(str, range(999))])
    key = next(candidate for candidate in candidates if candidate not in keys)
    keys.add(key)
    values = {"title": title, "author": "", venue: _read_value(work, "journal-title"), "year": year, "doi": doi}
    lines = [f"  {name} = {{{_escape(value)}}},\n" for name, value in values.items() if value or name == "author"]
    return f"@{entry_type}{{{key},\n{''.join(lines)}}}\n"


def _escape(text: str) -> str:
    return re.sub(r"([%&#$_])", r"\\\1", re.sub(r"[{}\\]", "", text))


def _title_key(title: str) -> str:
    return "".join(filter(str.isalnum, title.casefold()))


def update_metrics(metrics: str, counts: Mapping[str, int], day: str, is_complete: bool = True) -> str:
    """Return the text of metrics.yaml with new counts, in its order and with its comments.

    `counts` has `citations`, `h_index` and names of repositories; new repositories are added. Only complete counts
    change `as_of` to the day.
    """
    text = metrics if metrics.strip() else "repositories:\n"
    for name, number in counts.items():
        # a repository is on a line of its own, or in braces
        before = r"(?:^[ \t]+|[{,][ \t]*)" if "/" in name else "^"
        pattern = re.compile(rf"({before}[\"']?{re.escape(name)}[\"']?\s*:[ \t]*)([^\s#,}}]+)", re.MULTILINE)
        text, replaced = pattern.subn(rf"\g<1>{number}", text)
        if not replaced and "/" in name:
            text = _add_repository(text, f"{name}: {number}")
        elif not replaced:
            text = f"{name}: {number}\n{text}"
    if counts:
        replacement = rf"\g<1>{day}" if is_complete else r"\g<0>"
        text, replaced = re.subn(r"^(as_of:[ \t]*)\S+", replacement, text, flags=re.MULTILINE)
        text = text if replaced else f"as_of: {day}\n{text}"
    return text


def _add_repository(text: str, line: str) -> str:
    """Return the text of metrics.yaml with one more repository, formatted like the others."""
    if not re.search(r"^repositories:", text, re.MULTILINE):
        text = f"{text.rstrip()}\nrepositories:\n"
    in_braces = re.compile(r"^(repositories:[ \t]*\{[ \t]*)(?=[^\s}])", re.MULTILINE)
    text, replaced = in_braces.subn(rf"\g<1>{line}, ", text)
    if replaced:
        return text
    found = re.search(r"^repositories:.*\n(?:[ \t]*(?:#.*)?\n)*([ \t]+)\S", text, re.MULTILINE)
    indent = found[1] if found else "  "
    pattern = re.compile(r"^(repositories:)(?:[ \t]*(?:\{[ \t]*\}|null|~))?([ \t]*(?:#.*)?)$", re.MULTILINE)
    return pattern.sub(rf"\g<1>\g<2>\n{indent}{line}", text)
