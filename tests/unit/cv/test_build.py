import json
import logging

import pytest

from advgen.cv.build import build
from advgen.cv.inline import plain_text
from advgen.cv.live_values import LiveValue
from advgen.cv.sections.repositories import add_counts, format_count

from .conftest import METRICS, PROFILE, Files, section


def rows(cv: dict, name: str) -> list[tuple[str, str]]:
    return [(plain_text(row["text"]), row["dates"]) for row in section(cv, name)["rows"]]


def test_header_and_order(files: Files):
    cv = files.build()
    assert (cv["name"], cv["updated"], cv["updated_text"]) == ("Ádám Próba", "2025-03-04", "March 4, 2025")
    assert [(item["id"], item["level"]) for item in cv["sections"]] == [
        ("position", 2), ("experiments", 2), ("publications", 2), ("repositories", 2), ("talks", 2), ("service", 2),
        ("reviewing", 3), ("skills", 2),
    ]  # fmt: skip
    assert section(cv, "talks")["title"] == "Talks"
    assert section(cv, "talks")["note"] == ["See ", {"link": ["here"], "url": "https://talks.example.org/a_(b)"}, "."]


def test_row_formats(files: Files):
    cv = files.build()
    assert rows(cv, "position") == [("Tester, Works & Co_, 100% City", "2019 – Present")]
    assert rows(cv, "talks") == [("Why not? Nowhere [slides]", "2024"), ("Because, Somewhere", "S2017")]
    assert rows(cv, "service") == [("Chair", "2014 – 2015"), ("Member", "")]
    assert rows(cv, "repositories") == [
        ("proba/big_one — ★1.5k — Large, #1", "2020"),
        ("proba/small — ★999 — Small", "2010"),
    ]
    assert section(cv, "repositories")["summary"] == ["2.4k+ GitHub stars across all repositories."]
    assert plain_text(section(cv, "publications")["summary"]) == "[Index: 7.3k+ citations and an h-index of 12]"


def test_education_rows(files: Files):
    files.write(
        profile=PROFILE.replace("  - position\n", "  - position\n  - education\n")
        + "education:\n  - {title: Ph.D. in X, organization: U, grade: 3.99/4.00, thesis: On *Y*, advisor: Z, "
        + "start: 2011, end: 2014}\n"
    )
    (row,) = section(files.build(), "education")["rows"]
    assert (plain_text(row["text"]), row["dates"]) == ("Ph.D. in X, U (3.99/4.00)", "2011 – 2014")
    assert [plain_text(line) for line in row["lines"]] == ["Thesis: On Y", "Advisor: Z"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1000, "1.0k"),
        (1549, "1.5k"),
        (1551, "1.6k"),
        (14912, "14.9k"),
        (1049, "1.0k"),
        ("12.4k", "12.4k"),
        ("2k+", "2k+"),
    ],
)
def test_displayed_stars(number: int | str, text: str):
    assert format_count(number) == text


@pytest.mark.parametrize(
    ("displayed", "text"),
    [
        ([], "0"),
        (["7", "58"], "65"),
        (["999", "1"], "1.0k+"),
        (["500", "499"], "999"),
        (["2k"], "2.0k+"),
        (["2.3k+"], "2.3k+"),
        (["1000"], "1.0k+"),
        (["1.5k", "1.6k", "99"], "3.1k+"),
        (["14.9k", "13.4k"], "28.3k+"),
    ],
)
def test_total_of_displayed_stars(displayed: list[str], text: str):
    assert add_counts(displayed) == text


def test_live_values_are_looked_up_and_formatted(files: Files):
    asked: list[LiveValue] = []

    def lookup(value: LiveValue) -> float:
        asked.append(value)
        return 0.98765

    (paragraph,) = section(files.build(lookup), "experiments")["paragraphs"]
    assert paragraph == ["Error of ", {"strong": ["98.8%"]}, ", that is all."]
    assert asked == [LiveValue("transfer", "error", (("source", "fc100"), ("target_seed", 0)), ".1%", 32)]
    assert PROFILE.split("\n")[31].strip().startswith("**{{ result(")


def test_a_looked_up_text_is_never_markup(files: Files):
    files.write(profile=PROFILE.replace(" | .1%", "").replace("**{{", "{{").replace("}}**", "}}"))
    (paragraph,) = section(files.build(lambda value: "*a* [b](javascript:x)"), "experiments")["paragraphs"]
    assert paragraph == ["Error of *a* [b](javascript:x), that is all."]


def test_a_failed_lookup_names_the_line(files: Files):
    def lookup(value: LiveValue) -> object:
        raise ValueError("transfer has no column 'error'; it has: n")

    assert files.errors(lookup) == ["profile.yaml:32: transfer has no column 'error'; it has: n"]
    assert files.errors(lambda value: "text") == [
        "profile.yaml:32: the format '.1%' does not fit the value 'text'; use another format, or none"
    ]


def test_a_refused_link_names_the_line(files: Files):
    files.write(profile=PROFILE.replace("https://talks.example.org/a_(b)", "javascript:x"))
    (error,) = files.errors()
    assert error.startswith("profile.yaml:17: 'javascript:x' is not a web address")


def test_a_repository_without_stars(files: Files):
    files.write(metrics=METRICS.replace("  proba/small: 999\n", ""))
    (error,) = files.errors()
    assert error.startswith("profile.yaml:39: proba/small has no stars; add it to repositories in ")


def test_without_metrics_nothing_is_counted(files: Files):
    cv = build(files.profile, files.bibliography, None, lambda value: 0.5)
    assert rows(cv, "repositories")[0] == ("proba/big_one — Large, #1", "2020")
    assert section(cv, "repositories")["summary"] == []
    assert section(cv, "publications")["summary"] == []


def test_the_date_is_the_newest_of_the_inputs(files: Files):
    files.write(metrics=METRICS.replace("2025-03-01", "2025-04-30"))
    assert files.build()["updated"] == "2025-04-30"


@pytest.mark.parametrize(
    ("talk", "day"),
    [
        ("2023", "2024-01-01"),  # of publications
        ("2025", "2025-01-01"),
        ("2025-09", "2025-09-01"),
        ("'2025-09-17'", "2025-09-17"),
        ("2025-02-31", "2025-02-01"),
        ("Spring 2026", "2026-01-01"),
    ],
)
def test_a_cv_without_a_date_gets_that_of_its_newest_entry(
    files: Files, caplog: pytest.LogCaptureFixture, talk: str, day: str
):
    talk = f'"{talk}"' if talk == "2025-02-31" else talk
    profile = PROFILE.replace("updated: 2025-03-04\n", "").replace("Nowhere, date: 2024", f"Nowhere, date: {talk}")
    files.write(profile=profile)
    with caplog.at_level("WARNING"):
        assert build(files.profile, files.bibliography, None, lambda value: 0.5)["updated"] == day
    assert any(
        f"no date, so it gets the date of its newest entry, {day}; add updated:" in one for one in caplog.messages
    )


def test_a_cv_in_which_nothing_has_a_date_is_refused(files: Files):
    files.write(profile="name: Ádám Próba\norder: [reviewing]\nreviewing: [Journal of Tests]\n")
    with pytest.raises(ValueError, match="has no date; add updated"):
        build(files.profile, None, None, lambda value: 0.5)


def test_an_empty_bibliography(files: Files):
    files.write(bibliography="% nothing yet\n")
    (error,) = files.errors()
    assert error.startswith("profile.yaml:13: the section 'publications' has no data; ")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("  - service\n", "", "profile.yaml:42: order does not list 'service', so its data are not shown"),
        ("  - experiments\n", "", "figures are shown in the section 'experiments' only"),
        ("updated: 2025-03-04", "updated: 2026-03-04", "the metrics are 368 days older than the CV"),
        ("updated: 2025-03-04", "updated: 2025-08-29", "the metrics are 181 days older than the CV"),
        ("  - publications\n", "", "publications.bib:1: order does not list 'publications', so its data"),
    ],
)
def test_warnings(files: Files, caplog: pytest.LogCaptureFixture, old: str, new: str, what: str):
    files.write(profile=PROFILE.replace(old, new))
    with caplog.at_level(logging.WARNING):
        files.build()
    assert any(what in message for message in caplog.messages), caplog.messages


def test_metrics_of_180_days_are_no_older(files: Files, caplog: pytest.LogCaptureFixture):
    files.write(PROFILE.replace("2025-03-04", "2025-08-28"))
    files.build()
    assert "older than the CV" not in caplog.text


def test_the_cv_is_json_and_the_same_twice(files: Files):
    first, second = (json.dumps(files.build(), ensure_ascii=False) for _ in range(2))
    assert first == second
    assert json.loads(first) == files.build()
