"""What other programs export: "AND" between authors, DOIs with any sign, HTML entities; and the BibTeX we offer."""

import html
import json
from pathlib import Path
from urllib.parse import unquote

import pytest

from advgen.cv import dialects
from advgen.cv.formats import render
from advgen.cv.inline import escape, parse, plain_text
from advgen.cv.names import Name, parse_names
from advgen.cv.sources import digest_source
from advgen.cv.templating import UnprintableError
from advgen.cv.tex import decode

from .conftest import METRICS, PROFILE, STAMP, Files, load_text, section, split_authors
from .test_bibliography import entry

# authors


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("A and B AND C", ["A", "B", "C"]),
        ("A\tAnd\nB\n aNd \tC", ["A", "B", "C"]),
        ("bell hooks AND danah boyd", ["bell hooks", "danah boyd"]),
        ("{Rock AND Roll} AND {A and B}", ["Rock AND Roll", "A and B"]),
        ("Brand, A. AND Sand, B.", ["A. Brand", "B. Sand"]),
        # a family name
        ("And, Metin AND Ray, Bo", ["Metin And", "Bo Ray"]),
        ("Bo Ray and Metin And", ["Bo Ray", "Metin And"]),
        ("Metin {And} and Bo Ray", ["Metin And", "Bo Ray"]),
        ("Anders Andersen AND Alexandria Sand", ["Anders Andersen", "Alexandria Sand"]),
    ],
)
def test_names_are_separated_by_and_in_any_case(text: str, names: list[str]):
    assert [name for name, _ in split_authors(text)] == names


@pytest.mark.parametrize("field", ["author", "editor"])
def test_authors_and_editors_around_a_capital_and_are_all_printed(tmp_path: Path, field: str):
    text = entry(author="Bo Ray AND A. Próba\n  And Cy Fox")
    (read,) = load_text(tmp_path, text.replace("author =", f"{field} ="))
    assert [one["name"] for one in read["authors"]] == ["Bo Ray", "A. Próba", "Cy Fox"]


def test_two_separators_in_a_row_are_reported_in_any_case():
    with pytest.raises(ValueError, match="empty name between two separators; remove one, or put a name such as And in"):
        split_authors("A and AND B")


def test_a_name_in_small_letters_keeps_its_given_name(tmp_path: Path):
    assert parse_names("bell hooks and danah m. boyd") == [Name("bell", "hooks"), Name("danah m.", "boyd")]
    text = entry(author="bell hooks")
    (read,) = load_text(tmp_path, text, "bell hooks", given="initials", order="family-first")
    assert plain_text(read["byline"]) == "hooks, B."


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("a", "'a' (U+0061) cannot be printed, why"),
        ("abcd", "'a' (U+0061) cannot be printed (nor 'b', 'c', 'd'), why"),
        ("abcde", "'a' (U+0061) cannot be printed (nor 'b', 'c', 'd' and 1 more), why"),
    ],
)
def test_no_more_are_reported_than_there_are(texts: str, said: str):
    cv = {"name": texts, "email": None, "links": [], "headline": [], "sections": []}
    assert str(UnprintableError(cv, [texts], "why")) == f"the header: {said}"


# DOIs

SICI = "10.1002/(SICI)1097-0258(19980815/30)17:15/16<1661::AID-SIM968>3.0.CO;2-#"
IN_ADDRESS = "https://doi.org/10.1002/(SICI)1097-0258(19980815/30)17:15/16%3C1661::AID-SIM968%3E3.0.CO;2-%23"


@pytest.mark.parametrize(
    ("field", "doi"),
    [
        (SICI, SICI),
        (SICI.replace("<", "$<$").replace(">", "$>$").replace("#", r"\#"), SICI),
        (SICI.replace("<", r"\textless{}").replace(">", r"\textgreater "), SICI),
        (SICI.replace("<", "&lt;").replace(">", "&gt;"), SICI),
        (IN_ADDRESS, SICI),
        (f"https://doi.org/{SICI}", SICI),
        ("DOI: 10.1000.10/a_b", "10.1000.10/a_b"),
        (r"10.1000/a{\_}b\_c\&d\%e", "10.1000/a_b_c&d%e"),
        ("10.1000/é|^`\"'[x]+*~", "10.1000/é|^`\"'[x]+*~"),
        (r"10.1000/\{x\}\textbackslash{}y", r"10.1000/{x}\y"),
        ("10.1000/a&lt2", "10.1000/a&lt2"),
    ],
)
def test_a_doi_may_hold_any_printable_sign(field: str, doi: str):
    assert dialects.parse_doi(field) == doi
    assert unquote(dialects.doi_url(doi).removeprefix("https://doi.org/")) == doi


@pytest.mark.parametrize(
    "field", ["nope", "10.1000", "10.1000/", "11.1000/x", "10.10/x", "10.1000/a b", r"10.1000/\foo"]
)
def test_an_invalid_doi(files: Files, field: str):
    files.write(bibliography=entry(more=f"doi = {{{field}}}"))
    assert any(f"publications.bib:6: {field!r} is not a DOI; write it as 10.1000/182" in one for one in files.errors())


@pytest.mark.parametrize("field", ["doi", "url"])
def test_a_doi_with_angle_brackets_is_a_link_in_every_format(files: Files, field: str):
    value = SICI if field == "doi" else IN_ADDRESS.replace("%3C", "<").replace("%3E", ">")
    profile = PROFILE.replace("  - experiments\n", "").replace("earlier:", "style: {citation: full}\nearlier:")
    files.write(profile, entry(more=f"{field} = {{{value}}}").replace("A. Próba", "Ádám Próba"))
    cv = files.build()
    (read,) = section(cv, "publications")["groups"][0]["entries"]
    assert read["url"] == IN_ADDRESS
    named = field == "doi"
    made = {kind: render(kind, cv, {}, STAMP).decode() for kind in ("html", "md", "tex", "resume.json")}
    assert html.escape(IN_ADDRESS) in made["html"]
    assert IN_ADDRESS in made["md"]
    assert IN_ADDRESS.replace("%", r"\%") in made["tex"]
    assert json.loads(made["resume.json"])["publications"][0]["url"] == IN_ADDRESS
    assert render("pdf", cv, {}, STAMP).startswith(b"%PDF")
    if named:
        assert f"doi:{html.escape(SICI)}" in made["html"]
        assert r"AID-SIM968\textgreater{}" in made["tex"]
        assert r"\<1661::AID-SIM968\>" in made["md"]


# HTML entities


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        ("R&amp;D", "R&D"),
        (r"R\&amp;D and {\&}amp; R&amp;amp;D", "R&D and & R&D"),
        ("Caf&eacute; &#233; &#xE9; &#XE9;", "Café é é é"),
        (r"Caf\&eacute; &\#233; \&\#xE9;", "Café é é"),
        ("Caf&amp;eacute;", "Café"),
        ("a &lt; b &gt; c", "a < b > c"),
        ("&#123;&#125;&#92;&#36;&#37;&#38;&#35;&#95;&#94;&#126;", "{}\\$%&#_^~"),
        ("1&ndash;2 &hellip; &Alpha; &nbsp;x&#8212;", "1–2 … Α x—"),
        (r"$a &lt; b^2$", "a < b²"),
        # no entities
        (r"Q\&A; R&D; AT&T &Co; &;", "Q&A; R&D; AT&T &Co; &;"),
        ("&#0; &#xD800; &#7; &unheard;", "&#0; &#xD800; &#7; &unheard;"),
        (r"\&{}eacute;", "&eacute;"),
        # an address stays as it is
        ("https://e.org/?a=1&lt;=2 &lt;", "https://e.org/?a=1&lt;=2 <"),
    ],
)
def test_entities_in_bibtex(tex: str, text: str):
    assert decode(tex) == text


def test_entities_in_every_field_of_an_entry(tmp_path: Path):
    (read,) = load_text(
        tmp_path,
        entry(
            title="Na&iuml;ve R&amp;D",
            author="Pr&oacute;ba, A. and M&uuml;ller&dagger;, Zo\\&euml;",
            more="_note = {&Eacute;loge}, keywords = {R&amp;D; caf&eacute;}, pages = {1&ndash;5},\n"
            "  publisher = {X &amp; Y}, url = {https://e.org/?a=1&copy;=2}",
        ).replace("{J}", "{J&ouml;urnal}"),
        citation="full",
    )
    assert [read[key] for key in ("title", "venue", "note", "tags", "url")] == [
        "Naïve R&D", "Jöurnal", "Éloge", ["R&D", "café"], "https://e.org/?a=1&copy;=2",
    ]  # fmt: skip
    assert [(one["name"], one["mark"]) for one in read["authors"]] == [("A. Próba", ""), ("Zoë Müller", "†")]
    assert [read["facts"][key] for key in ("pages", "publisher")] == ["1–5", "X & Y"]
    assert r"title = {Naïve R\&D}" in read["bibtex"]
    assert "url = {https://e.org/?a=1&copy;=2}" in read["bibtex"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Caf&eacute; &amp; &#233;", "Café & é"),
        ("**&lt;b&gt;** and &#42;x&#42;", "<b> and *x*"),
        (r"the entity \&eacute;, R\&D, AT&T;", r"the entity &eacute;, R\&D, AT&T;"),
        ("&amp;eacute;", "&eacute;"),
        ("see https://e.org/?a&lt;b &lt;", "see https://e.org/?a&lt;b <"),
    ],
)
def test_entities_in_a_text_of_the_profile(text: str, shown: str):
    assert plain_text(parse(text)) == shown


@pytest.mark.parametrize("text", ["&eacute;", r"\&eacute;", "a&#42;b", "&amp;lt;", "&"])
def test_escaped_entities_are_plain_text(text: str):
    assert plain_text(parse(escape(text))) == text


def test_entities_in_names_labels_and_links_of_the_profile(files: Files):
    profile = PROFILE.replace("name: Ádám Próba", "name: '&Aacute;d&aacute;m Pr&oacute;ba'").replace(
        '"@proba", url: "https://social.example.org/@proba"', '"A &amp; B", url: "https://social.example.org/?a&copy;b"'
    )
    files.write(profile.replace("Member, detail: of A & B", "Member, detail: '[of &lt;A](https://e.org/?a&lt;b)'"))
    cv = files.build()
    (link,) = cv["links"]
    assert [cv["name"], link["label"], link["url"]] == ["Ádám Próba", "A & B", "https://social.example.org/?a&copy;b"]
    assert section(cv, "service")["rows"][1]["lines"] == [[{"link": ["of <A"], "url": "https://e.org/?a&lt;b"}]]


def test_braces_from_entities_are_no_live_value(files: Files):
    files.write(PROFILE.replace("detail: of A & B", "detail: '&#123;&#123; x &#125;&#125;'"))
    assert section(files.build(), "service")["rows"][1]["lines"] == [["{{ x }}"]]


# the BibTeX that is offered


@pytest.mark.parametrize(
    ("kind", "given", "added"),
    [
        ("article", "_venue = {JoT \\& Co}", r"journal = {JoT \& Co}"),
        ("inproceedings", "_venue = {ICML 2020}", "booktitle = {ICML 2020}"),
        ("conference", "journal = {Proc. of Tests}", "booktitle = {Proc. of Tests}"),
        ("incollection", "_venue = {Handbook}", "booktitle = {Handbook}"),
        ("phdthesis", "_venue = {U. of Nowhere}", "school = {U. of Nowhere}"),
        ("thesis", "_venue = {U. of Nowhere}", "institution = {U. of Nowhere}"),
        ("techreport", "_venue = {Works}", "institution = {Works}"),
        ("book", "_venue = {Testers}", "publisher = {Testers}"),
        ("unpublished", "_venue = {In preparation}", "note = {In preparation}"),
        ("misc", "_venue = {Blog_1}", r"howpublished = {Blog\_1}"),
        ("article", "eprint = {2403.01234}, archiveprefix = {arXiv}", "journal = {arXiv:2403.01234}"),
    ],
)
def test_the_bibtex_that_is_offered_names_the_venue(tmp_path: Path, kind: str, given: str, added: str):
    text = f"@{kind}{{k, title = {{T}}, author = {{A. Próba}}, year = 2020, {given}}}\n"
    (read,) = load_text(tmp_path, text)
    assert f"  {added},\n" in read["bibtex"]
    assert "_venue" not in read["bibtex"]
    # what is offered is read as it was
    (again,) = load_text(tmp_path, read["bibtex"])
    assert [again[key] for key in ("venue", "year", "title")] == [read[key] for key in ("venue", "year", "title")]


@pytest.mark.parametrize(
    ("given", "without"),
    [
        ("journal = {Journal of Tests}, _venue = {JoT}, year = 2020", "JoT}"),
        ("journaltitle = {Journal of Tests}, date = {2020-05}", "journal = "),
        ("journal = {J}, date = {2020-05}", "year ="),
        ("journal = {J}, year = {to appear}", "howpublished"),
    ],
)
def test_the_bibtex_that_is_offered_keeps_what_was_written(tmp_path: Path, given: str, without: str):
    (read,) = load_text(tmp_path, f"@article{{k, title = {{T}}, author = {{A. Próba}}, {given}}}\n")
    assert without not in read["bibtex"]


def test_the_year_of_an_arxiv_number_is_offered(tmp_path: Path):
    text = "@misc{k, title = {T}, author = {A. Próba}, eprint = {2403.01234}, archiveprefix = {arXiv}}\n"
    (read,) = load_text(tmp_path, text)
    assert "  year = {2024},\n" in read["bibtex"]


# dates


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("updated: 2025-03-04", "updated: '2025-03-04'"),
        ("updated: 2025-03-04", "updated: '2025-3-4'"),
        ("updated: 2025-03-04", "updated: 2025-03-04T10:00:00Z"),
        ("earlier: 2001", "earlier: '2001'"),
        ("year: 2010", "year: '2010'"),
        ("start: 2019", "start: '2019'"),
        ("start: 2014, end: 2015", "start: '2014', end: '2015'"),
        ("date: 2024", "date: '2024'"),
    ],
)
def test_dates_of_the_profile_may_be_in_quotes(files: Files, old: str, new: str):
    before = files.build()
    assert old in PROFILE
    files.write(PROFILE.replace(old, new))
    assert files.build() == before


def test_days_of_items_may_be_in_quotes(files: Files):
    built = []
    for day in ("2024-9-1", "'2024-9-1'", "'2024-09-01'"):
        files.write(
            PROFILE.replace("Nowhere, date: 2024", f"Nowhere, date: {day}").replace("start: 2019", f"start: {day}")
        )
        built.append(files.build())
    assert built[0] == built[1] == built[2]


@pytest.mark.parametrize("day", ["'2025-03-01'", "2025-03-01 10:00:00"])
def test_the_day_of_the_metrics_may_be_in_quotes(files: Files, day: str):
    before = files.build()
    files.write(metrics=METRICS.replace("2025-03-01", day))
    assert files.build() == before


# what a study reruns for


@pytest.mark.parametrize(
    ("name", "old", "new", "same"),
    [
        ("x.yaml", "a: 1\nb: 2\n", "# remark\nb:   2\n\na: 1\n", True),
        ("x.yaml", "a: 1\nb: 2\n", "a: 1\nb: 3\n", False),
        ("x.yaml", "a: 2025-01-01\n", "a: '2025-01-01'\n", False),
        # the other generator prints its links in their order
        ("x.yaml", "name: {first: A}\nsocial: {x: a, y: b}\n", "name: {first: A}\nsocial: {y: b, x: a}\n", False),
        ("x.bib", entry(), "% remark\n@comment{x}\n" + entry().replace("  title", "\n\ttitle"), True),
        ("x.bib", entry(), entry(title="U"), False),
        # errors that stop a build
        ("x.bib", entry(), entry().replace("{J}", "J"), False),
        ("x.bib", entry(), entry(more="year = {2020}"), False),
        ("x.bib", entry(), "text\n" + entry(), False),
    ],
)
def test_a_digest_follows_what_a_file_says(tmp_path: Path, name: str, old: str, new: str, same: bool):
    path = tmp_path / name
    path.write_text(old, encoding="utf-8")
    before = digest_source(path)
    path.write_text(new, encoding="utf-8")
    assert (digest_source(path) == before) is same
