"""Files of bamos/cv, read directly and converted. The person is invented."""

import json
import logging
import re
from pathlib import Path

import pytest
import yaml
from tests.unit.cv.conftest import publications, section

from advgen import cli
from advgen.cv import foreign
from advgen.cv.build import build
from advgen.cv.inline import parse, plain_text
from advgen.cv.yaml_files import read

READER = foreign.load_reader(Path("cv.yaml"))
CV = r"""
name:
  first: Ádám
  last: Próba
email: adam@example.org
pdf: /data/cv.pdf
src: https://example.org/cv
url: "proba.example.org"
phone: +36 1 555 0100
social:
  github: proba
  twitter: proba2
  linkedin: in-proba
  google_scholar: AbC
  mastodon: proba
style: banking
color: blue
color2: '0.25,0.25,0.25'
order:
  - [about, NONE]
  - [current_position, Current Position]
  - [education, Education]
  - [positions, Previous Positions]
  - [honors, Honors \& Awards]
  - [all_publications, Publications]
  - [NEWPAGE, NEWPAGE]
  - [repos, Repositories]
  - [talks, Invited Talks]
  - [advising, Interns and Students]
  - [service, Professional Activities]
  - [teaching, Teaching]
  - [skills, Skills]
about: '
  I work on <b>tests</b>.
<br>'
current_position:
  - place: Works \& Co.
    location: Testville
    title: Tester
    dates: 2019 -- Present
education:
  - school: University of Nowhere
    location: Nowhere, NW
    degree: Ph.D.~in Tests
    dates: 2014 -- 2019
    overallGPA: 0.00/0.00
    majorGPA: 4.00/4.00
    details:
      - "Thesis: \\textit{\\href{https://example.org/t_1}{On Tests}}"
      - "Advisor: \\href{http://minta.example.org}{Bea Minta}"
positions:
  - place: Labs
    title: Intern
    dates: 2013
    inline_detail: "with \\href{https://x.example.org/?a=1&b=2}{Cy Fox} on C\\#, {\\bf C++} and 100\\%"
  - place: Works
    location: Elsewhere
    title: Student
    dates: Sep 2011 -- May 2012
honors:
  - title: Five scholarships
    year: 2011 -- 2014
    descr: |
      Salem--Roanoke Chamber,
      F.~Bock
  - title: A Medal
    year: 2010
    url: https://medal.example.org
all_publications:
  name: "Pr"
  file: all.bib
  sort_bib: True
  include_image: True
  group_by_year: True
  author_urls:
    'Bea': 'https://minta.example.org/'
    'Michal Rol': 'https://rol.example.org/~m?x=1&y=2'
    'Nobody': 'https://nobody.example.org/'
repos:
  - repo_url: https://github.com/proba/one
    year: 2021
    desc: Ph.D.~Thesis \LaTeX{} source
  - repo_url: https://code.example.org/proba/two
    www: https://two.example.org
    year: 2012
talks:
  - year: 2022
    title: On tests
    location: "Nowhere (Guest Lecture)"
    url: https://talk.example.org
  - year: 2021
    location: Columbia
advising:
  - year: 2018
    name: Dee Dum
    details: "(at CMU, now: CEO at \\href{https://gather.example.org/}{Gather})"
    url: https://dee.example.org/
service:
  reviewing:
    - "Journal of Tests (JoT)"
    - Annals of Security \& Privacy
  main:
    - details: Workshop Organizer
      year: 2020
      url: https://w.example.org
skills:
  - title: Programming
    details: C, C++,
      Fortran
teaching:
  - semester: S2017
    name: Graduate Tests
    short: UN 15-780
    position: TA
"""

BIB = r"""
@inproceedings{one,
  title={{{One Test}}},
  author={Pr{\'o}ba*, {\'A}d{\'a}m and Minta*, Bea and Michal Rol{\'\i}nek$^{\dagger}$},
  booktitle={ICML},
  _venue={ICML},
  year={2020},
  _venue={ICML},
  codeurl={https://github.com/proba/one},
  selected={true},
  _note={Oral},
  abstract={
    A 100\% test of $x_{q}$ & more.
  }
}

@article{two,
  title={Two {T}ests},
  author={{\'A}. Pr{\'o}ba and
    Cy Fox},
  journal={},
  _venue={VT},
  _codeurl={https://example.org/not-yet},
  _old_note={Best},
  year={2012},
  link={https://example.org/two.pdf}
}
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    (tmp_path / "publications").mkdir()
    (tmp_path / "publications/all.bib").write_text(BIB, encoding="utf-8")
    (tmp_path / "cv.yaml").write_text(CV, encoding="utf-8")
    (tmp_path / "metrics.yaml").write_text(
        "as_of: 2023-12-05\nrepositories: {proba/one: 12, proba/two: 1.5k}\n", encoding="utf-8"
    )
    return tmp_path


def made(old: Path) -> dict:
    return build(old / "cv.yaml", old / "publications/all.bib", old / "metrics.yaml", lambda reference: 1)


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"\href{https://e.org/a\_b\%20c}{\textit{x \& y}}", r"[*x & y*](https://e.org/a_b%20c)"),
        (r"{\bf Scala}, \textbf{a {\it b}} and \emph{c}", "**Scala**, **a *b*** and *c*"),
        (r"\url{https://e.org}", "[https://e.org](https://e.org)"),
        ("<b>bold</b> a<br>b", "**bold** a b"),
        (r"C\#, 100\%, 5 * 3, [x], a~b--c", r"C#, 100%, 5 \* 3, \[x\], a b–c"),
        (r"Caf\'e ``quoted''", "Café “quoted”"),
    ],
)
def test_latex_strings(tex: str, text: str):
    assert READER.markup(tex) == text
    parse(text)


@pytest.mark.parametrize(
    "tex", [r"\href{https://e.org}", r"\textbf{a", r"\input{x}", r"\foo{x}", "<b>a", r"\href{javascript:x}{y}"]
)
def test_latex_strings_that_are_refused(tex: str):
    with pytest.raises(ValueError, match=r"add|write|begin"):
        READER.markup(tex)


def test_the_files_are_read_unchanged(old: Path):
    cv = made(old)
    assert (cv["name"], cv["site"]) == ("Ádám Próba", "https://proba.example.org")
    assert [link["url"] for link in cv["links"]] == [
        "https://github.com/proba", "https://twitter.com/proba2", "https://www.linkedin.com/in/in-proba",
        "https://scholar.google.com/citations?user=AbC",
    ]  # fmt: skip
    shown = {
        item["id"]: [f"{plain_text(row['text'])} | {row['dates']}" for row in item["rows"]]
        for item in cv["sections"]
        if item["kind"] == "rows"
    }
    assert shown == {
        "position": ["Tester, Works & Co., Testville | 2019 – Present"],
        "education": ["Ph.D. in Tests, University of Nowhere (0.00/0.00) | 2014 – 2019"],
        "positions": [
            "Intern, Labs (with Cy Fox on C#, C++ and 100%) | 2013",
            "Student, Works, Elsewhere | Sep 2011 – May 2012",
        ],
        "honors": ["Five scholarships | 2011 – 2014", "A Medal | 2010"],
        "repositories": ["proba/one — ★12 — Ph.D. Thesis LaTeX source | 2021", "proba/two — ★1.5k — two | 2012"],
        "talks": ["On tests, Nowhere (Guest Lecture) | 2022", "Columbia | 2021"],
        "students": ["Dee Dum (at CMU, now: CEO at Gather) | 2018"],
        "service": ["Workshop Organizer | 2020"],
        "teaching": ["Graduate Tests (UN 15-780), TA | S2017"],
    }
    (degree,) = section(cv, "education")["rows"]
    assert degree["lines"][0] == ["Thesis: ", {"em": [{"link": ["On Tests"], "url": "https://example.org/t_1"}]}]
    assert section(cv, "reviewing")["level"] == 3
    assert section(cv, "repositories")["title"] == "Repositories"
    assert [(p["title"], p["authors"], p["venue"], p["url"], p["note"], p["selected"]) for p in publications(cv)] == [
        ("One Test", "Ádám Próba*, Bea Minta*, and Michal Rolínek†", "ICML", None, "Oral", True),
        ("Two Tests", "Á. Próba and Cy Fox", "VT", "https://example.org/two.pdf", "", False),
    ]
    (first, _) = [entry for group in section(cv, "publications")["groups"] for entry in group["entries"]]
    assert [author["url"] for author in first["authors"]] == [
        None, "https://minta.example.org/", "https://rol.example.org/~m?x=1&y=2",
    ]  # fmt: skip


def imported(old: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    cli.main(["cv-import", str(old / "cv.yaml"), "--out", str(old / "new")])
    return [line.replace(f"{old}/", "") for line in capsys.readouterr().out.splitlines()]


def test_the_converted_files_make_the_same_cv(old: Path, capsys: pytest.CaptureFixture[str]):
    imported(old, capsys)
    profile, bibliography = old / "new/profile.yaml", old / "new/publications.bib"
    assert not foreign.is_bamos_cv(yaml.safe_load(profile.read_text(encoding="utf-8")))
    again = build(profile, bibliography, old / "metrics.yaml", lambda reference: 1)
    assert json.dumps(again) == json.dumps(made(old))


def test_what_cannot_be_carried_over_is_listed(old: Path, capsys: pytest.CaptureFixture[str]):
    lines = imported(old, capsys)
    said = [line for line in lines if line.startswith("not converted: ")]
    assert lines[:2] == ["new/profile.yaml", "new/publications.bib"]
    for what in (
        "pdf", "src", "phone", "social.mastodon", "style", "color", "color2", "education.0.location",
        "education.0.majorGPA", "all_publications.include_image", "repos.1.www",
    ):  # fmt: skip
        assert any(re.search(rf"cv\.yaml:\d+: {re.escape(what)} has no place in a profile", line) for line in said), (
            what
        )
    assert any("the section 'NEWPAGE' is layout" in line for line in said)
    assert any("no co-author has 'Nobody' in the name" in line for line in said)
    assert any("proba/two has no desc" in line for line in said)
    assert any("all.bib:8: the field _venue appears twice with the same value; kept once" in line for line in said)
    assert len(said) == 11 + 4 + 1, said


def test_every_value_is_shown_or_listed(old: Path, capsys: pytest.CaptureFixture[str]):
    """No key is neither in the CV nor in the list."""
    whole, listed = json.dumps(made(old)), imported(old, capsys)
    data = yaml.safe_load(CV)
    document = READER.convert(read(old / "cv.yaml"), old / "publications/all.bib")
    assert document[1]
    for key in data:
        assert key in ("order", "name") or any(f": {key}" in line for line in listed) or _shown(data[key], whole), key


def _shown(value: object, text: str) -> bool:
    if isinstance(value, dict):
        return any(_shown(item, text) for item in value.values())
    if isinstance(value, list):
        return any(_shown(item, text) for item in value)
    return re.split(r"\\|<", str(value))[0].strip() in text


OLDER = """
name: {first: Ádám, last: Próba}
order:
  - [education, Education]
  - [industry, Experience]
  - [selected_publications, Selected Publications]
  - [honors, Honors]
  - [service, Service]
  - [all_publications, All Publications]
education:
  - {school: University of Nowhere, degree: M.Sc. in Tests, dates: Aug 2011 -- May 2014}
  - {school: Village School, dates: Aug 2007 -- May 2011}
industry:
  - place: Labs
    title: Intern
    dates: May 2014 -- Aug 2014
    area: Systems
    details:
      - I built it in {\\bf Scala},
        see \\url{https://example.org/commits?author=x}.
research:
  - {place: Works, title: Assistant, dates: 2012, advisor: Cy Fox}
service:
  - {title: Reviewer, details: ICML 2018}
  - {details: Admissions}
honors:
  - {title: Five scholarships, year: 2011 -- 2014}
selected_publications: {name: Pr, file: selected.bib}
all_publications: {name: Pr, file: all.bib, sort_bib: True}
"""


def test_files_of_its_earlier_years(old: Path, capsys: pytest.CaptureFixture[str]):
    (old / "cv.yaml").write_text(OLDER, encoding="utf-8")
    cv = made(old)
    shown = {
        item["id"]: [(plain_text(row["text"]), row["dates"], *map(plain_text, row["lines"])) for row in item["rows"]]
        for item in cv["sections"]
        if item["kind"] == "rows"
    }
    assert shown == {
        "education": [("M.Sc. in Tests, University of Nowhere", "Aug 2011 – May 2014")],
        "positions": [
            (
                "Intern, Labs (Systems; I built it in Scala, see https://example.org/commits?author=x.)",
                "May 2014 – Aug 2014",
            ),
        ],
        "honors": [("Five scholarships", "2011 – 2014")],
        "service": [("Reviewer", "", "ICML 2018"), ("Admissions", "")],
    }
    assert len(publications(cv)) == 2
    lines = imported(old, capsys)
    for what in (
        "education.1.school", "education.1.dates", "research.0.title", "selected_publications.file",
        "the section 'selected_publications'",
    ):  # fmt: skip
        assert any(f": {what} has no place in a profile" in line for line in lines), what


def test_direct_reading_lists_what_the_import_lists(
    old: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    with caplog.at_level(logging.WARNING):
        made(old)
    said = [line.removeprefix("not converted: ") for line in imported(old, capsys) if "not converted: " in line]
    assert set(said[:-1]) <= {line.replace(f"{old}/", "") for line in caplog.messages}


@pytest.mark.parametrize(
    ("before", "after", "line", "what"),
    [
        (r"Works \& Co.", r"\input{x}", "place: ", r"place: \input is not supported here"),
        (
            "repo_url: https://github.com/proba/one",
            "repo_url: nowhere",
            "  - repo_url: nowhere",
            "repo_url is not https",
        ),
        ("    'Nobody'", "    'Minta'", "    'Bea'", "all match 'Bea Minta'; make one longer"),
        ("    title: Tester\n", "", "  - place: Works", "position.0.title is missing; add it"),
    ],
)
def test_errors_name_the_line_of_the_old_file(old: Path, before: str, after: str, line: str, what: str):
    text = CV.replace(before, after)
    (old / "cv.yaml").write_text(text, encoding="utf-8")
    number = text[: text.index(line)].count("\n") + 1
    with pytest.raises(ValueError, match=r"cv\.yaml") as caught:
        made(old)
    (error,) = str(caught.value).splitlines()
    assert error.startswith(f"{old}/cv.yaml:{number}: ")
    assert what in error


def test_of_a_field_with_two_values_the_first_is_kept_and_the_other_reported(
    old: Path, capsys: pytest.CaptureFixture[str]
):
    bib = old / "publications/all.bib"
    bib.write_text(BIB.replace("  _venue={ICML},\n  codeurl", "  _venue={NeurIPS},\n  codeurl"), encoding="utf-8")
    assert [p["venue"] for p in publications(made(old))] == ["ICML", "VT"]
    what = "all.bib:8: the field _venue appears twice with another value; the first is kept, NeurIPS is not"
    assert any(what in line for line in imported(old, capsys))


def test_a_profile_of_ours_needs_no_import(old: Path):
    (old / "cv.yaml").write_text("name: A\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"is not a cv\.yaml of bamos/cv"):
        cli.main(["cv-import", str(old / "cv.yaml"), "--out", str(old / "new")])
    assert not (old / "new").exists()


def test_the_host_of_a_repository_is_left_out_where_it_is_understood(old: Path):
    text = CV.replace("https://github.com/proba/one", "http://github.com/proba/one.git")
    (old / "cv.yaml").write_text(text, encoding="utf-8")
    first, second = section(made(old), "repositories")["rows"]
    assert first["item"]["url"] == "https://github.com/proba/one"
    assert second["item"]["url"] == "https://code.example.org/proba/two"


def test_an_address_may_be_given_to_a_name_in_tex(old: Path):
    text = CV.replace("'Michal Rol'", r"""'Rol{\''\i}nek'""")
    (old / "cv.yaml").write_text(text, encoding="utf-8")
    groups = section(made(old), "publications")["groups"]
    urls = {one["name"]: one["url"] for group in groups for entry in group["entries"] for one in entry["authors"]}
    assert urls["Michal Rolínek"] == "https://rol.example.org/~m?x=1&y=2"


def test_without_the_plugin_one_line_says_how_to_install_it(
    old: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(foreign, "IN_CLONE", old / "none.py")
    install = "pip install ./plugins/bamos_cv in a clone of advgen"
    for words in (["cv", "import", str(old / "cv.yaml")], ["cv", "--profile", str(old / "cv.yaml")]):
        with pytest.raises(SystemExit) as caught:
            cli.main([*words, "--out", str(old / "new")])
        message = str(caught.value)
        assert message.endswith(
            f"cv.yaml:1: a plug-in reads the cv.yaml of bamos/cv, and it is not installed; {install}"
        )
        assert "\n" not in message
