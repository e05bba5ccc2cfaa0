"""What the world says about a CV: stars from GitHub, citations from OpenAlex and Crossref, new works from ORCID.

Nothing here is part of a build. What is found becomes a proposal: the diff that would bring the files up to date.
"""

from __future__ import annotations

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
"""Where each service is asked; the environment variable ADVGEN_<SERVICE>_URL names another place."""

_TOKENS = {"github": "GITHUB_TOKEN", "orcid": "ORCID_TOKEN"}
_PAUSE = 0.2
_TIMEOUT = 20


@dataclass
class Services:
    """Asks the services, a few times a second, and keeps what each would not tell."""

    pause: float = _PAUSE
    silent: list[str] = field(default_factory=list)
    asked: float = 0.0
    closed: set[str] = field(default_factory=set)

    def get(self, service: str, path: str) -> Any:
        """The JSON at a path of a service, or None; one that is out of reach or of patience is not asked again."""
        if service in self.closed:
            return None
        time.sleep(max(0.0, self.asked + self.pause - time.monotonic()))
        self.asked = time.monotonic()
        headers = {"Accept": "application/json", "User-Agent": "advgen"}
        if token := os.environ.get(_TOKENS.get(service, "")):
            headers["Authorization"] = f"Bearer {token}"
        host = os.environ.get(f"ADVGEN_{service.upper()}_URL", HOSTS[service])
        try:
            with urllib.request.urlopen(
                urllib.request.Request(host + path, headers=headers), timeout=_TIMEOUT
            ) as answer:
                return json.loads(answer.read(10_000_000))
        except urllib.error.HTTPError as error:
            if error.code in (403, 429):
                self.closed.add(service)
                token = _TOKENS.get(service)
                remedy = f"set {token}, or ask later" if token else "ask later"
                self.silent.append(f"{service}: no more answers for now ({error.code}); {remedy}")
            else:
                self.silent.append(f"{service}: {path} gave {error.code} {error.reason}")
        except ValueError:
            self.odd(service, path)
        except (OSError, http.client.HTTPException) as error:
            self.closed.add(service)
            reason = " ".join(str(getattr(error, "reason", error)).split())
            self.silent.append(f"{service}: out of reach ({reason}); nothing was counted there")
        return None

    def odd(self, service: str, path: str) -> None:
        """Keep that an answer was not what the service is known to give."""
        self.silent.append(f"{service}: {path} gave something else than expected; nothing was counted there")


def _number(answer: Any, *keys: str) -> int | None:
    """The whole number at these keys of an answer, or None."""
    for key in keys:
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer if type(answer) is int and answer >= 0 else None


def stars(services: Services, names: Iterable[str]) -> dict[str, int]:
    """The stars of repositories ``owner/name`` on GitHub, those that were told."""
    found = {}
    for name in names:
        path = f"/repos/{urllib.parse.quote(name)}"
        answer = services.get("github", path)
        count = _number(answer, "stargazers_count")
        if count is not None:
            found[name] = count
        elif answer is not None:
            services.odd("github", path)
    return found


def citations(services: Services, orcid: str | None, dois: Iterable[str]) -> dict[str, int]:
    """Citations and h-index of a person from OpenAlex; where it knows none, citations of their DOIs from Crossref."""
    if orcid:
        path = f"/authors/orcid:{orcid}"
        answer = services.get("openalex", path)
        count, h_index = _number(answer, "cited_by_count"), _number(answer, "summary_stats", "h_index")
        if count is not None:
            return {"citations": count} | ({"h_index": h_index} if h_index is not None else {})
        if answer is not None:
            services.odd("openalex", path)
    counts = []
    for doi in dois:
        path = f"/works/{urllib.parse.quote(doi)}"
        answer = services.get("crossref", path)
        count = _number(answer, "message", "is-referenced-by-count")
        if count is not None:
            counts.append(count)
        elif answer is not None:
            services.odd("crossref", path)
    return {"citations": sum(counts)} if counts and "crossref" not in services.closed else {}


def works(services: Services, orcid: str | None, known: Iterable[Mapping[str, Any]]) -> list[str]:
    """BibTeX of the works of an ORCID record that no known entry has, by DOI or title."""
    path = f"/v3.0/{orcid}/works"
    answer = services.get("orcid", path) if orcid else None
    if answer is None:
        return []
    try:
        return _new(answer, known)
    except (AttributeError, IndexError, KeyError, TypeError):
        services.odd("orcid", path)
        return []


def _new(answer: Any, known: Iterable[Mapping[str, Any]]) -> list[str]:
    entries = list(known)
    keys = {entry["key"].lower() for entry in entries}
    titles = {_plain(entry["title"]) for entry in entries}
    dois = {entry["facts"]["doi"].lower() for entry in entries if "doi" in entry["facts"]}
    found = []
    for group in answer["group"]:
        summary = group["work-summary"][0]
        title = re.sub(r"</?(?:b|i|em|strong|sub|sup)>", "", _value(summary, "title", "title"))
        doi = next(
            (
                item.get("external-id-value") or ""
                for item in (summary.get("external-ids") or {}).get("external-id") or ()
                if item.get("external-id-type") == "doi"
            ),
            "",
        )
        if title and _plain(title) not in titles and doi.lower() not in dois:
            titles.add(_plain(title))
            found.append(_entry(summary, title, doi, keys))
    return found


def _value(summary: Mapping[str, Any], *path: str) -> str:
    value: Any = summary
    for part in (*path, "value"):
        value = value.get(part) if isinstance(value, dict) else None
    return " ".join(str(value or "").split())


# the entry for a type of ORCID's, and its field for the venue
_ENTRIES = {
    "journal-article": ("article", "journal"), "patent": ("patent", "howpublished"), "book": ("book", "publisher"),
    "book-chapter": ("incollection", "booktitle"), "dissertation-thesis": ("phdthesis", "school"),
    "report": ("techreport", "institution"), "data-set": ("dataset", "publisher"),
    "software": ("software", "publisher"), "preprint": ("misc", "howpublished"),
}  # fmt: skip


def _entry(summary: Mapping[str, Any], title: str, doi: str, keys: set[str]) -> str:
    """An entry to be completed, under a key that is none of ``keys`` yet: ORCID's list of works names no authors."""
    year = _value(summary, "publication-date", "year")
    kind, venue = _ENTRIES.get(str(summary.get("type")), ("inproceedings", "booktitle"))
    word = re.sub(r"\W", "", title.split()[0].lower()) or "work"
    key = next(
        key for letter in ["", *ascii_lowercase, *map(str, range(999))] if (key := f"{word}{year}{letter}") not in keys
    )
    keys.add(key)
    values = {"title": title, "author": "", venue: _value(summary, "journal-title"), "year": year, "doi": doi}
    lines = [f"  {name} = {{{_escaped(value)}}},\n" for name, value in values.items() if value or name == "author"]
    return f"@{kind}{{{key},\n{''.join(lines)}}}\n"


def _escaped(text: str) -> str:
    return re.sub(r"([%&#$_])", r"\\\1", re.sub(r"[{}\\]", "", text))


def _plain(title: str) -> str:
    return "".join(filter(str.isalnum, title.casefold()))


def revised(metrics: str, counted: Mapping[str, int], day: str, whole: bool = True) -> str:
    """The text of metrics.yaml with new numbers, its comments and order kept; with the day, if they are the ``whole``.

    ``counted`` maps ``citations``, ``h_index`` and names of repositories; a new repository is added to the list.
    """
    text = metrics if metrics.strip() else "repositories:\n"
    for name, number in counted.items():
        # a repository stands on a line of its own, or in braces
        before = r"(?:^[ \t]+|[{,][ \t]*)" if "/" in name else "^"
        pattern = re.compile(rf"({before}[\"']?{re.escape(name)}[\"']?\s*:[ \t]*)([^\s#,}}]+)", re.MULTILINE)
        text, done = pattern.subn(rf"\g<1>{number}", text)
        if not done and "/" in name:
            text = _with_repository(text, f"{name}: {number}")
        elif not done:
            text = f"{name}: {number}\n{text}"
    if counted:
        shown = rf"\g<1>{day}" if whole else r"\g<0>"
        text, done = re.subn(r"^(as_of:[ \t]*)\S+", shown, text, flags=re.MULTILINE)
        text = text if done else f"as_of: {day}\n{text}"
    return text


def _with_repository(text: str, line: str) -> str:
    """The text of metrics.yaml with one more repository, written like those that are there."""
    if not re.search(r"^repositories:", text, re.MULTILINE):
        text = f"{text.rstrip()}\nrepositories:\n"
    text, done = re.subn(r"^(repositories:[ \t]*\{[ \t]*)(?=[^\s}])", rf"\g<1>{line}, ", text, flags=re.MULTILINE)
    if done:
        return text
    found = re.search(r"^repositories:.*\n(?:[ \t]*(?:#.*)?\n)*([ \t]+)\S", text, re.MULTILINE)
    pattern = re.compile(r"^(repositories:)(?:[ \t]*(?:\{[ \t]*\}|null|~))?([ \t]*(?:#.*)?)$", re.MULTILINE)
    return pattern.sub(rf"\g<1>\g<2>\n{found[1] if found else '  '}{line}", text)
