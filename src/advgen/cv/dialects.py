"""What an entry says in the dialects of BibTeX: classic, biblatex and Zotero, arXiv, DBLP, Google Scholar."""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from bibtexparser.model import Field

from advgen.cv.entities import ENTITY, decode_entity
from advgen.cv.references import MONTHS
from advgen.cv.tex import decode

Fields = Mapping[str, Field]

VENUE_FIELDS = (
    "_venue", "journal", "journaltitle", "booktitle", "eventtitle", "school", "institution", "howpublished",
    "publisher", "organization",
)  # fmt: skip
LINK_LABELS = {"codeurl": "code", "slidesurl": "slides", "talkurl": "talk"}
CUSTOM_FIELDS = ("_venue", "_note", "selected", *LINK_LABELS)
"""Fields that only this project reads."""
ADDRESS_FIELDS = {
    "arxiv", "blog", "code", "data", "dataset", "demo", "html", "pdf", "poster", "preprint", "project", "slides",
    "software", "supplement", "supp", "talk", "video", "website",
}  # fmt: skip
"""Fields whose web address is linked in brackets behind the title, under the name of the field."""
READ_FIELDS = {
    "_note", "_venue", "address", "archiveprefix", "author", "booktitle", "chapter", "crossref", "date", "doi",
    "edition", "editor", "ee", "eid", "eprint", "eprintclass", "eprinttype", "eventtitle", "holder", "howpublished",
    "institution", "issue", "journal", "journaltitle", "keywords", "link", "location", "month", "note", "number",
    "organization", "pages", "primaryclass", "publisher", "pubstate", "school", "selected", "series", "subtitle",
    "title", "titleaddon", "type", "url", "version", "volume", "xdata", "year",
}  # fmt: skip
IGNORED_FIELDS = {
    "abstract", "added-at", "adsnote", "adsurl", "annotation", "annote", "articleno", "bdsk-file-1", "bdsk-url-1",
    "bdsk-url-2", "bibsource", "biburl", "citeulike-article-id", "collaboration", "copyright", "creationdate",
    "date-added", "date-modified", "day", "entrysubtype", "eventdate", "eventtitleaddon", "file", "groups",
    "hyphenation", "ids", "interhash", "intrahash", "isbn", "issn", "issue_date", "journalabbr", "key", "keyword",
    "langid", "langidopts", "language", "lccn", "mendeley-groups", "mendeley-tags", "modificationdate",
    "month_numeric", "mrclass", "mrnumber", "mrreviewer", "numpages", "options", "owner", "pagetotal", "place",
    "pmcid", "pmid", "related", "rights", "shortjournal", "shortname", "shorttitle", "timestamp", "urldate",
    "usera", "userb", "username", "venue", "venueid", "zblnumber",
}  # fmt: skip
"""Fields that other programs write for themselves."""
_NOT_CITED = {"_venue", "_note", "selected", "keywords", "link", "crossref", "xdata", "ee"}
CITED_FIELDS = (READ_FIELDS - _NOT_CITED) | {"isbn", "issn", "language"}
"""Standard fields, for the BibTeX that readers download."""
REQUIRED_VENUES = {
    "article": ("journal", "journaltitle"), "inproceedings": ("booktitle",), "conference": ("booktitle",),
    "incollection": ("booktitle",), "phdthesis": ("school", "institution"), "mastersthesis": ("school", "institution"),
    "thesis": ("institution", "school"), "techreport": ("institution",), "report": ("institution",),
    "book": ("publisher",), "inbook": ("publisher", "booktitle"), "unpublished": ("note", "howpublished"),
}  # fmt: skip
"""The venue field that BibTeX requires for a type, then those that biblatex accepts instead."""

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
_PREPRINT = re.compile(r"arxiv|corr\b|biorxiv|medrxiv|preprint|ssrn|hal\b|openreview", re.IGNORECASE)
_FORTHCOMING = {
    "to_appear": r"to appear|forthcoming|accepted|in preparation|t\.a\.|upcoming",
    "in_press": r"in ?press|in print|im druck|sous presse|en prensa|in stampa",
    "submitted": r"submitted|under review|in review|in submission",
}
FORTHCOMING = tuple(_FORTHCOMING)
"""Labels that take the place of a year."""
_DOI_PREFIX = re.compile(
    r"(?P<address>(?:https?://)?(?:dx\.|www\.)?doi\.org/)|(?:info:|urn:)?doi[:/]?\s*(?=10\.)", re.IGNORECASE
)
_DOI_MACROS = {
    "textless": "<", "textgreater": ">", "textunderscore": "_", "textbackslash": "\\", "textasciitilde": "~",
    "textasciicircum": "^", "textbar": "|", "slash": "/", "lbrace": "{", "rbrace": "}",
}  # fmt: skip
_DOI_TEX = re.compile(
    r"\\(?P<macro>[A-Za-z]+)(?:\{\}|\s+)?|\\(?P<sign>[^A-Za-z\s])(?:\{\})?|\$(?=[<>]\$)|(?<=[<>])\$|[{}]"
)


def first_text(fields: Fields, *names: str) -> str:
    """Return the text of the first of some fields that is not empty, as TeX."""
    return next((text for name in names if name in fields and (text := str(fields[name].value).strip())), "")


def venue_field(fields: Fields) -> str:
    """Return the name of the field that has the venue, or an empty string."""
    return next((name for name in VENUE_FIELDS if first_text(fields, name)), "")


def arxiv_id(fields: Fields) -> str:
    """Return the arXiv number, from `eprint` or one of the fields where exports put it, or an empty string."""
    kind = first_text(fields, "archiveprefix", "eprinttype").lower()
    eprint = re.sub(r"^arxiv:\s*", "", first_text(fields, "eprint"), flags=re.IGNORECASE)
    if eprint and (kind == "arxiv" or (not kind and re.fullmatch(_ARXIV_ID, eprint))):
        return eprint
    places = (
        (r"10\.48550/arxiv\.", first_text(fields, "doi")),
        (r"arxiv:\s*", first_text(fields, "number")),
        (r"arxiv:\s*", first_text(fields, "note")),
        (r"(?:.*\s)?arxiv:\s*", first_text(fields, "journal", "journaltitle")),
        (r"abs/", first_text(fields, "volume")),
        (r"https?://(?:www\.)?arxiv\.org/(?:abs|pdf)/", first_text(fields, "url", "ee")),
    )
    for prefix, text in places:
        if found := re.match(rf"(?:{prefix}){_ARXIV_ID}", text, re.IGNORECASE):
            return found[1]
    return ""


def find_substitute_venue(kind: str, fields: Fields) -> str:
    """Return what is printed as the venue of an entry without a venue field, as TeX, or an empty string."""
    number, prefix = first_text(fields, "number").strip("{}"), first_text(fields, "eprinttype", "archiveprefix")
    if found := arxiv_id(fields):
        return f"arXiv:{found}"
    if eprint := first_text(fields, "eprint"):
        return f"{prefix}:{eprint}" if prefix else eprint
    if kind == "patent":
        country = first_text(fields, "type").removeprefix("patent").upper()
        office = country if len(country) == 2 else first_text(fields, "type")
        return number if number.startswith(country) else f"{office} {number}".strip()
    if kind in ("software", "dataset") and first_text(fields, "version"):
        return f"Version {first_text(fields, 'version')}"
    if address := address_published(fields):
        return _host(address)
    url = first_text(fields, "url", "link", "ee")
    if url.startswith("http") and kind in ("online", "software", "dataset", "misc", "patent"):
        return _host(url)
    return ""


def _host(address: str) -> str:
    """Return the host of an address without "www."; wrong addresses are reported where they are linked."""
    try:
        return (urlsplit(address).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def address_published(fields: Fields) -> str:
    """Return the web address in `howpublished` if the field has nothing else."""
    found = re.fullmatch(r"(?:\\url\s*)?\{?(https?://[^\s{}]+)\}?", first_text(fields, "howpublished"))
    return found[1] if found else ""


def classify(entry_type: str, fields: Fields) -> str:
    """Return the kind of a publication: journal, conference, workshop, book, chapter, preprint, patent, …"""
    kind = _KINDS.get(entry_type, "misc")
    where = first_text(fields, "_venue", "journal", "journaltitle", "booktitle", "howpublished", "publisher", "note")
    if kind == "journal" and _PREPRINT.search(where):
        return "preprint"
    if kind == "conference" and re.search(r"workshop", where, re.IGNORECASE):
        return "workshop"
    if kind in ("misc", "online") and (first_text(fields, "eprint") or arxiv_id(fields) or _PREPRINT.search(where)):
        return "preprint"
    if kind != "misc":
        return kind
    described = [first_text(fields, name) for name in ("type", "howpublished", "publisher", "note")]
    if any(re.match(r"(?:Google |[A-Z]{2} )?patent", text, re.IGNORECASE) for text in described):
        return "patent"
    medium = first_text(fields, "type", "howpublished")
    return medium.lower()[:8].strip() if re.match(r"software|dataset", medium, re.IGNORECASE) else kind


def read_year(fields: Fields) -> tuple[str, str]:
    """Return year and month ("" if missing) from `year`, `date` or the arXiv number; or a label such as in_press."""
    text, month = first_text(fields, "year"), _read_month(first_text(fields, "month"))
    state = first_text(fields, "pubstate").lower()
    if not text:
        date = first_text(fields, "date")
        found = re.match(r"(\d{4})(?:-(\d{2}))?", date)
        text, month = (found[1], month or str(int(found[2] or 0) or "")) if found else (date, month)
    plain = re.sub(r"[{}()~]|\\ ", " ", text).strip(" .,").lower()
    for label, pattern in _FORTHCOMING.items():
        # a remark after the comma is no part of the year: see read_year_remark
        is_label = re.fullmatch(rf"(?:{pattern})(?:[,;:](?!.*(?:19|20)\d\d).*)?", plain)
        if is_label or (not plain and re.fullmatch(pattern, state)):
            return label, ""
        found = re.fullmatch(rf"(?:(?:{pattern}),?\s*(?:in\s+)?)?((?:19|20)\d\d)(?:,?\s*(?:{pattern}))?", plain)
        if found:
            return found[1], month
    if not text and (number := re.match(r"(\d\d)(\d\d)\.\d{4,5}", arxiv_id(fields))):
        return f"20{number[1]}", str(int(number[2]))
    return text, month


def read_year_remark(fields: Fields) -> str:
    """Return what `year` says besides "submitted" or "to appear", such as where a preprint is."""
    is_forthcoming = read_year(fields)[0] in _FORTHCOMING
    return first_text(fields, "year").partition(",")[2].strip(" {}") if is_forthcoming else ""


def _read_month(text: str) -> str:
    """Return the number of a month; bibtexparser keeps jan, feb, …"""
    found = re.search(r"[A-Za-z]{3}", text)
    if found and found[0].lower() in MONTHS:
        return str(MONTHS.index(found[0].lower()) + 1)
    digits = re.fullmatch(r"0?([1-9]|1[0-2])", text)
    return digits[1] if digits else ""


def parse_doi(text: str) -> str:
    """Return the DOI in a field, without TeX and address: `10.`, a number and printable signs; empty if invalid."""

    def plain(match: re.Match[str]) -> str:
        # an unknown macro makes the whole unprintable, thus invalid
        return _DOI_MACROS.get(match["macro"], "\0") if match["macro"] else match["sign"] or ""

    prefix = _DOI_PREFIX.match(text)
    bare = re.sub(ENTITY, lambda m: decode_entity(m[0]), text[prefix.end() :] if prefix else text)
    bare = _DOI_TEX.sub(plain, bare)
    if prefix and prefix["address"]:
        bare = unquote(bare)
    return bare if re.fullmatch(r"10\.\d{4,9}(?:\.\d+)*/\S+", bare) and bare.isprintable() else ""


def doi_url(doi: str) -> str:
    """Return the address of a DOI, percent-encoded where necessary."""
    return "https://doi.org/" + quote(doi, safe="/:;()@!$'*,=")


def read_facts(fields: Fields) -> dict[str, str]:
    """Return volume, number, pages, publisher, series, edition and arXiv number, if present, as plain text."""
    facts = {
        "volume": first_text(fields, "volume"),
        "number": first_text(fields, "number", "issue"),
        "pages": re.sub(r"\s*(?:-{1,3}|–|—)\s*", "–", first_text(fields, "pages", "eid")),
        "publisher": first_text(fields, "publisher"),
        "series": first_text(fields, "series"),
        "edition": first_text(fields, "edition"),
        "arxiv": arxiv_id(fields),
    }
    if not venue_field(fields) and first_text(fields, "number"):
        facts["number"] = ""  # it is printed as the venue
    if facts["arxiv"]:
        facts["number"] = "" if "arxiv" in facts["number"].lower() else facts["number"]
        facts["volume"] = "" if facts["volume"].startswith("abs/") else facts["volume"]
    return {name: decode(text) for name, text in facts.items() if text}
