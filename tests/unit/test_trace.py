"""`advgen trace` on chains that no run made."""

from pathlib import Path

import pytest

from advgen.cli import main
from advgen.files.provenance import Stamp


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def page(name: str, *inputs: str) -> None:
    Path(name).write_text(Stamp("advgen make", {}, "abc", dict.fromkeys(inputs, "0" * 64)).token())


def test_files_that_name_each_other_are_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    page("one.md", "two.md", "one.md")
    page("two.md", "one.md", "three.md")
    main(["trace", "one.md"])
    lines = [line for line in capsys.readouterr().out.splitlines() if " = " not in line]
    assert [line.split()[0] for line in lines] == ["one.md", "one.md", "two.md", "one.md", "three.md"]
    assert [line.endswith("(above)") for line in lines] == [False, True, False, True, False]
    assert "MISSING" in lines[-1]


def test_a_chain_may_be_longer_than_the_stack(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(1500):
        page(f"{number}.md", f"{number + 1}.md")
    main(["trace", "0.md"])
    assert capsys.readouterr().out.splitlines()[-1].strip().startswith("1500.md  MISSING")


def test_a_name_that_no_file_can_have(capsys: pytest.CaptureFixture[str]) -> None:
    page("one.md", "x" * 5000)
    with pytest.raises(SystemExit, match="File name too long"):
        main(["trace", "one.md"])
