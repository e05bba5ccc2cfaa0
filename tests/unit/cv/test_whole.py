"""All or nothing: a failing build leaves the old files; errors name the user's files; no number is too strange."""

import random
import re
import shutil
from pathlib import Path

import pytest

from advgen import cli
from advgen.cv.formats import FORMATS, render
from advgen.cv.templating import UnprintableError

from .conftest import BIBLIOGRAPHY, METRICS, PROFILE, STAMP, Files
from .test_command import NO_EXPERIMENTS, arguments, written

FAST = ("--formats", "pdf", "html", "md")


@pytest.mark.parametrize(
    "broken",
    [
        {"bibliography": BIBLIOGRAPHY.replace("A Third Test", r"\input{x}")},
        {"bibliography": BIBLIOGRAPHY.replace("A Third Test", "A \U00013000 Test")},  # only the PDF fails
        {"metrics": METRICS.replace("1549", "many")},
    ],
    ids=["tex", "glyph", "metrics"],
)
def test_a_failing_build_leaves_the_old_files(files: Files, tmp_path: Path, broken: dict[str, str]):
    files.write(profile=NO_EXPERIMENTS)
    cli.main(arguments(files, tmp_path / "out", *FAST))
    before = written(tmp_path / "out")
    files.write(**broken)
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments(files, tmp_path / "out", "--formats", "html", "md", "pdf"))
    assert written(tmp_path / "out") == before
    for line in str(caught.value).removeprefix("advgen cv: ").split("\n"):
        assert re.match(rf"{re.escape(str(tmp_path))}/(profile\.yaml|publications\.bib|metrics\.yaml):\d+: .+; .", line)


def test_a_folder_in_the_place_of_a_file_leaves_the_old_files(files: Files, tmp_path: Path):
    files.write(profile=NO_EXPERIMENTS)
    cli.main(arguments(files, tmp_path / "out", "--formats", "html", "md"))
    before = written(tmp_path / "out")
    (tmp_path / "out/cv.pdf").mkdir()
    files.write(profile=NO_EXPERIMENTS.replace("title: Tester", "title: Other"))
    with pytest.raises(SystemExit, match=r"cv\.pdf is a folder, .*; move it, or set --name"):
        cli.main(arguments(files, tmp_path / "out", "--formats", "html", "md", "pdf"))
    assert {path: text for path, text in written(tmp_path / "out").items() if path in before} == before


def test_a_pdf_that_is_left_out_does_not_stay_from_an_earlier_build(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def rendered(format_: str, *arguments: object, **keys: object) -> bytes:
        if format_ == "latex.pdf":
            raise UnprintableError(arguments[0], ["\u3042"], "no font has it")  # type: ignore[arg-type]
        return render(format_, *arguments, **keys)  # type: ignore[arg-type]

    monkeypatch.setattr("advgen.commands.cv.cv_formats", lambda: ("html", "latex.pdf"))
    monkeypatch.setattr("advgen.commands.cv.render", rendered)
    files.write(profile=NO_EXPERIMENTS)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/cv.latex.pdf").write_bytes(b"of an earlier build")
    cli.main(arguments(files, tmp_path / "out"))
    assert sorted(written(tmp_path / "out")) == ["cv.html", "cv.json"]


def test_errors_of_all_files_come_at_once(files: Files):
    files.write(
        PROFILE.replace("title: Tester", "title: 7"),
        BIBLIOGRAPHY.replace("year = {2001}", "year = {soon}"),
        METRICS.replace("7345", "lots"),
    )
    assert [error.split(":")[0] for error in files.errors()] == ["profile.yaml", "publications.bib", "metrics.yaml"]


def test_they_do_where_the_profile_is_no_yaml_too(files: Files):
    files.write(
        PROFILE.replace("updated: 2025-03-04", "updated: 2025-02-30"),
        BIBLIOGRAPHY.replace("year = {2001}", "year = {soon}"),
        METRICS,
    )
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments(files, files.profile.parent / "out"))
    said = str(caught.value).replace(f"{files.profile.parent}/", "").removeprefix("advgen cv: ").split("\n")
    assert [error.split(":")[0] for error in said] == ["profile.yaml", "publications.bib"]
    assert said[0].endswith("'2025-02-30' is not a valid value; write a day that exists, or put text in quotes")


@pytest.mark.parametrize("count", ["9" * 401, "-1", "1e400", ".nan", ".inf", "1.5", "null", "[]", "1_000_000_000_000"])
@pytest.mark.parametrize("key", ["proba/small", "citations", "h_index"])
def test_an_invalid_count(files: Files, key: str, count: str):
    old = {"proba/small": "999", "citations": "7345", "h_index": "12"}[key]
    files.write(metrics=METRICS.replace(f"{key}: {old}", f"{key}: {count}"))
    try:
        files.build()
    except ValueError as error:
        (line,) = str(error).split("\n")
        assert re.match(r".*metrics\.yaml:\d+: .+; .", line), line
        assert len(line) < 800
    else:
        assert count == "null"


def test_comments_order_of_keys_and_white_space_change_no_byte(files: Files, tmp_path: Path):
    files.write(profile=NO_EXPERIMENTS)
    before = files.build()
    formats = [name for name in FORMATS if name != "latex.pdf" or shutil.which("latexmk")]
    cli.main(arguments(files, tmp_path / "before", "--formats", *formats))
    blocks = re.split(r"\n(?=\w)", NO_EXPERIMENTS.strip())
    random.Random(0).shuffle(blocks)
    fields = re.sub(r"(  title = .*\n)((?:  author|  journal).*\n)", r"\2   \1% a remark\n", BIBLIOGRAPHY)
    fields = re.sub(r"(  url = .*\n)(  codeurl.*\n)(  slidesurl.*\n)", r"\3\1\2", fields)
    head, rest = METRICS.split("repositories:\n")
    files.write(
        "# a remark\n" + "\n\n# another\n".join(blocks) + "\n",
        "% a remark\n" + fields.replace(" = ", "   =  ").replace("\n@", "\n\n\n@"),
        "repositories:\n" + "\n".join(sorted(rest.split("\n"), reverse=True)) + "\n# more\n" + head,
    )
    after = files.build()
    assert before == after
    for format_ in formats:
        assert render(format_, before, {}, STAMP) == render(format_, after, {}, STAMP), format_
    cli.main(arguments(files, tmp_path / "after", "--formats", *formats))
    assert written(tmp_path / "before") == written(tmp_path / "after")


def test_trace_reports_a_changed_source_and_not_a_new_comment(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    files.write(profile=NO_EXPERIMENTS)
    cli.main(arguments(files, Path("out"), "--formats", "md"))
    files.write(profile=f"# a remark\n{NO_EXPERIMENTS}", bibliography=BIBLIOGRAPHY.replace("Old {T}ests", "Other"))
    capsys.readouterr()
    cli.main(["trace", "out/cv.md"])
    lines = [line for line in capsys.readouterr().out.splitlines() if " content " in line]
    changed = {line.split()[0]: "CHANGED" in line for line in lines}
    assert changed == {"out/cv.md": False, "profile.yaml": False, "publications.bib": True, "metrics.yaml": False}
