"""`advgen diff`: what two runs have in common, and which numbers moved beyond their intervals."""

import math
import re
from pathlib import Path

import pytest

from advgen.cli import main
from advgen.files.provenance import Stamp
from advgen.io.tables import arrow_table, write_table

SAME = {"seed": 0, "dataset": "mnist", "tested_on": "mnist", "images": 100, "parameters": 1, "defence": "", "n": 100}


def results(folder: Path, **errors: tuple[float, float, float, float]) -> str:
    """A results folder with a table of classifiers: error, its interval, error on validation images."""
    names = ("error", "error_low", "error_high", "validation_error")
    columns = {name: [numbers[place] for numbers in errors.values()] for place, name in enumerate(names)}
    table = arrow_table("classifier_quality", {**SAME, "classifier": list(errors), **columns})
    (folder / "tables").mkdir(parents=True)
    write_table(folder / "tables/classifiers.parquet", table, Stamp("evaluate-classifiers", {}, "0"))
    return str(folder)


def test_a_number_that_moved_is_told_with_its_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nan = math.nan
    before, same = (0.1, 0.05, 0.2, 0.1), (0.1, 0.05, 0.2, nan)
    one = results(tmp_path / "a", same=same, inside=before, beyond=before, gone=before)
    inside = (0.18, 0.12, 0.25, 0.2)  # only the second interval leaves the other number out
    other = results(tmp_path / "b", same=same, inside=inside, beyond=(0.25, 0.21, 0.30, 0.1))
    main(["diff", one, other])
    said = capsys.readouterr().out
    assert re.search(r"^classifiers +3 +1 +1 +1$", said, re.MULTILINE)
    beyond, without = said.split("beyond its interval\n")[-1].split("\nno interval\n")
    without, single = without.split("in one run only\n")
    assert single.strip() == "classifiers: gone 0, in the first"
    assert beyond.strip() == "classifiers: beyond 0, error: 0.100 [0.0500, 0.200] -> 0.250 [0.210, 0.300]"
    assert without.strip() == "classifiers: inside 0, validation error: 0.100 -> 0.200"


def test_a_folder_without_tables_is_told(tmp_path: Path) -> None:
    one = results(tmp_path / "a", only=(0.1, 0.05, 0.2, 0.1))
    with pytest.raises(SystemExit, match=r"b: has no tables/\*\.parquet; name the results folder of a finished run"):
        main(["diff", one, str(tmp_path / "b")])


def test_a_page_shows_what_moved_and_what_was_asked_for_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [
        results(tmp_path / "a", net=(0.10, 0.05, 0.20, 0.1)),
        results(tmp_path / "b", net=(0.25, 0.21, 0.3, 0.1)),
    ]
    for folder, lr in zip(folders, (0.1, 0.2), strict=True):
        table = arrow_table("classifier_quality", {**SAME, "classifier": ["net"], "error": 0.1, "error_low": 0.05}
                            | {"error_high": 0.2, "validation_error": 0.1})  # fmt: skip
        spec = {"training": {"lr": lr, "batch": 100}}
        write_table(Path(folder) / "classifiers/net/seed0/history.parquet", table, Stamp("train", spec, "0"))
    main(["diff", *folders, "--page", str(tmp_path / "diff.html")])
    said = capsys.readouterr().out
    assert "  classifiers/net/seed0/history.parquet: training.lr: 0.1 -> 0.2\n" in said
    page = (tmp_path / "diff.html").read_text()
    cells = re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", page)
    for text in ("beyond its interval", "0.100 [0.0500, 0.200]", "0.250 [0.210, 0.300]", "training.lr", "0.1", "0.2"):
        assert text in cells
    assert "training.batch" not in page
    assert "1 beyond its interval" in page


def test_a_row_and_a_table_of_one_run_alone_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = (0.1, 0.05, 0.2, 0.1)
    folders = [results(tmp_path / "a", net=same), results(tmp_path / "b", net=same, other=same)]
    (tmp_path / "b/tables/more.parquet").write_bytes((tmp_path / "b/tables/classifiers.parquet").read_bytes())
    main(["diff", *folders, "--page", str(tmp_path / "diff.html")])
    told = ["the table more", "classifiers: other 0, in the second"]
    assert capsys.readouterr().out.split("in one run only\n")[1].split("\n\n")[0].splitlines() == [
        f"  {one}" for one in told
    ]
    page = (tmp_path / "diff.html").read_text()
    assert all(f">{one}<" in page for one in told)
