"""Files of bamos/cv from its first year to 2024: repairs are listed, and no value is lost."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.cv.conftest import publications, section

from advgen import cli
from advgen.cv.build import build
from advgen.cv.inline import plain_text

OF_2014 = r"""
name: {first: Ádám, last: Próba}
email: adam@example.org
order:
  - [education, Education]
  - [research, Research]
  - [selected_publications, Selected Publications]
  - [grants, Grants]
education:
  - {school: University of Nowhere, degree: M.Sc.~in Tests, dates: Aug 2011 -- May 2014}
research:
  - {place: Works, title: Assistant, dates: 2012}
grants:
  - {title: A Small Grant, agency: Fund \& Co., year: 2013, amount: "10{,}000", note: with Cy Fox}
all_publications: {name: Pr, file: all.bib, sort_bib: True}
"""
IN_ITS_FIRST_YEAR = r"""
name: {first: Ádám, last: Próba}
order:
  - [interests, Interests]
  - [education, Education]
  - [research, Research Experience]
  - [teaching, Teaching Experience]
  - [publications, Publications]
  - [industry, Industry Experience]
interests: Tests, puzzles.
education:
  - {school: University of Nowhere, location: "Testville, Nowhere", degree: "B.S., Tests", dates: May 2014, majorGPA: 4}
research:
  - {place: Works, title: Assistant, advisor: Dr. Bea Minta, area: Testing, dates: Aug 2013--Present,
     details: ['{\bf Research Area}: Puzzles']}
industry:
  - {place: Shop, location: "Testville, Nowhere (Remote)", title: Intern, dates: May 2012--Aug 2012}
teaching:
  - {university: University of Nowhere, course: {number: TS 2114, name: Design of Tests}, dates: 2013, details: TA}
publications: all.bib
projects:
  website: {name: My Site, details: [Hosted somewhere]}
"""
OF_2017 = r"""
name: {first: Ádám, last: Próba}
order:
  - [selected_publications, Selected Publications]
  - [all_publications, Publications]
selected_publications: {name: Pr, file: selected.bib, include_image: True}
all_publications: {name: Pr, file: all.bib, sort_bib: True}
"""
OF_2020 = r"""
name: {first: Ádám, last: Próba}
order:
  - [current_position, Current Position]
  - [all_publications, Publications]
  - [talks, Invited Talks]
  - [service, Professional Activities]
current_position:
  - {place: Works, url: "https://works.example.org", location: Testville, location_url: "https://testville.example.org",
     title: Tester, dates: 2019 -- Present}
talks_note: "Slides are \\href{https://slides.example.org}{here}"
talks:
  - {title: I \varheart Tests, location: Nowhere, location_url: "https://nowhere.example.org", year: 2020, note: online}
all_publications: {name: Pr, file: all.bib, sort_bib: True, author_urls: {Bea: "https://minta.example.org"}}
service:
  area_chair: [ICML 2019, NeurIPS 2020]
  reviewing: [Journal of Tests]
  main:
    - {details: Workshop Organizer, year: 2020}
"""
REVIEWED = ["AAAI", "AISTATS", "CVPR", "ECCV", "ICCV", "ICLR", "ICML", "ICRA", "IJCAI", "JMLR", "JAIR", "KDD", "L4DC",
            "MLSys", "NeurIPS", "NSF", "PLDI", "RAL", "RSS", "SIGGRAPH", "SIOPT", "TAC", "TMLR", "TOMS", "TPAMI", "UAI",
            "WACV", "MICCAI", "Nature", "Science", "Optimization Letters"]  # fmt: skip
OF_2024 = rf"""
name: {{first: Ádám, last: Próba}}
order_latex:
  - [about, NONE]
  - [all_publications, Publications]
  - [area_chairs, Area Chair]
  - [reviewing, Reviewing]
  - [service, Professional Activities]
order_md:
  - [all_publications, Publications]
  - [news, News]
about: |
  I work on <b>tests</b> and \mystery{{puzzles}}.
news: something new
area_chairs: [ICLR 2023, NeurIPS 2024]
reviewing: [{", ".join(REVIEWED)}]
service:
  - {{details: Committee, year: 2024}}
all_publications: {{name: Pr, file: all.bib, sort_bib: True, group_by_year: True}}
favourite_colour: \unheard of
"""
BIB = r"""
@@article{one,
  title={One \varheart Test},
  author={Pr{\'o}ba, {\'A}d{\'a}m and Minta, Bea},
  journal={JoT},
  year={2020},
  codeurl={https://code.example.org/shared},
  codeurl={https://code.example.org/shared},
}

@inproceedings{two,
  title={Two \sometimes{Tests}},
  author={Pr{\'o}ba, {\'A}d{\'a}m},
  _venue={ICML},
  _venue={ICML Workshop},
  year={2019},
  codeurl={https://code.example.org/shared}
}
"""


SELECTED = r"""
@@article{sel_one,
  title={One \varheart Test},
  author={Pr{\'o}ba, {\'A}d{\'a}m and Minta, Bea},
  _venue={JoT},
  year={2020},
  abstract={Of <http://tests.example.org/> and more.}
}
"""
DATES = {"first": IN_ITS_FIRST_YEAR, "2014": OF_2014, "2017": OF_2017, "2020": OF_2020, "2024": OF_2024}


@pytest.fixture(params=DATES.values(), ids=DATES)
def old(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    (tmp_path / "all.bib").write_text(BIB, encoding="utf-8")
    (tmp_path / "selected.bib").write_text(SELECTED, encoding="utf-8")
    (tmp_path / "metrics.yaml").write_text("as_of: 2023-12-05\n", encoding="utf-8")
    (tmp_path / "cv.yaml").write_text(request.param, encoding="utf-8")
    return tmp_path


def made(old: Path, profile: str = "cv.yaml", bibliography: str = "all.bib") -> dict[str, Any]:
    return build(old / profile, old / bibliography, old / "metrics.yaml", lambda reference: 1)


def list_notes(old: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    cli.main([*(words or ("cv-import",)), str(old / "cv.yaml"), "--out", str(old / "new")])
    lines = [line.replace(f"{old}/", "") for line in capsys.readouterr().out.splitlines()]
    return [line.removeprefix("not converted: ") for line in lines if line.startswith("not converted: ")]


def leaves(value: Any) -> list[str]:
    if isinstance(value, dict | list):
        return [leaf for child in (value.values() if isinstance(value, dict) else value) for leaf in leaves(child)]
    return [str(value)]


def words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z0-9]+", re.sub(r"\\\w+|<.*?>", " ", text))


def texts(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(texts(child) for child in value.values())
    return " ".join(map(texts, value)) if isinstance(value, list) else str(value)


def test_no_value_is_lost(old: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        shown = texts(made(old))
    listed = list_notes(old, capsys)
    data = yaml.safe_load((old / "cv.yaml").read_text(encoding="utf-8"))
    lines = (old / "cv.yaml").read_text(encoding="utf-8").split("\n")
    told = " ".join(lines[int(number) - 1] for line in listed for number in re.findall(r"cv\.yaml:(\d+)", line))
    settings = ("all_publications", "selected_publications", "publications", "order", "order_md", "order_latex")
    for key in data:
        for leaf in leaves(data[key]) if key not in settings else ():
            missing = [word for word in words(leaf) if word not in shown and word not in told]
            assert not missing, (key, leaf, missing)
    # the direct build says the same
    assert {line for line in listed if "came from the network" not in line} <= {
        line.replace(f"{old}/", "") for line in caplog.messages
    }


def test_the_imported_files_make_the_same_cv(old: Path, capsys: pytest.CaptureFixture[str]):
    list_notes(old, capsys)
    assert made(old, "new/profile.yaml", "new/publications.bib") == made(old)


def test_every_repair_of_the_bibliography_is_listed(old: Path, capsys: pytest.CaptureFixture[str]):
    listed = [line for line in list_notes(old, capsys) if line.startswith("all.bib")]
    assert listed == [
        "all.bib:2: one @ too many before the entry; removed",
        "all.bib:8: the field codeurl appears twice with the same value; kept once",
        "all.bib:15: the field _venue appears twice with another value; the first is kept, ICML Workshop is not",
    ]


@pytest.mark.parametrize("old", [IN_ITS_FIRST_YEAR], indirect=True)
def test_of_its_first_year(old: Path, capsys: pytest.CaptureFixture[str]):
    cv = made(old)
    assert len(publications(cv)) == 2
    first, last = (plain_text(row["text"]) for name in ("education", "teaching") for row in section(cv, name)["rows"])
    assert "University of Nowhere" in first
    assert "Design of Tests (TS 2114), TA" in last
    jobs = " ".join(texts(row) for row in section(cv, "positions")["rows"])
    assert "with Dr. Bea Minta; Testing" in jobs and "Testville, Nowhere (Remote)" in jobs
    assert jobs.index("Works") < jobs.index("Shop")
    assert list_notes(old, capsys)[0] == "cv.yaml:9: the section 'industry' is shown with positions"


@pytest.mark.parametrize("old", [OF_2017], indirect=True)
def test_of_2017(old: Path, capsys: pytest.CaptureFixture[str]):
    """A second bibliography, whose entries have keys of their own."""
    cv = made(old)
    assert [(one["title"], [len(group["entries"]) for group in one["groups"]]) for one in cv["sections"]] == [
        ("Selected Publications", [1]),
        ("Publications", [1, 1]),
    ]
    assert "selected.bib:2: one @ too many before the entry; removed" in list_notes(old, capsys)
    assert (old / "new/selected.bib").read_text(encoding="utf-8").startswith("\n@article{sel_one")


@pytest.mark.parametrize("old", [OF_2020], indirect=True)
def test_of_2020(old: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        cv = made(old)
    assert [(p["title"], p["venue"]) for p in publications(cv)] == [("One ♥Test", "JoT"), ("Two Tests", "ICML")]
    for what in (r"all.bib:12: title: \sometimes is unknown", "all.bib:11: two has the same codeurl as one"):
        assert any(what in line for line in caplog.messages), caplog.messages
    assert [item["id"] for item in cv["sections"]][-3:] == ["service", "area_chair", "reviewing"]
    (talk,) = section(cv, "talks")["rows"]
    assert plain_text(talk["text"]) == "I ♥Tests, Nowhere (online)"
    assert section(cv, "talks")["note"][1] == {"link": ["here"], "url": "https://slides.example.org"}
    (job,) = section(cv, "position")["rows"]
    assert [node["url"] for node in _links(job["text"])] == [
        "https://works.example.org", "https://testville.example.org",
    ]  # fmt: skip


def _links(nodes: list[Any]) -> list[dict[str, Any]]:
    found = [node for node in nodes if isinstance(node, dict)]
    return [link for node in found for link in ([node] if "link" in node else _links(next(iter(node.values()))))]


@pytest.mark.parametrize("old", [OF_2024], indirect=True)
def test_of_2024(old: Path, capsys: pytest.CaptureFixture[str]):
    cv = made(old)
    assert [(item["id"], item["title"], item["kind"]) for item in cv["sections"]] == [
        ("about", "About", "prose"),
        ("publications", "Publications", "publications"),
        ("area_chairs", "Area Chair", "list"),
        ("reviewing", "Reviewing", "list"),
        ("service", "Professional Activities", "rows"),
    ]
    assert [plain_text(item) for item in section(cv, "reviewing")["items"]] == REVIEWED
    assert len(REVIEWED) == 31
    assert plain_text(section(cv, "about")["paragraphs"][0]) == "I work on tests and puzzles."
    listed = list_notes(old, capsys)
    for what in (
        r"about: \mystery is unknown, and its text is printed as it is",
        "the section 'news' is in order_md alone and not shown",
        "favourite_colour has no place in a profile",
        "news has no place in a profile",
    ):
        assert any(what in line for line in listed), (what, listed)


def test_cv_import_is_spelt_as_two_words_too(old: Path, capsys: pytest.CaptureFixture[str]):
    assert list_notes(old, capsys, "cv", "import")
    assert (old / "new/profile.yaml").is_file()


def test_a_cv_without_metrics_has_the_date_of_its_newest_entry(old: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        cv = build(old / "cv.yaml", old / "all.bib", None, lambda _: 1)
    assert cv["updated"][:4] in ("2020", "2024")
    assert sum("the CV has no date" in one for one in caplog.messages) == 1
