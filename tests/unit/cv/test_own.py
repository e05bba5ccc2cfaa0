"""What a profile may choose: sections of its own, groups, words, styles, themes, templates."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from advgen import cli
from advgen.cv.formats import render
from advgen.cv.inline import plain_text
from advgen.cv.labels import LANGUAGES, load_labels
from advgen.cv.themes import BUILT_IN

from .conftest import NEEDS_LATEX, NEEDS_PDFTOTEXT, STAMP, Cv, Files, build_text, publications, section
from .reading import PRINTED, bare, list_printed, printed_text, read_back
from .test_command import arguments

COMMONMARK = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")

PROFILE = """\
name: Ádám Próba
updated: 2025-03-04
order:
  - about
  - grants
  - section: publications
    group: type
  - patents
  - exhibitions
  - languages
sections:
  about: {type: text, text: [I *test*., Twice.]}
  grants:
    type: entries
    title: Grants & Funds
    items:
      - {title: A Grant, organization: Fund & Co., start: 2019-09, details: ["10,000 €", with Bea]}
      - {title: Another, url: "https://g.example.org", start: 2011, end: 2012-03, tags: [small],
         links: [{label: report, url: "https://g.example.org/r"}]}
      - {title: Third, end: 2010}
      - {title: Fourth, date: 2024-05-06}
  patents: {type: bibliography, types: [patent]}
  exhibitions: {type: list, items: [Gallery of Tests, "Museum, 100%"]}
  languages: {type: table, columns: [Language, Level], rows: [[Magyar, native], [English, "good & quick"]]}
"""
BIB = """\
@article{a, title={Old Journal}, author={Ádám Próba}, journal={JoT}, year={2001}, keywords={x, y}}
@inproceedings{b, title={A Workshop Paper}, author={Ádám Próba}, booktitle={Workshop on Tests}, year={2003}}
@patent{p, title={A Machine}, author={Ádám Próba}, number={1}, type={patentus}, year={2002}}
@article{c, title={New Journal}, author={Ádám Próba}, journal={JoT}, year={2004}, keywords={y}}
@misc{d, title={Preprint}, author={Ádám Próba}, eprint={2001.00001}, archiveprefix={arXiv}, year={2020}}
"""


def made(folder: Path, profile: str = PROFILE, bib: str | None = BIB, **choice: Any) -> Cv:
    return build_text(folder, profile, bib, **choice)


def build_formats(folder: Path, profile: str) -> None:
    """Run the command for what a person can write templates for."""
    files = Files(folder)
    files.write(profile, BIB)
    cli.main(arguments(files, folder / "out", "--formats", "md", "html", "tex", "pdf"))


def groups(cv: dict[str, Any], name: str = "publications") -> list[tuple[str, list[str]]]:
    return [(group["title"], [entry["key"] for entry in group["entries"]]) for group in section(cv, name)["groups"]]


def test_custom_sections(tmp_path: Path):
    cv = made(tmp_path)
    assert [(item["id"], item["title"], item["kind"]) for item in cv["sections"]] == [
        ("about", "About", "prose"),
        ("grants", "Grants & Funds", "rows"),
        ("publications", "Publications", "publications"),
        ("patents", "Patents", "publications"),
        ("exhibitions", "Exhibitions", "list"),
        ("languages", "Languages", "table"),
    ]
    assert [(plain_text(row["text"]), row["dates"]) for row in section(cv, "grants")["rows"]] == [
        ("A Grant, Fund & Co.", "Sep 2019 – Present"),
        ("Another [report]", "2011 – Mar 2012"),
        ("Third", "until 2010"),
        ("Fourth", "May 6, 2024"),
    ]
    assert groups(cv) == [("Journal Articles", ["c", "a"]), ("Workshop Papers", ["b"]), ("Preprints", ["d"])]
    assert groups(cv, "patents") == [("2002", ["p"])]


def test_tables_and_texts_are_in_every_format(tmp_path: Path):
    cv = made(tmp_path)
    page, text = render("html", cv, {}, STAMP).decode(), COMMONMARK.render(render("md", cv, {}, STAMP).decode())
    resume = render("resume.json", cv, {}, STAMP).decode()
    assert all(title in resume for title in ("A Grant", "Museum, 100%", "native"))
    assert all(cell in source for cell in ("Magyar", "native", "Language") for source in (page, text))
    assert "<th>Language</th>" in text


@NEEDS_PDFTOTEXT
def test_a_table_with_a_long_cell_stays_inside_the_margin(tmp_path: Path):
    long = "a long cell of many words " * 8
    cv = made(tmp_path, PROFILE.replace("[Magyar, native]", f"[{long}, Sum]"))
    (end,) = re.findall(r'xMax="([\d.]+)"[^>]*>Sum<', printed_text(cv, tmp_path, "-bbox"))
    assert float(end) < 595.28 - 23 / 25.4 * 72  # points: A4 less the margin of 23 mm


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("year", [("2020", ["d"]), ("2004", ["c"]), ("2003", ["b"]), ("2001", ["a"])]),
        ("tag", [("Other", ["d", "b"]), ("y", ["c"]), ("x", ["a"])]),
        ("venue", [("arXiv", ["d"]), ("JoT", ["c", "a"]), ("Workshop on Tests", ["b"])]),
        ("none", [("", ["d", "c", "b", "a"])]),
    ],
)
def test_groups(tmp_path: Path, by: str, expected: list[Any]):
    cv = made(tmp_path, PROFILE.replace("group: type", f"group: {by}"))
    assert groups(cv) == expected
    assert [entry["number"] for entry in publications(cv)] == [1, 2, 3, 4]


def test_what_has_no_venue_has_a_heading_too(tmp_path: Path):
    bib = BIB + "@book{z, title={Z}, author={Ádám Próba}, year={1990}}\n"
    assert groups(made(tmp_path, PROFILE.replace("group: type", "group: venue"), bib))[-1] == ("Other", ["z"])


def test_a_section_of_the_selected_has_no_marks(tmp_path: Path):
    bib = BIB.replace("keywords={y}", "selected={true}")
    cv = made(tmp_path, PROFILE.replace("types: [patent]", "selected: true"), bib)
    assert [entry["selected"] for group in section(cv, "patents")["groups"] for entry in group["entries"]] == [False]
    assert not section(cv, "patents")["highlighted"] and section(cv, "publications")["highlighted"]


def test_a_second_bibliography_in_a_file_of_its_own(tmp_path: Path):
    (tmp_path / "patents.bib").write_text(BIB.splitlines()[2], encoding="utf-8")
    profile = PROFILE.replace("types: [patent]", "file: patents.bib")
    cv = made(tmp_path, profile, BIB.replace(BIB.splitlines()[2], ""))
    assert groups(cv, "patents") == [("2002", ["p"])]
    assert "p" not in [key for _, keys in groups(cv) for key in keys]


def test_no_bibliography_is_asked_for_where_there_is_none(tmp_path: Path):
    profile = PROFILE.replace("  - section: publications\n    group: type\n  - patents\n", "")
    profile = profile.replace("  patents: {type: bibliography, types: [patent]}\n", "")
    cv = made(tmp_path, profile, None)
    assert "publications" not in [item["id"] for item in cv["sections"]]
    cli.main(["cv", "build", "--profile", str(tmp_path / "profile.yaml"), "--out", str(tmp_path), "--formats", "md"])
    assert (tmp_path / "cv.md").is_file()


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("type: list", "type: lost", r"profile\.yaml:23: sections\.exhibitions\.type is 'lost'; write entries"),
        ("- about", "- abuot", r"profile\.yaml:4: order has no section 'abuot'; did you mean 'about'\?"),
        ("  about: {type: text", "  talks: {type: text", r"profile\.yaml:12: 'talks' is a built-in section; choose"),
        ("  - about", "  - {section: about, group: year}", r"profile\.yaml:4: group is for publications; remove"),
        ("[English, ", "[English, well, ", r"sections\.languages has 3 cells in row 2, not 2; write as many in every"),
        ("{type: bibliography, types: [patent]}", "{type: bibliography}", r"needs file, types, tags or selected; with"),
        ("title: A Grant", "titel: A Grant", r"unknown key 'sections\.grants\.items\.0\.titel'; did you mean 'title'"),
        ("updated:", "labels: {presnt: x}\nupdated:", r"profile\.yaml:2: unknown label 'presnt'; did you mean 'pres"),
        ("updated:", "labels: {months: a b}\nupdated:", r"months has 2 words; write the twelve months"),
    ],
)  # fmt: skip
def test_mistakes_are_reported(tmp_path: Path, old: str, new: str, what: str):
    with pytest.raises(ValueError, match=what):
        made(tmp_path, PROFILE.replace(old, new))


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_of_each_language(tmp_path: Path, language: str):
    words = load_labels(language)
    assert words.keys() == load_labels().keys()
    assert len(words["months"].split()) == len(words["months_short"].split()) == 12
    cv = made(tmp_path, f"{PROFILE}language: {language}\nlabels: {{publications: Papers}}\n")
    month = words["months"].split()[2]
    for format_ in ("html", "md", "tex", "pdf"):
        text = render(format_, cv, {}, STAMP)
        assert format_ in ("pdf", "tex") or month in text.decode()
    assert section(cv, "publications")["title"] == "Papers"
    assert section(cv, "grants")["rows"][0]["dates"].endswith(words["present"])


def test_a_year_may_stand_in_quotes(tmp_path: Path):
    cv = made(tmp_path, PROFILE.replace("start: 2019-09", "start: '2019'"))
    assert section(cv, "grants")["rows"][0]["dates"] == "2019 – Present"


def test_the_words_of_a_german_cv(tmp_path: Path):
    cv = made(tmp_path, f"{PROFILE}language: de\n")
    text = render("md", cv, {}, STAMP).decode()
    headings = ("## Veröffentlichungen", "### Zeitschriftenartikel")
    for what in ("Stand: 4. März 2025", *headings, "Sep. 2019 – heute", "bis 2010"):
        assert what in text


@pytest.mark.parametrize("format_", PRINTED)
@pytest.mark.parametrize("theme", BUILT_IN)
def test_every_theme_prints_every_entry(tmp_path: Path, theme: str, format_: str, caplog: pytest.LogCaptureFixture):
    cv = made(tmp_path, f"{PROFILE}theme: {theme}\n")
    found, expected = read_back(cv, format_, {}, STAMP, tmp_path), list_printed(cv)
    if format_ == "docx":
        assert found == expected
    elif format_.endswith("pdf"):
        assert "".join(found["languages"]).endswith(bare("English good & quick"))
    unlisted = ("about", "languages")
    assert found.items() >= {name: texts for name, texts in expected.items() if name not in unlisted}.items()
    assert format_ != "html" or f'<body class="{theme}">' in render("html", cv, {}, STAMP).decode()
    assert "not PDF/UA-1" not in caplog.text


def test_custom_templates(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/cv.md.j2").write_text("mine: {{ cv.name }}\n<!-- {{ stamp }} -->\n")
    (tmp_path / "mine/cv.css").write_text("p { color: red; }")
    (tmp_path / "mine/cv.typ").write_text(
        "#let cv = json(bytes(sys.inputs.cv))\n#set document(title: cv.name, keywords: sys.inputs.keyword)\n"
        '#set text(lang: "en")\nMine'
    )
    build_formats(tmp_path, f"{PROFILE}templates: mine\n")
    assert (tmp_path / "out/cv.md").read_text().startswith("mine: Ádám Próba\n")
    page = (tmp_path / "out/cv.html").read_text()
    assert "p { color: red; }" in page and "<h1>Ádám Próba</h1>" in page
    assert (tmp_path / "out/cv.tex").read_text().startswith("\\documentclass")


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("cv.md.j2", "{% if x %}", r"cv\.md\.j2:1: Unexpected end of template"),
        ("cv.md.j2", "\n{{ cv.nmae }}", r"cv\.md\.j2:2: 'dict object' has no attribute 'nmae'; correct this template"),
        ("cv.html.j2", "{{ cv.name | shout }}", r"cv\.html\.j2:1: No filter named 'shout'; correct this template"),
        ("cv.tex.j2", "<< 1 / 0 >>", r"cv\.tex\.j2:1: division by zero; correct this template"),
        ("cv.md.j2", "{% include 'x' %}", r"cv\.md\.j2:1: 'x' not found in search path"),
        ("cv.md.j2", "{% include 'x' %}", r"search paths?; correct this template$"),
        ("cv.md.j2", "M\udcffnchen", r"mine/cv\.md\.j2:1: byte 1 is not UTF-8; save the file as UTF-8$"),
        ("cv.typ", "Mine\n#let x = (", r"mine/cv\.typ:2: unclosed delimiter; correct this file"),
        ("cv.typ", "Mine\n\n#panic(1)", r"mine/cv\.typ:3: panicked with: 1; correct this file"),
        ("cv.txt", "", r"profile\.yaml:25: templates: \S+ has no template; put one of cv\.css, cv\.html\.j2,"),
    ],
)
def test_a_mistake_in_a_custom_template_is_reported_with_its_line(tmp_path: Path, name: str, text: str, what: str):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(SystemExit, match=what) as caught:
        build_formats(tmp_path, f"{PROFILE}templates: mine\n")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@NEEDS_LATEX
def test_a_mistake_in_custom_latex_is_reported_with_its_text(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/cv.tex.j2").write_text("\\documentclass{article}\\begin{document}\nMine \\nosuch{}")
    what = rf"^{tmp_path}/mine/cv\.tex\.j2: Undefined control sequence at 'Mine .*nosuch'; correct this template$"
    with pytest.raises(ValueError, match=what):
        render("latex.pdf", made(tmp_path, PROFILE), {}, STAMP, [tmp_path / "mine"])


def test_a_selection_has_no_marks(tmp_path: Path):
    bib = BIB.replace("keywords={y}", "selected={true}")
    profile = PROFILE.replace("  - patents\n", "")
    assert publications(made(tmp_path, profile, bib))[0]["selected"]
    cv = made(tmp_path, profile, bib, selected=True)
    assert [(p["title"], p["selected"]) for p in publications(cv)] == [("New Journal", False)]
    assert "highlighted" not in render("html", cv, {}, STAMP).decode().split("<main>")[1]


def test_linked_data_name_the_person_and_each_work_once(tmp_path: Path):
    more = "doi={10.1000/x}, pages={1--2}, selected={true}, _note={Oral}"
    old = "author={Ádám Próba}, journal={JoT}, year={2004}"
    bib = BIB.replace(old, f"author={{{{The Test Team}} and Ádám Próba}}, journal={{</script>}}, year={{2004}}, {more}")
    profile = PROFILE.replace("types: [patent]", "selected: true")
    page = render("html", made(tmp_path, f"{profile}site: https://a.example.org\n", bib), {}, STAMP).decode()
    (text,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL)
    data = json.loads(text)
    assert data["@context"] == "https://schema.org"
    person, *works = data["@graph"]
    assert person == {"@type": "Person", "@id": "#person", "name": "Ádám Próba", "url": "https://a.example.org"}
    assert sorted((work["name"], work["@type"]) for work in works) == [
        ("A Machine", "CreativeWork"), ("A Workshop Paper", "ScholarlyArticle"), ("New Journal", "ScholarlyArticle"),
        ("Old Journal", "ScholarlyArticle"), ("Preprint", "ScholarlyArticle"),
    ]  # fmt: skip
    assert next(work for work in works if work["name"] == "New Journal") == {
        "@type": "ScholarlyArticle", "name": "New Journal", "datePublished": "2004", "pagination": "1–2",
        "author": [{"@type": "Organization", "name": "The Test Team"}, {"@id": "#person"}],
        "isPartOf": {"@type": "CreativeWork", "name": "</script>"}, "url": "https://doi.org/10.1000/x",
        "identifier": {"@type": "PropertyValue", "propertyID": "doi", "value": "10.1000/x"},
        "award": "Oral", "keywords": ["y"],
    }  # fmt: skip


def test_a_link_says_what_it_is(tmp_path: Path):
    links = {
        "https://github.com/proba": ("proba", "GitHub: proba"),
        "https://orcid.org/1": ("ORCID 1", "ORCID 1"),
        "https://x.com/maxim": ("maxim", "X: maxim"),
        "https://scholar.google.com/citations?user=1": ("Scholar", "Scholar"),
        "https://www.dblp.org/pid/1": ("proba", "DBLP: proba"),
    }
    given = ", ".join(f'{{label: {label}, url: "{url}"}}' for url, (label, _) in links.items())
    cv = made(tmp_path, f"{PROFILE}links: [{given}]\n")
    assert {link["url"]: link["label"] for link in cv["links"]} == {url: printed for url, (_, printed) in links.items()}
