"""One entry out of many dialects: classic BibTeX, biblatex and Zotero, arXiv, DBLP, Google Scholar."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote, urlsplit

from bibtexparser.library import Library
from bibtexparser.model import Entry, Field

from advgen.cv.entities import ENTITY, decode_entity
from advgen.cv.tex import decode

Fields = Mapping[str, Field]

VENUES = (
    "_venue", "journal", "journaltitle", "booktitle", "eventtitle", "school", "institution", "howpublished",
    "publisher", "organization",
)  # fmt: skip
LINKS = {"codeurl": "code", "slidesurl": "slides", "talkurl": "talk"}
OWN = ("_venue", "_note", "selected", *LINKS)
# Fields whose value, if it is an address, stands in brackets behind the title under the field's name.
NAMED_LINKS = {
    "arxiv", "blog", "code", "data", "dataset", "demo", "html", "pdf", "poster", "preprint", "project", "slides",
    "software", "supplement", "supp", "talk", "video", "website",
}  # fmt: skip
READ = {
    "_note", "_venue", "address", "archiveprefix", "author", "booktitle", "chapter", "crossref", "date", "doi",
    "edition", "editor", "ee", "eid", "eprint", "eprintclass", "eprinttype", "eventtitle", "holder", "howpublished",
    "institution", "issue", "journal", "journaltitle", "keywords", "link", "location", "month", "note", "number",
    "organization", "pages", "primaryclass", "publisher", "pubstate", "school", "selected", "series", "subtitle",
    "title", "titleaddon", "type", "url", "version", "volume", "xdata", "year",
}  # fmt: skip
# What programs write for themselves.
NOISE = {
    "abstract", "added-at", "adsnote", "adsurl", "annotation", "annote", "articleno", "bdsk-file-1", "bdsk-url-1",
    "bdsk-url-2", "bibsource", "biburl", "citeulike-article-id", "collaboration", "copyright", "creationdate",
    "date-added", "date-modified", "day", "entrysubtype", "eventdate", "eventtitleaddon", "file", "groups",
    "hyphenation", "ids", "interhash", "intrahash", "isbn", "issn", "issue_date", "journalabbr", "key", "keyword",
    "langid", "langidopts", "language", "lccn", "mendeley-groups", "mendeley-tags", "modificationdate",
    "month_numeric", "mrclass", "mrnumber", "mrreviewer", "numpages", "options", "owner", "pagetotal", "place",
    "pmcid", "pmid", "related", "rights", "shortjournal", "shortname", "shorttitle", "timestamp", "urldate",
    "usera", "userb", "username", "venue", "venueid", "zblnumber",
}  # fmt: skip
CITED = (READ - {"_venue", "_note", "selected", "keywords", "link", "crossref", "xdata", "ee"}) | {
    "isbn", "issn", "language",
}  # fmt: skip

# The field that BibTeX requires for where an entry of a type appeared, and those that biblatex takes in its place.
REQUIRED_VENUES = {
    "article": ("journal", "journaltitle"), "inproceedings": ("booktitle",), "conference": ("booktitle",),
    "incollection": ("booktitle",), "phdthesis": ("school", "institution"), "mastersthesis": ("school", "institution"),
    "thesis": ("institution", "school"), "techreport": ("institution",), "report": ("institution",),
    "book": ("publisher",), "inbook": ("publisher", "booktitle"), "unpublished": ("note", "howpublished"),
}  # fmt: skip

_HOLDERS = ("proceedings", "mvproceedings", "collection", "mvcollection", "book", "mvbook", "reference", "periodical")
_NOT_INHERITED = {"title", "subtitle", "shorttitle", "crossref", "xdata", "ids", "url", "doi", "selected", "keywords"}
_KINDS = {
    "article": "journal", "periodical": "journal", "inproceedings": "conference", "conference": "conference",
    "book": "book", "mvbook": "book", "collection": "book", "proceedings": "book", "booklet": "book",
    "reference": "book", "inbook": "chapter", "incollection": "chapter", "inreference": "chapter",
    "bookinbook": "chapter", "suppbook": "chapter", "phdthesis": "phdthesis", "mastersthesis": "phdthesis",
    "thesis": "phdthesis", "patent": "patent", "software": "software", "dataset": "dataset", "techreport": "report",
    "report": "report", "manual": "report", "online": "online", "electronic": "online", "www": "online",
    "unpublished": "preprint",
}  # fmt: skip
_ARXIV_ID = r"(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?"
_PREPRINTS = re.compile(r"arxiv|corr\b|biorxiv|medrxiv|preprint|ssrn|hal\b|openreview", re.IGNORECASE)
_FORTHCOMING = {
    "to_appear": r"to appear|forthcoming|accepted|in preparation|t\.a\.|upcoming",
    "in_press": r"in ?press|in print|im druck|sous presse|en prensa|in stampa",
    "submitted": r"submitted|under review|in review|in submission",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def concatenate(library: Library) -> None:
    """Write each value that ``#`` puts together as one, as BibTeX does: ``nips # { 12}``, ``jun # "--" # jul``.

    Each name stands for the @string before it; with a name that is none, the value stays as it is.
    """
    strings = {month: month for month in _MONTHS}
    for string in library.strings:
        string.value = _joined(str(string.value), strings)
        strings[string.key.lower()] = str(string.value).strip()[1:-1]
    for entry in library.entries:
        for field in entry.fields:
            field.value = _joined(str(field.value), strings)


def _joined(value: str, strings: Mapping[str, str]) -> str:
    parts, depth, quoted, start = [], 0, False, 0
    for index, character in enumerate(value):
        depth += (character == "{") - (character == "}")
        quoted ^= character == '"' and depth == 0
        if character == "#" and depth == 0 and not quoted:
            parts.append(value[start:index].strip())
            start = index + 1
    parts.append(value[start:].strip())
    texts = [
        part[1:-1] if part[:1] in ('"', "{") else part if part.isdigit() else strings.get(part.lower())
        for part in parts
    ]
    known = [text for text in texts if text is not None]
    return f"{{{''.join(known)}}}" if len(parts) > 1 and len(known) == len(parts) else value


def resolve(
    entries: list[Entry], own: Callable[[Entry], bool] = lambda _: False
) -> tuple[list[Entry], list[tuple[Entry, str]]]:
    """The entries with what crossref and xdata lend them; whole volumes that only lend are left out, but for ``own``.

    Returns the entries and, for each reference to no entry, the entry and the key that it names.
    """
    by_key = {entry.key.lower(): entry for entry in entries}
    lost, lent = [], set()
    for entry in entries:
        for name in ("xdata", "crossref"):
            for key in _values(entry, name):
                source = by_key.get(key.lower())
                if source is None or source is entry:
                    lost.append((entry, key))
                else:
                    lent.add(source.key)
                    _inherit(entry, source, name)
    only_lend = [entry.entry_type.lower() in _HOLDERS and entry.key in lent and not own(entry) for entry in entries]
    kept = [entry for entry, lends in zip(entries, only_lend, strict=True) if not lends]
    return [entry for entry in kept if entry.entry_type.lower() not in ("xdata", "set")], lost


def _values(entry: Entry, name: str) -> list[str]:
    found = next((str(field.value) for field in entry.fields if field.key.lower() == name), "")
    return [key.strip() for key in found.split(",") if key.strip()]


def _inherit(entry: Entry, source: Entry, how: str) -> None:
    own = {field.key.lower() for field in entry.fields}
    lent = {field.key.lower(): field for field in source.fields}
    if how == "crossref":
        if "booktitle" not in lent and "title" in lent:
            title = lent["title"]
            lent["booktitle"] = Field("booktitle", title.value, title.start_line)
        lent = {name: field for name, field in lent.items() if name not in _NOT_INHERITED}
        if entry.entry_type.lower() in ("inproceedings", "conference", "incollection"):
            lent.pop("author", None)
    entry.fields = [*entry.fields, *(field for name, field in lent.items() if name not in own)]


def raw(fields: Fields, *names: str) -> str:
    """The text of the first of some fields that has one."""
    return next((text for name in names if name in fields and (text := str(fields[name].value).strip())), "")


def arxiv(fields: Fields) -> str:
    """The arXiv number, from eprint or from where exports hide it; empty if there is none."""
    kind = raw(fields, "archiveprefix", "eprinttype").lower()
    eprint = re.sub(r"^arxiv:\s*", "", raw(fields, "eprint"), flags=re.IGNORECASE)
    if eprint and (kind == "arxiv" or (not kind and re.fullmatch(_ARXIV_ID, eprint))):
        return eprint
    places = (
        (r"10\.48550/arxiv\.", raw(fields, "doi")),
        (r"arxiv:\s*", raw(fields, "number")),
        (r"arxiv:\s*", raw(fields, "note")),
        (r"(?:.*\s)?arxiv:\s*", raw(fields, "journal", "journaltitle")),
        (r"abs/", raw(fields, "volume")),
        (r"https?://(?:www\.)?arxiv\.org/(?:abs|pdf)/", raw(fields, "url", "ee")),
    )
    for before, text in places:
        found = re.match(rf"(?:{before}){_ARXIV_ID}", text, re.IGNORECASE)
        if found:
            return found[1]
    return ""


def _host(address: str) -> str:
    """The host of an address without its www., or nothing; what is no address is told where it is linked."""
    try:
        return (urlsplit(address).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def venue(kind: str, fields: Fields) -> str:
    """What stands for the venue of an entry that names none, as TeX; empty if there is nothing."""
    number, prefix = raw(fields, "number").strip("{}"), raw(fields, "eprinttype", "archiveprefix")
    if found := arxiv(fields):
        return f"arXiv:{found}"
    if raw(fields, "eprint"):
        return f"{prefix}:{raw(fields, 'eprint')}" if prefix else raw(fields, "eprint")
    if kind == "patent":
        country = raw(fields, "type").removeprefix("patent").upper()
        named = country if len(country) == 2 else raw(fields, "type")
        return number if number.startswith(country) else f"{named} {number}".strip()
    if kind in ("software", "dataset") and raw(fields, "version"):
        return f"Version {raw(fields, 'version')}"
    if bare := address(fields):
        return _host(bare)
    url = raw(fields, "url", "link", "ee")
    if url.startswith("http") and kind in ("online", "software", "dataset", "misc", "patent"):
        return _host(url)
    return ""


def address(fields: Fields) -> str:
    """The address in howpublished, if nothing else stands there."""
    found = re.fullmatch(r"(?:\\url\s*)?\{?(https?://[^\s{}]+)\}?", raw(fields, "howpublished"))
    return found[1] if found else ""


def kind(entry_type: str, fields: Fields) -> str:
    """The class of a publication: journal, conference, workshop, book, chapter, preprint, patent, …"""
    found = _KINDS.get(entry_type, "misc")
    where = raw(fields, "_venue", "journal", "journaltitle", "booktitle", "howpublished", "publisher", "note")
    if found == "journal" and _PREPRINTS.search(where):
        return "preprint"
    if found == "conference" and re.search(r"workshop", where, re.IGNORECASE):
        return "workshop"
    if found in ("misc", "online") and (raw(fields, "eprint") or arxiv(fields) or _PREPRINTS.search(where)):
        return "preprint"
    named = (raw(fields, name) for name in ("type", "howpublished", "publisher", "note"))
    if found == "misc" and any(re.match(r"(?:Google |[A-Z]{2} )?patent", text, re.IGNORECASE) for text in named):
        return "patent"
    if found == "misc" and re.match(r"software|dataset", raw(fields, "type", "howpublished"), re.IGNORECASE):
        return raw(fields, "type", "howpublished").lower()[:8].strip()
    return found


def year(fields: Fields) -> tuple[str, str]:
    """Year and month ("" where there is none) of ``year``, ``date`` or the arXiv number; or a word such as in_press."""
    text, month = raw(fields, "year"), _month(raw(fields, "month"))
    state = raw(fields, "pubstate").lower()
    if not text:
        found = re.match(r"(\d{4})(?:-(\d{2}))?", raw(fields, "date"))
        text, month = (found[1], month or str(int(found[2] or 0) or "")) if found else (raw(fields, "date"), month)
    plain = re.sub(r"[{}()~]|\\ ", " ", text).strip(" .,").lower()
    for word, pattern in _FORTHCOMING.items():
        # what is said beside it is no part of the year: see remark
        if re.fullmatch(rf"(?:{pattern})(?:[,;:](?!.*(?:19|20)\d\d).*)?", plain) or (
            not plain and re.fullmatch(pattern, state)
        ):
            return word, ""
        found = re.fullmatch(rf"(?:(?:{pattern}),?\s*(?:in\s+)?)?((?:19|20)\d\d)(?:,?\s*(?:{pattern}))?", plain)
        if found:
            return found[1], month
    if not text and (number := re.match(r"(\d\d)(\d\d)\.\d{4,5}", arxiv(fields))):
        return f"20{number[1]}", str(int(number[2]))
    return text, month


def remark(fields: Fields) -> str:
    """What a ``year`` says beside that a work is submitted or to appear, such as where a preprint is."""
    said = year(fields)[0] in _FORTHCOMING
    return raw(fields, "year").partition(",")[2].strip(" {}") if said else ""


_DOI_PREFIX = re.compile(
    r"(?P<address>(?:https?://)?(?:dx\.|www\.)?doi\.org/)|(?:info:|urn:)?doi[:/]?\s*(?=10\.)", re.IGNORECASE
)
_DOI_MACROS = {
    "textless": "<", "textgreater": ">", "textunderscore": "_", "textbackslash": "\\", "textasciitilde": "~",
    "textasciicircum": "^", "textbar": "|", "slash": "/", "lbrace": "{", "rbrace": "}",
}  # fmt: skip


def doi(text: str) -> str:
    """The DOI in a field, without TeX and address: ``10.``, a number and printable signs; empty if there is none."""

    def plain(match: re.Match[str]) -> str:
        # a macro that stands for no sign makes the whole unprintable
        return _DOI_MACROS.get(match["macro"], "\0") if match["macro"] else match["sign"] or ""

    prefix = _DOI_PREFIX.match(text)
    bare = re.sub(ENTITY, lambda m: decode_entity(m[0]), text[prefix.end() :] if prefix else text)
    signs = r"\\(?P<macro>[A-Za-z]+)(?:\{\}|\s+)?|\\(?P<sign>[^A-Za-z\s])(?:\{\})?|\$(?=[<>]\$)|(?<=[<>])\$|[{}]"
    bare = re.sub(signs, plain, bare)
    if prefix and prefix["address"]:
        bare = unquote(bare)
    return bare if re.fullmatch(r"10\.\d{4,9}(?:\.\d+)*/\S+", bare) and bare.isprintable() else ""


def doi_address(doi: str) -> str:
    """Where a DOI leads to; signs that an address may not hold are percent-encoded."""
    return "https://doi.org/" + quote(doi, safe="/:;()@!$'*,=")


def _month(text: str) -> str:
    """A month as its number; bibtexparser leaves jan, feb, … as they are."""
    found = re.search(r"[A-Za-z]{3}", text)
    if found and found[0].lower() in _MONTHS:
        return str(_MONTHS.index(found[0].lower()) + 1)
    digits = re.fullmatch(r"0?([1-9]|1[0-2])", text)
    return digits[1] if digits else ""


def facts(fields: Fields) -> dict[str, str]:
    """Volume, number, pages, publisher, series, edition, DOI and arXiv number, those that there are, as plain text."""
    found = {
        "volume": raw(fields, "volume"),
        "number": raw(fields, "number", "issue"),
        "pages": re.sub(r"\s*(?:-{1,3}|–|—)\s*", "–", raw(fields, "pages", "eid")),
        "publisher": raw(fields, "publisher"),
        "series": raw(fields, "series"),
        "edition": raw(fields, "edition"),
        "arxiv": arxiv(fields),
    }
    if not raw(fields, *VENUES) and raw(fields, "number"):
        found["number"] = ""  # it stands for the venue
    if found["arxiv"]:
        found["number"] = "" if "arxiv" in found["number"].lower() else found["number"]
        found["volume"] = "" if found["volume"].startswith("abs/") else found["volume"]
    return {name: decode(text) for name, text in found.items() if text}
