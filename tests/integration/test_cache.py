"""Nothing is computed twice: what was computed before is taken from where it is kept, in any copy of the project."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.project import Project

from advgen.driver.workers import LOG, SERVER

STUDY = "tests/spine.yaml"
COMPUTED = {"fetch", "verify"}
"""What runs in every case: the raw files have their own store, and the verdict is about all that lies there."""


def artefacts(project: Project) -> dict[str, bytes]:
    """Everything that a study has made, but logs, benchmarks and states."""
    results = project.folder / "results"
    left_out = ("logs/", "benchmarks/", "state/", "cache/")
    found = {str(path.relative_to(results)): path for path in results.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith((*left_out, "."))}


def ran(project: Project, *arguments: str, study: str = STUDY) -> tuple[set[str], set[str]]:
    """Run the study; the rules that computed something, and the files whose jobs were spared."""
    result = project.finish(study, *arguments)
    started = re.findall(r"^Shell command: python -m advgen (\S+) .* > (\S+) 2>&1$", project.full_log(), re.MULTILINE)
    said = {
        log: re.match(r"\S+ (\S+): result reused from the cache", (project.folder / log).read_text())
        for _, log in started
    }
    spared = {found[1] for found in said.values() if found}
    taken = f"({len(started) - len(spared)} computed, {len(spared)} from the cache)"
    assert (taken in result.stderr) == bool(spared), result.stderr
    return {command for command, log in started if not said[log]}, spared


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, raw_mnist: Path, store: Path) -> Project:
    """The spine study, computed into an empty store."""
    project = Project(tmp_path_factory.mktemp("first"), cache=store)
    project.environment["PS1"] = "(.venv) "  # exported by an activated virtual environment
    assert ran(project)[1] == set()
    return project


@pytest.fixture(scope="module")
def second(shared: Project, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Another copy, without results; the tests edit it one after the other."""
    return Project(tmp_path_factory.mktemp("second"), cache=store)


def test_another_copy_takes_everything_and_has_the_same_bytes(shared: Project, second: Project) -> None:
    computed, spared = ran(second)
    assert computed == COMPUTED
    assert len(spared) > 8
    assert artefacts(second) == artefacts(shared)
    assert second.advgen("verify", STUDY).returncode == 0


def test_the_same_bytes_as_cold_jobs(shared: Project, tmp_path: Path) -> None:
    """What jobs forked from a warm server made, as jobs that import everything themselves make it."""
    cold = Project(tmp_path / "cold")
    cold.environment["ADVGEN_WORKERS"] = "off"
    assert ran(cold)[1] == set()
    assert artefacts(cold) == artefacts(shared)
    for project in (shared, cold):
        log = project.folder / LOG
        served = log.read_text().split() if log.exists() else []
        assert ("craft" in served) == ("transfer" in served) == (project is shared), served
        assert not (project.folder / SERVER).exists()
        [trained] = project.folder.glob("results/benchmarks/train_classifier/fc100/*.tsv")
        assert float(trained.read_text().splitlines()[1].split("\t")[2]) > 100, "MB of a process with torch"


DOWNLOAD = ("src/advgen/data/download.py", "failures: list[str] = []\n", "failures = list[str]()\n", {"fetch"})
ATTACK = ("src/advgen/attacks/pgd.py", "range(spec.restarts)", "range(0 + spec.restarts)", {"craft"})
REMARK = (STUDY, "\nattacks:", "\n# a remark\nattacks:", set[str]())


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"), [DOWNLOAD, ATTACK, REMARK], ids=["data", "attack", "remark"]
)
def test_what_comes_out_equal_ends_the_computing(
    second: Project, file: str, old: str, new: str, expected: set[str]
) -> None:
    second.edit(file, old, new)
    computed, _ = ran(second)
    assert computed - {"verify"} == expected


def test_a_damaged_raw_file_is_fetched_again_and_nothing_else(second: Project) -> None:
    before, raw = artefacts(second), "results/datasets/mnist/raw/train-images-idx3-ubyte"
    content = bytearray((second.folder / raw).read_bytes())
    content[1000] ^= 1
    (second.folder / raw).write_bytes(content)
    told = second.advgen("verify", STUDY).stdout
    assert [line.split(":")[0] for line in told.splitlines()] == [raw]
    assert (
        f"{raw}: written by an interrupted run, or changed since; its job runs again"
        in second.snakemake(STUDY, "-n").stderr
    )
    assert ran(second)[0] - {"verify"} == {"fetch"}
    assert artefacts(second) == before
    assert "Nothing to be done" in second.snakemake(STUDY).stderr


def test_a_renamed_attack_is_not_crafted_again(second: Project) -> None:
    second.edit(STUDY, "  pgd: {kind", "  ascent: {kind")
    second.edit(STUDY, "attacks: [pgd]", "attacks: [ascent]")
    computed, spared = ran(second)
    crafted = "results/attacks/fc100/seed0/ascent.parquet"
    assert crafted in spared
    assert "craft" not in computed
    table = pq.read_table(second.folder / crafted)
    assert table.column("attack").unique().to_pylist() == ["ascent"]
    taken = (second.folder / crafted).read_bytes()
    (second.folder / crafted).unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(second.environment, "ADVGEN_CACHE", "off")
        assert ran(second, crafted) == ({"craft"}, set())
    assert (second.folder / crafted).read_bytes() == taken


def test_a_renamed_classifier_is_not_trained_again(second: Project) -> None:
    text = (second.folder / STUDY).read_text().replace("fc100:", "small:").replace("[fc100", "[small")
    (second.folder / STUDY).write_text(text)
    computed, spared = ran(second)
    trained = "results/classifiers/small/seed0/classifier.safetensors"
    assert trained in spared
    assert not computed & {"train-classifier", "craft"}
    taken = (second.folder / trained).read_bytes()
    (second.folder / trained).unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(second.environment, "ADVGEN_CACHE", "off")
        assert ran(second, trained) == ({"train-classifier"}, set())
    assert (second.folder / trained).read_bytes() == taken


def test_a_damaged_entry_is_not_used(shared: Project, store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "store"
    shutil.copytree(store, copy)
    second = Project(tmp_path / "third", cache=copy)
    wanted = (shared.folder / "results/attacks/fc100/seed0/pgd.parquet").read_bytes()
    [damaged] = [path for path in copy.glob("??/*/out.parquet") if path.read_bytes() == wanted]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    computed, _ = ran(second)
    assert computed - COMPUTED == {"craft"}
    assert artefacts(second) == artefacts(shared)
    assert damaged.read_bytes() == wanted


def test_several_may_keep_the_same_at_once(shared: Project, tmp_path: Path) -> None:
    dry = shared.snakemake(STUDY, "-n", "-F", "--logger-advgen-plain", "results/tables/matrix.parquet")
    [command] = re.findall(r"Shell command: (python -m advgen summarise .*) > ", dry.stdout)
    store = tmp_path / "store"
    environment = {**shared.environment, "ADVGEN_CACHE": str(store)}

    def one(number: int) -> int:
        there = command.replace("results/tables/matrix.parquet", str(tmp_path / f"{number}.parquet"))
        return subprocess.run(["bash", "-c", there], cwd=shared.folder, env=environment).returncode

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(one, range(4))) == [0] * 4
    assert all((entry / "files.json").is_file() for entry in store.glob("??/*"))
    assert not list(store.glob("??/.partial.*"))


def test_it_stays_within_its_bounds(shared: Project, store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "store"
    shutil.copytree(store, copy)
    newest = max(copy.glob("??/*"), key=lambda entry: entry.stat().st_mtime)
    os.utime(newest)
    size = sum(file.stat().st_size for file in newest.iterdir())
    environment = {**shared.environment, "ADVGEN_CACHE": str(copy), "ADVGEN_CACHE_GB": str(1.5 * size / 1e9)}
    subprocess.run(["python", "-c", "from advgen.jobs.cache import shrink; shrink()"], env=environment, check=True)
    assert newest in list(copy.glob("??/*"))
    assert sum(file.stat().st_size for file in copy.rglob("*") if file.is_file()) <= 1.5 * size


def test_it_can_be_off_and_lies_with_the_results_by_default(tmp_path: Path, raw_mnist: Path) -> None:
    project = Project(tmp_path / "off")
    target = "results/datasets/mnist/train.parquet"
    assert project.snakemake(STUDY, target).returncode == 0
    assert not (project.folder / "results/cache").exists()
    project.environment.pop("ADVGEN_CACHE")
    (project.folder / target).unlink()
    assert project.snakemake(STUDY, target).returncode == 0
    assert len(list((project.folder / "results/cache").glob("??/*"))) == 1


TITLE, YEAR = "  title   = {Heavy Tails, Light Heads},\n", "  year    = {2024},\n"
BIBLIOGRAPHY = [
    (TITLE, ""),  # the fields of an entry in another order, with other white space
    (YEAR, f"{YEAR}  title={{Heavy  Tails,\n Light Heads}} ,\n\n"),
    ("@misc{vydumova2024tails", "% a remark\n@comment{another}\n\n@misc{vydumova2024tails"),
]
PROFILE = [
    ("name: Zoë Quillåker\n", ""),
    (
        "aliases: [Z. Quillåker, Zoe Quillaker]\n",
        "aliases: [Z. Quillåker,  Zoe Quillaker]  # hers\n\nname:  Zoë Quillåker\n",
    ),
]
METRICS = [("as_of: 2025-09-30\n", ""), ("source: Citation Index\n", "source: Citation Index\nas_of: 2025-09-30\n")]


def test_a_remark_in_the_sources_of_a_cv_costs_nothing(tmp_path: Path) -> None:
    study = "tests/slice.yaml"
    project = Project(tmp_path / "cv", cache=tmp_path / "shared")
    project.without_experiments_in_the_cv()
    project.edit(study, "cv: {}\n", "cv: {formats: [pdf, html, md, tex, resume.json]}\n")
    assert ran(project, "cv", study=study)[0] == {"cv-data", "cv-render"}
    before = artefacts(project)
    edits = {"publications.bib": BIBLIOGRAPHY, "profile.yaml": PROFILE, "metrics.yaml": METRICS}
    for file, changes in edits.items():
        for old, new in changes:
            project.edit(f"config/cv/{file}", old, new)
        assert ran(project, "cv", study=study) == (set(), set()), file
    assert artefacts(project) == before
    assert project.advgen("verify", study, "--only", "results/cv/cv.json").returncode == 0
    assert not list((tmp_path / "shared").rglob("*.*"))
