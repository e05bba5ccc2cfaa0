"""`advgen cv`, as someone who wants only a CV runs it: one command, no network, no torch."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from advgen import cli
from advgen.cv.cells import read_cell
from advgen.cv.live_values import LiveValue
from advgen.files.provenance import UNSEALED
from advgen.io.stamps import read_stamp
from advgen.outcomes.cv.outcome import cv_formats

from .conftest import NEEDS_LATEX, PROFILE, Files, png

FORMATS = cv_formats()
NO_EXPERIMENTS = PROFILE.replace("  - experiments\n", "")

GUARDED = """
import socket, sys

def refuse(*_):
    raise AssertionError("the network was used")

socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from advgen.cli import main
main(sys.argv[1:])
heavy = {"torch", "torchvision", "numpy", "pandas", "pyarrow", "matplotlib", "snakemake"} & set(sys.modules)
assert not heavy, heavy
"""


def arguments(files: Files, out: Path, *more: str) -> list[str]:
    given = {"profile": files.profile, "bibliography": files.bibliography, "metrics": files.metrics, "out": out}
    return ["cv", *(word for flag, path in given.items() for word in (f"--{flag}", str(path))), *more]


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def test_one_command_without_network_or_torch(files: Files, tmp_path: Path):
    files.write(profile=NO_EXPERIMENTS)
    command = [sys.executable, "-c", GUARDED, *arguments(files, tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first = written(tmp_path / "out")
    assert set(first) == {"cv.json", *(f"cv.{format_}" for format_ in FORMATS)}
    assert done.stdout.split() == [str(tmp_path / "out" / name) for name in ("cv.json", *(f"cv.{f}" for f in FORMATS))]
    # where a kernel can cut the network off, it is cut off; and the bytes are the same
    cut = ["unshare", "-rn"] if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0 else []
    command = [*cut, sys.executable, "-m", "advgen", *arguments(files, tmp_path / "again")]
    subprocess.run(command, check=True, capture_output=True)
    assert written(tmp_path / "again") == first


def test_help_says_what_is_needed():
    command = [sys.executable, "-m", "advgen", "cv", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for word in ("--profile", "--bibliography", "--metrics", "--overlay", "--tables", "--figures", "--out", "latexmk"):
        assert word in text


def with_results(files: Files) -> list[str]:
    """The arguments for a CV with a table and a figure, both written here."""
    table = {"source": ["fc100", "cnn"], "target_seed": [0, 0], "error": [0.125, 0.5]}
    pq.write_table(pa.table(table), files.folder / "transfer.parquet")
    (files.folder / "transfer.png").write_bytes(png())
    return arguments(files, files.folder / "out", "--tables", str(files.folder), "--figures", str(files.folder))


def test_live_values_and_figures_come_from_folders(files: Files, tmp_path: Path):
    cli.main(with_results(files))
    text = (tmp_path / "out/cv.md").read_text(encoding="utf-8")
    assert "**12.5%**" in text
    assert "](<figures/transfer.png>)" in text
    assert (tmp_path / "out/figures/transfer.png").read_bytes() == png()
    assert r"\includegraphics[width=0.68\linewidth]{figures/transfer.png}" in (tmp_path / "out/cv.tex").read_text()


@pytest.mark.parametrize(
    ("tables", "what"),
    [
        (None, r"profile\.yaml:32: table 'transfer' is needed; name the folder of the tables: --tables FOLDER"),
        ({}, r"profile\.yaml:32: no table 'transfer' in .*; tables there: other"),
        ({"source": ["fc100"] * 2, "target_seed": [0, 0], "error": [0.1, 0.2], "eps": [1, 2]},
         r"profile\.yaml:32: 2 rows of table 'transfer' match source='fc100', target_seed=0; add conditions so "
         r"that exactly one does \(they differ in eps\)"),
        ({"source": ["cnn"], "target_seed": [0], "error": [0.1]}, r"profile\.yaml:32: 0 rows of table"),
        ({"source": ["fc100"], "target_seed": [0]}, r"profile\.yaml:32: table 'transfer' has no column 'error'; it"),
    ],
)  # fmt: skip
def test_a_live_value_without_its_cell(files: Files, tmp_path: Path, tables: dict | None, what: str):
    given: list[str] = []
    if tables is not None:
        pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
        given = ["--tables", str(tmp_path)]
    if tables:
        pq.write_table(pa.table(tables), tmp_path / "transfer.parquet")
    with pytest.raises(SystemExit, match=what):
        cli.main(arguments(files, tmp_path / "out", *given))
    assert not (tmp_path / "out").exists()


def test_a_figure_without_its_file(files: Files, tmp_path: Path):
    files.write(profile=PROFILE.replace("{{ result('transfer', 'error', source='fc100', target_seed=0) | .1% }}", "x"))
    line = PROFILE[: PROFILE.index("name: transfer")].count("\n") + 1
    with pytest.raises(SystemExit, match=rf"profile\.yaml:{line}: the figure 'transfer' has no file; name the folder"):
        cli.main(arguments(files, tmp_path / "out"))
    with pytest.raises(SystemExit, match=rf"profile\.yaml:{line}: the figure 'transfer' has no file; put transfer.png"):
        cli.main(arguments(files, tmp_path / "out", "--figures", str(tmp_path)))


def test_a_section_that_is_not_shown_needs_no_tables_or_figures(files: Files, tmp_path: Path):
    nothing = ("--tables", str(tmp_path / "none"), "--figures", str(tmp_path / "none"))
    cli.main(arguments(files, tmp_path / "out", "--sections", "publications", "--name", "papers", *nothing))
    assert set(written(tmp_path / "out")) == {"papers.json", *(f"papers.{format_}" for format_ in FORMATS)}


def test_a_word_that_no_command_is(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main(["cv", "imprt", "cv.yaml"])
    assert "'imprt'" in (said := capsys.readouterr().err)
    assert "import" in said


def test_only_the_wanted_formats(files: Files, tmp_path: Path):
    files.write(profile=NO_EXPERIMENTS)
    cli.main(arguments(files, tmp_path / "out", "--formats", "md"))
    assert set(written(tmp_path / "out")) == {"cv.json", "cv.md"}
    with pytest.raises(SystemExit):
        cli.main(arguments(files, tmp_path / "out", "--formats", "odt"))
    with pytest.raises(SystemExit, match="must be the name of a file"):
        cli.main(arguments(files, tmp_path / "out", "--name", "../x"))


def test_latex_pdf_where_there_is_no_latexmk(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files.write(profile=NO_EXPERIMENTS)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"latex\.pdf needs latexmk; install"):
        cli.main(arguments(files, tmp_path / "out", "--formats", "latex.pdf"))


@NEEDS_LATEX
def test_latex_pdf_is_the_same_twice_and_stamped(files: Files, tmp_path: Path):
    files.write(profile=NO_EXPERIMENTS)
    for name in ("a", "b"):
        cli.main(arguments(files, tmp_path / name, "--formats", "latex.pdf"))
    assert written(tmp_path / "a") == written(tmp_path / "b")
    assert read_stamp(tmp_path / "a/cv.latex.pdf") == read_stamp(tmp_path / "a/cv.json")


def test_every_file_carries_its_stamp(files: Files, tmp_path: Path):
    files.write(profile=NO_EXPERIMENTS)
    cli.main(arguments(files, tmp_path / "out"))
    stamps = {name: read_stamp(tmp_path / "out" / name) for name in written(tmp_path / "out")}
    (stamp,) = {item.with_seal(UNSEALED).to_json(): item for item in stamps.values() if item}.values()
    assert all(stamps.values())
    assert set(stamp.inputs) == {"profile.yaml", "publications.bib", "metrics.yaml"}


SECRET = "Hush-hush Institute"
OVERLAY = f"""\
email: private@example.org
paper: us-letter
links:
  - {{label: "+36 1 555 0100", url: "https://phone.example.org"}}
position:
  - {{id: tester, location: {SECRET}}}
talks:
  - {{title: Off the record, event: {SECRET}, date: 2025}}
"""


def overlaid(files: Files, tmp_path: Path) -> Path:
    files.write(profile=NO_EXPERIMENTS.replace("  - title: Tester", "  - id: tester\n    title: Tester"))
    overlay = tmp_path / "private.yaml"
    overlay.write_text(OVERLAY, encoding="utf-8")
    return overlay


def test_a_private_overlay_is_merged_by_id(files: Files, tmp_path: Path):
    overlay = overlaid(files, tmp_path)
    cli.main(arguments(files, tmp_path / "private", "--overlay", str(overlay)))
    cv = json.loads((tmp_path / "private/cv.json").read_text(encoding="utf-8"))
    text = (tmp_path / "private/cv.md").read_text(encoding="utf-8")
    assert (cv["email"], cv["paper"]) == ("private@example.org", "us-letter")
    assert [link["label"] for link in cv["links"]] == ["@proba", "+36 1 555 0100"]
    assert f"**Tester**, *Works & Co\\_*, {SECRET}" in text
    assert "3. Off the record" in text
    assert "100% City" not in text


def test_nothing_private_leaks(files: Files, tmp_path: Path):
    overlay = overlaid(files, tmp_path)
    cli.main(arguments(files, tmp_path / "private", "--overlay", str(overlay)))
    cli.main(arguments(files, tmp_path / "public"))
    stamp = read_stamp(tmp_path / "private/cv.json")
    assert stamp is not None
    assert set(stamp.inputs) == {"profile.yaml", "private.yaml", "publications.bib", "metrics.yaml"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in stamp.inputs.values())
    for word in (SECRET, "private@", "555 0100", "Off the record"):
        assert word not in stamp.to_json()
        for content in written(tmp_path / "public").values():
            tokens = re.findall(rb"advgen:([A-Za-z0-9_=-]+)", content)
            everything = content + b"".join(base64.urlsafe_b64decode(token) for token in tokens)
            assert word.encode() not in everything


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "talks:\n  - {title: A, evnt: B, date: 2020}\n",
            r"private\.yaml:2: unknown key 'talks\.2\.evnt'; did you mean",
        ),
        ("position:\n  - {id: tester, end: 1999}\n", r"profile\.yaml:\d+: position\.0 ends in 1999 before it starts"),
        ("talks: [{title: 'x [y](javascript:z)', event: E, date: 2020}]\n", r"private\.yaml:1: 'javascript:z' is not"),
        ("- a\n", r"private\.yaml:1: not a map of keys"),
        ("service: [{id: a, title: x, date: 2020}, {id: a, title: y, date: 2020}]\n", r"the id 'a' appears twice"),
    ],
)
def test_errors_of_the_overlay_name_its_lines(files: Files, tmp_path: Path, text: str, what: str):
    overlay = overlaid(files, tmp_path)
    overlay.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=what):
        cli.main(arguments(files, tmp_path / "out", "--overlay", str(overlay)))


MISSING = """
import sys

class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(name, name=name)

missing = sys.argv.pop(1).split(",")
sys.meta_path.insert(0, Missing())
from advgen.cli import main
main(sys.argv[1:])
"""


def without(packages: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", MISSING, packages, *words], capture_output=True, text=True)


def test_live_values_need_no_package_of_the_lab(files: Files, tmp_path: Path):
    done = without("torch,torchvision,snakemake,pandas,scipy,matplotlib,safetensors,docutils", *with_results(files))
    assert done.returncode == 0, done.stderr
    assert "**12.5%**" in (tmp_path / "out/cv.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("package", "words", "extra"),
    [("typst", ["cv", "--help"], "cv"), ("pyarrow", ["trace", "t.parquet"], "lab")],
)
def test_a_missing_package_is_reported_with_its_extra(
    package: str, words: list[str], extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("t.parquet").touch()
    done = without(package, *words)
    assert done.returncode == 1
    assert done.stderr == f"advgen {words[0]}: needs {package}; pip install 'advgen[{extra}]'\n"


def test_a_cell_is_found_by_the_number_that_the_table_rounded(tmp_path: Path):
    rows = {"eps": pa.array([0.1, 0.2], pa.float32()), "error": pa.array([0.25, None], pa.float32()), "n": [7, 8]}
    pq.write_table(pa.table({**rows, "attack": ["pgd", None]}), tmp_path / "t.parquet")

    def found(column: str, **where: str | float) -> object:
        return read_cell(LiveValue("t", column, tuple(where.items()), "", 1), tmp_path / "t.parquet")

    assert found("error", eps=0.1) == found("error", attack="pgd") == found("error", n=7.0) == 0.25
    assert found("error", eps=0.2) is None
    for where in ({"eps": "0.1"}, {"attack": 7}, {"n": 7.5}):
        with pytest.raises(ValueError, match="0 rows"):
            found("error", **where)
