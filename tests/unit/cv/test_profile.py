import pytest

from .conftest import METRICS, PROFILE, Files


def changed(old: str, new: str) -> str:
    assert PROFILE.count(old) == 1
    return PROFILE.replace(old, new)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "at", "what"),
    [
        ("headline:", "headlin:", "headlin:", "unknown key 'headlin'; did you mean 'headline'?"),
        ("event: Nowhere", "event: Nowhere, detial: x", "detial", "'talks.0.detial'; did you mean 'detail'?"),
        ("  - title: Tester\n    org", "  - org", "  - org", "position.0.title is missing; add it"),
        ("title: Tester", "title: 7", "title: 7", "position.0.title is 7, not a text; put text in quotes"),
        ("title: Tester", "title:", "title:\n", "position.0.title is empty"),
        ("title: Tester", "title: ' '", "title: ' '", "is empty; write something"),
        ("start: 2019", "start: '19'", "start: '19'", "position.0.start is '19'; write a year such as 2019"),
        ("start: 2019", "start: 2019\n    date: 2020", "- title: Tester", "either date or start; write one"),
        ("    start: 2019\n    end: Present\n", "", "- title: Tester", "either date or start; write one"),
        ("end: Present", "end: now", "- title: Tester", "not a year, a month or Present"),
        ("start: 2014, end: 2015", "start: 2015, end: 2014", "{title: Chair", "ends in 2014 before it starts in 2015"),
        ("start: 2014, end: 2015", "start: 2015-06, end: 2015-05", "{title: Chair", "ends in 2015-05 before it starts"),
        ("start: 2014, end: 2015", "start: 2015-13", "{title: Chair", "write a year such as 2019, or 2019-09"),
        ("updated: 2025-03-04", "updated: '4 March 2025'", "updated", "not a day; write it as 2025-01-31"),
        ("updated: 2025-03-04", "updated: '2025-02-30'", "updated", "not a day; write it as 2025-01-31"),
        ("updated: 2025-03-04", "updated: 2025-02-30", "updated", "'2025-02-30' is not a valid value"),
        ("email: adam@", "email: adam", "email", "is not an e-mail address"),
        ("email: adam@", "email: adam@{", "email", "is not an e-mail address"),
        ("site: https:", "site: javascript:", "site", "is not a web address"),
        ("  - service\n", "  - servise\n", "- servise", "did you mean 'service'?"),
        ("  - service\n", "  - service\n  - service\n", "- reviewing", "ordered twice"),
        ("  - service\n", "  - students\n", "- students", "the section 'students' has no data"),
        ("skills:\n  - {name", "skills:\n  {name", "skills:\n", "skills is"),
        ("- {title: Chair, start: 2014, end: 2015}", "- Chair", "- Chair", "service.0 is 'Chair', not a map"),
        ("name: proba/small", "name: small", "name: small", "repositories.1.name"),
        ("aliases: [B. Minta]", "aliases: [A. Próba]", "{name: Bea", "is also Ádám Próba's"),
        ("name: transfer", "name: ../transfer", "name: ../", "a figure needs a name"),
        ("url: \"https://social", "url: \"{{ result('t', 'c') }}https://social", "url: \"{{", "is not a web address"),
        ("label: \"@proba\"", "label: \"{{ result('t', 'c') }}\"", "{label", "contains a live value"),
    ],
)  # fmt: skip
def test_errors_name_file_and_line(files: Files, old: str, new: str, at: str, what: str):
    text = changed(old, new)
    files.write(profile=text)
    errors = files.errors()
    start = f"profile.yaml:{line_of(text, at)}: " if at != "- reviewing" else f"profile.yaml:{line_of(text, at) - 1}: "
    assert [(error.startswith(start), what in error) for error in errors] == [(True, True)], errors


def test_duplicate_keys(files: Files):
    files.write(profile=PROFILE + "name: Another\n")
    last = PROFILE.count("\n") + 1
    assert files.errors() == [f"profile.yaml:{last}: duplicate key 'name' (first in line 1); remove one"]


def test_several_errors_come_at_once(files: Files):
    files.write(profile=PROFILE.replace("title: Tester", "title: 7").replace("event: Nowhere", "event: []"))
    assert [error.split(": ")[1].split(" ")[0] for error in files.errors()] == ["position.0.title", "talks.0.event"]


@pytest.mark.parametrize("text", ["", "- a\n", "just text\n", "# nothing\n"])
def test_a_profile_must_be_a_map(files: Files, text: str):
    files.write(profile=text)
    assert files.errors() == ["profile.yaml:1: not a map of keys to values; write name: … and so on"]


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("citations: 7345", "citations: many", 4, "citations is 'many'; write a number, or its short form"),
        ("citations: 7345", "citations: -3", 4, "citations is -3; write a number"),
        ("h_index: 12", "h_index: twelve", 5, "h_index is 'twelve'"),
        ("citations: 7345", "citation: 7345", 4, "did you mean 'citations'?"),
        ("as_of: 2025-03-01\n", "", 1, "as_of is missing"),
        ("proba/small: 999", "proba/small: -1", 8, "repositories.proba/small is -1"),
        ("proba/small: 999", "proba/small: few", 8, "repositories.proba/small is 'few'"),
        ("proba/small: 999", "proba/small:", 8, "repositories.proba/small is empty"),
    ],
)
def test_errors_of_the_metrics(files: Files, old: str, new: str, line: int, what: str):
    files.write(metrics=METRICS.replace(old, new))
    (error,) = files.errors()
    assert error.startswith(f"metrics.yaml:{line}: ")
    assert what in error
