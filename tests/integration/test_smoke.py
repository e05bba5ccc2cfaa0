"""The smoke study on real MNIST, end to end. It runs once, and all tests read its results."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from markupsafe import escape
from tests.project import ROOT, Project

import advgen
from advgen.io.stamps import read_stamp
from advgen.report.page import bind_units
from advgen.study.load import load_file

STUDY = "config/smoke.yaml"


def artefacts(project: Project) -> list[Path]:
    """Return all files in the plan."""
    return [project.folder / line for line in project.advgen("plan", STUDY, "--files").stdout.splitlines()]


def test_everything_planned_exists(smoke: Project) -> None:
    files = artefacts(smoke)
    assert len(files) > 60
    assert all(path.is_file() and path.stat().st_size for path in files)


def test_second_run_has_nothing_to_do(smoke: Project) -> None:
    result = smoke.snakemake(STUDY)
    assert result.returncode == 0
    assert "Nothing to be done" in result.stderr


def test_intermediates_are_parquet_or_checkpoints(smoke: Project) -> None:
    results = smoke.folder / "results"
    free = ("logs", "benchmarks", "figures", "report", "cv", "state", "cache", "README.md", ".lock")
    for path in results.rglob("*"):
        parts = path.relative_to(results).parts
        if path.is_dir() or parts[0] in free or "raw" in parts:
            continue
        assert path.suffix in (".parquet", ".safetensors"), path
        if path.suffix == ".parquet":
            assert pq.read_metadata(path).num_rows > 0, path
        else:
            assert sum(weight.numel() for weight in advgen.load(path).parameters()) > 0
    assert not list((results / "state").glob("*.safetensors"))


def test_every_artefact_is_stamped_without_host_or_absolute_path(smoke: Project) -> None:
    for path in artefacts(smoke):
        if "raw" in path.parts:
            continue
        stamp = read_stamp(path)
        assert stamp is not None, path
        made_from_nothing = path.parent.name == "simulations" or path.name == "models.parquet"
        assert bool(stamp.inputs) != made_from_nothing, path
        text = stamp.to_json()
        assert str(smoke.folder) not in text
        assert '"/' not in text
        if "cv" in path.parts:
            assert set(stamp.spec) == {"sha256"}


@pytest.mark.parametrize(
    "file", ["cv/cv.pdf", "figures/transfer.png", "report/index.html", "tables/sanity_checks.parquet"]
)
def test_trace_leads_back_to_the_raw_files(smoke: Project, file: str) -> None:
    result = smoke.advgen("trace", f"results/{file}")
    assert result.returncode == 0, result.stderr
    assert "results/datasets/mnist/raw/train-images-idx3-ubyte" in result.stdout
    assert "MISSING" not in result.stdout
    assert "CHANGED" not in result.stdout


def test_cv_shows_a_number_and_a_figure_of_the_study(smoke: Project) -> None:
    table = pq.read_table(smoke.folder / "results/tables/transfer.parquet").to_pandas()
    row = table[(table["attack"] == "pgd") & (table["target"] == "cnn")].iloc[0]
    shown = f"{row['error']:.1%}"
    for name in ("cv.md", "cv.html"):
        text = (smoke.folder / "results/cv" / name).read_text(encoding="utf-8")
        assert shown.rstrip("%") in text
    assert shown.rstrip("%") in json.dumps(json.loads((smoke.folder / "results/cv/cv.json").read_text("utf-8")))
    assert "figures/transfer.png" in (smoke.folder / "results/cv/cv.md").read_text(encoding="utf-8")
    assert (smoke.folder / "results/cv/cv.pdf").read_bytes().startswith(b"%PDF")


def test_report_shows_every_figure(smoke: Project) -> None:
    page = (smoke.folder / "results/report/index.html").read_text(encoding="utf-8")
    figures = sorted(path.stem for path in (smoke.folder / "results/figures").glob("*.pdf"))
    assert figures == sorted(load_file(ROOT / "config/smoke.yaml").study.figures)
    for figure in figures:
        assert f"figures/{figure}.pdf" in page
        shown = json.loads((smoke.folder / "results/figures" / f"{figure}.json").read_text(encoding="utf-8"))
        assert escape(bind_units(shown["sentence"])) in page
        assert f"snakemake --cores 1 results/figures/{figure}.png --config study={STUDY}" in page
    assert len(page) < 25e6


def test_the_report_is_written_without_a_figure(smoke: Project) -> None:
    gone = smoke.folder / "results/figures/transfer.json"
    kept = gone.rename(gone.with_suffix(".kept"))
    try:
        result = smoke.advgen("so-far", STUDY)
    finally:
        kept.rename(gone)
    assert result.returncode == 0, result.stderr
    assert "  missing: transfer\n" in result.stdout
    page = smoke.folder / "results/report/so-far.html"
    text = page.read_text(encoding="utf-8")
    page.unlink()
    assert text.count('badge missing"') == 2  # where findings are listed, and where the figure would stand
    assert "../figures/robustness.pdf" in text
    assert "../figures/transfer.pdf" not in text


def test_a_printed_command_can_be_run_by_hand(smoke: Project) -> None:
    target = smoke.folder / "results/tables/robustness.parquet"
    before, times = target.read_bytes(), target.stat()
    result = smoke.snakemake(STUDY, "-n", "--logger-advgen-plain", "--forcerun", "summarise")
    printed = [
        line
        for line in (result.stdout + result.stderr).splitlines()
        if "--out results/tables/robustness.parquet " in line
    ]
    assert len(printed) == 1, result.stdout[-2000:]
    command = printed[0][printed[0].index("python -m advgen") :]
    target.unlink()
    assert smoke.run("bash", "-c", command).returncode == 0
    assert target.read_bytes() == before
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))  # other tests go on with this study
