import json
import re
from pathlib import Path

import pytest

from advgen import cli

from .conftest import section

FIXTURE = Path(__file__).parent / "fixture"
BASE = ["--profile", "profile.yaml", "--bibliography", "publications.bib", "--metrics", "metrics.yaml"]


def snapshot(folder: Path, name: str, edits: dict[str, list[tuple[str, str]]]) -> Path:
    """The CV of December 2023 with some edits of its data, as cv.json."""
    source = folder / f"source-{name}"
    source.mkdir()
    for file in ("profile.yaml", "publications.bib", "metrics.yaml"):
        text = (FIXTURE / file).read_text(encoding="utf-8")
        for pattern, new in edits.get(file, ()):
            text, count = re.subn(pattern, new, text)
            assert count, pattern
        (source / file).write_text(text, encoding="utf-8")
    arguments = [str(source / part) if "." in part else part for part in BASE]
    cli.main(["cv", *arguments, "--out", str(folder), "--name", name, "--formats", "md"])
    return folder / f"{name}.json"


def report(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    cli.main(["cv-diff", str(old), str(new)])
    return capsys.readouterr().out.splitlines()


def test_two_dated_snapshots(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    old = snapshot(tmp_path, "2023-12", {})
    talks = "talks:\n  - {title: New, event: Here, date: 2024}\n  - {title: Newer, event: There, date: 2024}\n"
    stars = [
        (r"(?m)^(  (?!bamos/dotfiles)\S+: )(\d+)$", lambda match: f"{match[1]}{int(match[2]) + 1}"),
        ("2023-12-05", "2024-02-01"),
    ]
    moved = [(r"(?s)(@\w+\{vinitsky2022.*?year = \"?\{?)2022", r"\g<1>2023")]
    new = snapshot(
        tmp_path,
        "2024-02",
        {
            "profile.yaml": [("talks:\n", talks), ("2023-12-05", "2024-02-01")],
            "metrics.yaml": stars,
            "publications.bib": moved,
        },
    )
    headline, *lines = report(old, new, capsys)
    assert headline == "+2 talks, 1 paper moved from 2022 to 2023, 27 star counts"
    assert len(lines) == 1 + 27 + 2 + 1
    assert "+ talk: New, Here, 2024" in lines
    assert "★ bamos/cv 391 → 392" in lines
    assert any(re.match(r"~ paper: Nocturne: .* \(vinitsky2022\w*\): moved from 2022 to 2023", line) for line in lines)
    assert lines[-1] == "~ last updated 2023-12-05 → 2024-02-01"
    back, *_ = report(new, old, capsys)
    assert back == "-2 talks, 1 paper moved from 2023 to 2022, 27 star counts"
    assert report(old, old, capsys) == ["no change"]


@pytest.mark.parametrize(
    ("file", "pattern", "new", "headline"),
    [
        ("publications.bib", r"(?s)@\w+\{zhao2016.*?\n\}\n", "", "-1 paper"),
        ("publications.bib", r"_note = \{Oral\}", "_note = {Spotlight}", "1 paper changed: note 'Oral' → 'Spotlight'"),
        ("publications.bib", r"Ludwiczuk", "Ludwicuk", "1 paper changed: authors .*Ludwiczuk.* → .*Ludwicuk"),
        ("profile.yaml", r"IJCAI Tutorial", "IJCAI", "+1 talk, -1 talk"),
        ("profile.yaml", r"emacs, vim, evil", "vim", "1 group of skills changed"),
        ("profile.yaml", r"  - Optimization Letters\n", "", "-1 venue reviewed for"),
        ("profile.yaml", r"  - teaching\n", "", "-3 courses, -1 section"),
        ("profile.yaml", r"email: name", "email: other", "1 line of the header changed"),
        ("metrics.yaml", r"h_index: 34", "h_index: 35", "1 total"),
        ("metrics.yaml", r"openface: 14.9k", "openface: 15.0k", "1 star count, 1 total"),
        ("profile.yaml", r"(  - \{title: NeurIPS Top .*\n)(.*\n)", r"\2\1", "1 section reordered"),
    ],
)
def test_every_edit_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, pattern: str, new: str, headline: str
):
    changed = snapshot(tmp_path, "new", {file: [(pattern, new)]})
    first, *lines = report(snapshot(tmp_path, "old", {}), changed, capsys)
    said, _, change = headline.partition(": ")
    assert first == said
    assert any(re.search(change, line) for line in lines)


def test_invalid_snapshots(tmp_path: Path):
    for text, what in (("{", "is not JSON"), ("[]", "is not a cv.json"), (json.dumps({"a": 1}), "is not a cv.json")):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(SystemExit, match=what):
            cli.main(["cv-diff", str(tmp_path / "x.json"), str(tmp_path / "x.json")])


def test_a_paper_that_changed_its_key_is_the_same_paper(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    old, new = snapshot(tmp_path, "old", {}), snapshot(tmp_path, "new", {})
    cv = json.loads(new.read_text(encoding="utf-8"))
    entry = section(cv, "publications")["groups"][0]["entries"][0]
    before = entry["key"]
    entry["key"], entry["title"] = "renamed", entry["title"].upper() + "!"
    new.write_text(json.dumps(cv), encoding="utf-8")
    lines = report(old, new, capsys)
    assert lines[0] == "1 paper changed"
    assert any(f"key '{before}' → 'renamed'" in line for line in lines)
