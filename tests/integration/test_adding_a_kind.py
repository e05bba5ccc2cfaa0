"""A kind of experiment is one folder: six files add "corruptions" to a copy, and no other line changes.

The copy has a finished study, so that it also shows what a new kind makes stale: nothing else.
"""

import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.project import ROOT, Project

STUDY = "study.yaml"
KIND = ROOT / "tests/kinds/corruptions"
ASKED = "\ncorruptions:\n  damaged: {sources: [fc100, cnn], images: 50}\n"
FIGURES = "\nfigures:\n  accuracy: {kind: robustness, sources: [fc100], attacks: [pgd]}\n"
DRAWN = "  damage: {kind: corruption, corruption: damaged}\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, raw_mnist: Path, kept: Path) -> Project:
    """A small study with a figure, finished."""
    project = Project(tmp_path_factory.mktemp("kind"), cache=kept)
    (project.folder / STUDY).write_text((ROOT / "tests/spine.yaml").read_text() + FIGURES)
    project.finish(STUDY)
    return project


@pytest.fixture(scope="module")
def grown(finished: Project) -> Project:
    """The study after a kind of experiment was added to the project."""
    shutil.copytree(KIND, finished.folder / "src/advgen/experiments/corruptions")
    finished.append(STUDY, DRAWN + ASKED)
    return finished


@pytest.fixture(scope="module")
def planned(grown: Project) -> str:
    """Return the output of a dry run before its jobs have run."""
    result = grown.finish(STUDY, "-n")
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def made(grown: Project, planned: str) -> Project:
    """Return the copy after all jobs have run."""
    grown.finish(STUDY)
    return grown


def test_it_is_six_short_files() -> None:
    files = [path for path in KIND.iterdir() if path.is_file()]
    assert len(files) == 6
    assert sum(len(path.read_text().splitlines()) for path in files) <= 160  # tables.yaml included


def test_nothing_else_is_stale(planned: str) -> None:
    counts = dict(re.findall(r"^(\w+) +(\d+)$", planned, flags=re.MULTILINE))
    counts.pop("total")
    assert counts == {"corrupt": "2", "summarise": "1", "draw": "1", "report_page": "1", "verify": "1", "all": "1"}


def test_its_definitions_are_checked(grown: Project) -> None:
    study = (grown.folder / STUDY).read_text()
    for right, wrong, said in (
        ("images: 50}", "images: 50, severty: 1}", "severity"),
        ("[fc100, cnn], images: 50", "[fc100, fc999], images: 50", "fc999"),
        ("images: 50}", "images: 5000000}", "5000000"),
    ):
        (grown.folder / "wrong.yaml").write_text(study.replace(right, wrong))
        result = grown.advgen("plan", "wrong.yaml")
        assert result.returncode == 1
        assert "corruptions.damaged" in result.stderr
        assert len(result.stderr.strip().splitlines()) <= 2
        assert said in result.stderr.replace(",", "")


def test_it_runs_and_is_summarised(made: Project) -> None:
    table = pq.read_table(made.folder / "results/tables/corruptions.parquet").to_pandas()
    assert set(table["damage"]) == {"noise", "blur", "dark", "pale", "turned"}
    assert set(table["source"]) == {"fc100", "cnn"}
    assert (table["n"] == 50).all()
    # darker images are still classified correctly, noisy ones are not
    assert table["accuracy"].max() > table["accuracy"].min()


def test_it_is_drawn_and_captioned_in_the_report(made: Project) -> None:
    assert (made.folder / "results/figures/damage.png").stat().st_size > 5_000
    page = (made.folder / "results/report/index.html").read_text()
    assert "Test images right under five kinds of damage." in page
    assert "Accuracy on damaged images" in page


def test_it_is_in_the_generated_pages(made: Project) -> None:
    assert made.module("tools.docs", "--check").returncode == 1
    assert made.module("tools.docs").returncode == 0
    for page, text in {
        "config/README.md": "## CorruptionsDefinition",
        "config/config.schema.json": '"severity"',
        "docs/rules.md": "\n## corrupt\n\nDamage test images in five ways",
        "results/README.md": "`corruptions/<corruption>/<source>--seed<seed>.parquet`",
    }.items():
        assert text in Path(made.folder / page).read_text(), page
    rules = (made.folder / "docs/rules.md").read_text().split("\n## ")
    assert ["- runs on: a GPU if one is available" in rule for rule in rules if rule.startswith("corrupt\n")] == [True]


def test_deleting_the_folder_removes_the_kind(made: Project) -> None:
    shutil.rmtree(made.folder / "src/advgen/experiments/corruptions")
    study = (made.folder / STUDY).read_text()
    (made.folder / STUDY).write_text(study.replace(ASKED, "").replace(DRAWN, ""))
    result = made.snakemake(STUDY, "-n")
    counts = dict(re.findall(r"^(\w+) +(\d+)$", result.stdout + result.stderr, flags=re.MULTILINE))
    assert set(counts) == {"report_page", "verify", "all", "total"}
