"""Use without a clone: the wheel, a folder made by `advgen init`, and other workflows that include ours."""

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tests import warm
from tests.project import PARTS, ROOT

STUDY = """title: digits
seeds: [0]
datasets: {mnist: {kind: mnist}}
figures: {digits: {kind: dataset_samples, dataset: mnist}}
"""
CV_COMMAND = "advgen cv --profile profile.yaml --bibliography publications.bib --metrics metrics.yaml --out made"
MODULE = """from advgen.workflow import SNAKEFILE


module advgen:
    snakefile: SNAKEFILE
    config: {"study": "small.yaml"}


use rule * from advgen as lab_*


rule mine:
    input: rules.lab_all.input
    output: "mine.txt"
    shell: "touch {output}"
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree."""
    folder = tmp_path_factory.mktemp("source")
    for part in (*PARTS, "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / part, folder / part)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the tree."""
    built = tmp_path_factory.mktemp("built")
    words = ["wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", built, source]
    made = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    [found] = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the unpacked wheel."""
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def ran(installed: Path, folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module in a folder with the installed package and without the clone."""
    return warm.run(command[0], command[1:], folder, {**environment(), "PYTHONPATH": str(installed), **variables}, 600)


def environment() -> dict[str, str]:
    """Return the environment of the tests without our variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "ADVGEN", "PYTHON"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "ADVGEN_DATA": str(ROOT / "results/datasets-for-tests")}


@pytest.fixture(scope="module")
def mine(installed: Path, tmp_path_factory: pytest.TempPathFactory, raw_mnist: Path) -> Path:
    """A folder made by `advgen init` with a small study."""
    folder = tmp_path_factory.mktemp("folders") / "my study"
    made = ran(installed, folder.parent, "advgen", "init", str(folder))
    assert made.returncode == 0, made.stderr
    (folder / "small.yaml").write_text(STUDY)
    return folder


def test_a_new_folder_has_the_whole_example(installed: Path, mine: Path) -> None:
    said = ran(installed, mine, "advgen", "run", "-n")
    assert said.returncode == 0, said.stderr
    assert " jobs would run: " in said.stdout
    assert str(ROOT) not in said.stdout + said.stderr
    readme = (mine / "README.md").read_text()
    assert len(readme.splitlines()) <= 10 and "advgen run" in readme
    for path in re.findall(r"config/\w[\w.]*\w", readme):
        assert (mine / path).exists(), path
    assert "results/" in (mine / ".gitignore").read_text()


def test_it_runs_and_finds_its_captions(installed: Path, mine: Path) -> None:
    result = ran(installed, mine, "advgen", "run", "small.yaml", "--cores", "2")
    assert result.returncode == 0, result.stderr[-3000:]
    assert (mine / "results/figures/digits.png").is_file()
    assert ran(installed, mine, "advgen", "verify", "small.yaml").returncode == 0
    assert "Nothing to be done" in ran(installed, mine, "advgen", "run", "small.yaml").stderr
    report = ran(installed, mine, "advgen", "run", "small.yaml", "--report", "report.html")
    assert report.returncode == 0, report.stderr
    assert "shows the figure with its caption and finding" in (mine / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "other.yaml"), "advgen run: other.yaml: no such study; did you mean"),
        (("init", "."), "advgen init: .: already exists; choose a new or empty folder"),
    ],
    ids=["run", "init"],
)
def test_mistakes_end_in_one_line(installed: Path, mine: Path, words: tuple[str, ...], told: str) -> None:
    result = ran(installed, mine, "advgen", *words)
    assert result.returncode == 1
    assert result.stderr.startswith(told)
    assert result.stderr.count("\n") == 1


def test_a_cv_alone(installed: Path, tmp_path: Path) -> None:
    assert ran(installed, tmp_path, "advgen", "init", "--cv", "my-cv").returncode == 0
    assert CV_COMMAND in (tmp_path / "my-cv/README.md").read_text().splitlines()
    result = ran(installed, tmp_path / "my-cv", *CV_COMMAND.split(), "--formats", "md")
    assert result.returncode == 0, result.stderr
    assert "Quillåker" in (tmp_path / "my-cv/made/cv.md").read_text(encoding="utf-8")


def test_as_a_module_of_another_workflow(installed: Path, tmp_path: Path, raw_mnist: Path) -> None:
    """Its rules have other names; captions come from the package in any working folder."""
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow/Snakefile").write_text(MODULE)
    (tmp_path / "small.yaml").write_text(STUDY)
    result = ran(installed, tmp_path, "snakemake", "--cores", "2", "mine")
    assert result.returncode == 0, result.stderr + result.stdout
    assert "localrule lab_draw" in result.stdout + result.stderr
    assert (tmp_path / "mine.txt").is_file() and (tmp_path / "results/report/index.html").is_file()
    assert ran(installed, tmp_path, "advgen", "verify", "small.yaml").returncode == 0
    report = ran(installed, tmp_path, "snakemake", "--report", "report.html", "mine")
    assert report.returncode == 0, report.stderr
    assert "shows the figure with its caption and finding" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("moved", ['prefix: "there"', 'replace_prefix: {"results": "there"}'])
def test_a_module_with_a_prefix_is_an_error(installed: Path, tmp_path: Path, moved: str) -> None:
    """`advgen verify` would check results/ and miss its files."""
    (tmp_path / "small.yaml").write_text(STUDY)
    named = '{"study": "small.yaml"}\n'
    (tmp_path / "Snakefile").write_text(MODULE.replace(named, f"{named}    {moved}\n"))
    result = ran(installed, tmp_path, "snakemake", "-n", "--cores", "1", "mine")
    assert result.returncode == 1
    assert result.stderr.startswith("module advgen: prefix and replace_prefix are not supported: results are always")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_from_another_folder(installed: Path, tmp_path: Path, snakefile: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/small.yaml").write_text(STUDY)
    path = str(installed / "advgen/project" / snakefile)
    result = ran(
        installed, tmp_path, "snakemake", "-n", "-s", path, "--directory", "there", "--config", "study=small.yaml"
    )
    assert result.returncode == 0, result.stderr
    assert "would run" in result.stdout + result.stderr or "draw" in result.stdout + result.stderr


def test_type_checkers_find_the_type_hints(installed: Path) -> None:
    """Mypy treats a package in site-packages without py.typed as untyped."""
    assert (installed / "advgen/py.typed").is_file()


# --- a fresh environment ---


def packages(asked: str) -> set[str]:
    """Return the packages that a requirement installs."""
    found: dict[str, set[str]] = {}  # with the extras that were asked for
    waiting = [Requirement(asked)]
    while waiting:
        one = waiting.pop()
        name, extras = one.name.lower(), one.extras or {""}
        if new := extras - found.setdefault(name, set()):
            found[name] |= new
            for below in map(Requirement, distribution(name).requires or ()):
                if below.marker is None or any(below.marker.evaluate({"extra": extra}) for extra in new):
                    waiting.append(below)
    return set(found)


def fresh(folder: Path, asked: str, wheel: Path | None = None) -> Path:
    """Return the Python of a new environment with the packages of a requirement and the wheel, and nothing else."""
    venv.create(folder, symlinks=True)
    [library] = folder.glob("lib/*/site-packages")
    python = folder / "bin/python"
    if wheel is not None:
        words = ["--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
        subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)
    for name in packages(asked) - {"advgen"}:
        for top in {Path(str(file)).parts[0] for file in distribution(name).files or ()} - {"..", "__pycache__"}:
            if not (library / top).exists():  # some share a folder
                (library / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    return python


def test_a_fresh_environment_runs_a_study(wheel: Path, tmp_path: Path, raw_mnist: Path) -> None:
    python = fresh(tmp_path / "env", "advgen[lab]", wheel)
    command = [str(python.with_name("advgen"))]
    assert subprocess.run([*command, "init", "my-study"], cwd=tmp_path, env=environment()).returncode == 0
    (tmp_path / "my-study/small.yaml").write_text(STUDY)
    # without activation, and with another Python first on the path
    words = [*command, "run", "small.yaml", "--cores", "2"]
    made = subprocess.run(words, cwd=tmp_path / "my-study", env=environment(), capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-3000:]
    assert "<title>digits" in (tmp_path / "my-study/results/report/index.html").read_text()


def test_a_cv_needs_no_torch(wheel: Path, tmp_path: Path) -> None:
    python = fresh(tmp_path / "env", "advgen[cv]", wheel)
    there = (
        "from importlib.util import find_spec; print(*[n for n in ('torch', 'snakemake', 'pandas') if find_spec(n)])"
    )
    assert not subprocess.check_output([python, "-c", there], env=environment(), text=True).strip()
    path = {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    words = f"advgen init --cv my-cv && cd my-cv && {{ {CV_COMMAND}; }} && advgen run"
    said = subprocess.run(
        words, shell=True, cwd=tmp_path, env={**environment(), **path}, capture_output=True, text=True
    )
    made = {file.suffix for file in (tmp_path / "my-cv/made").iterdir()}
    assert made >= {".pdf", ".html", ".md", ".tex", ".docx", ".json"}
    assert "Quillåker" in (tmp_path / "my-cv/made/cv.md").read_text(encoding="utf-8")
    # a study needs Snakemake
    assert said.stderr.splitlines()[-1] == "advgen run: needs snakemake; pip install 'advgen[lab]'"


# --- from a repository ---

# What `snakedeploy deploy-workflow https://github.com/someone/advgen FOLDER --tag v1` (0.17) writes beside copies of
# config/, profiles/ and the licence
DEPLOYED = """from snakemake.utils import min_version


min_version("6.10.0")


configfile: "config/config.yaml"


# declare https://github.com/someone/advgen as a module
module advgen:
    snakefile: 
        github("someone/advgen", path="workflow/Snakefile", tag="v1")
    config:
        config


# use all rules from https://github.com/someone/advgen
use rule * from advgen
"""


@pytest.fixture(scope="module")
def repository(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return variables that make git use a local repository in place of one on GitHub."""
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(source)]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"], ["tag", "v1"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{source.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/someone/advgen",
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("git")),
    }


def by_hand(source: Path, folder: Path, variables: dict[str, str]) -> None:
    """Deploy as snakedeploy does."""
    for name in ("config", "profiles"):
        shutil.copytree(source / name, folder / name)
    (folder / "workflow").mkdir()
    (folder / "workflow/Snakefile").write_text(DEPLOYED)


def by_snakedeploy(source: Path, folder: Path, variables: dict[str, str]) -> None:
    """Deploy with snakedeploy, if it is installed."""
    program = shutil.which("snakedeploy") or pytest.skip("needs snakedeploy")
    words = ["deploy-workflow", "https://github.com/someone/advgen", str(folder), "--tag", "v1"]
    subprocess.run([program, *words], env={**os.environ, **variables}, check=True, capture_output=True)
    assert (folder / "workflow/Snakefile").read_text().strip() == DEPLOYED.strip()


@pytest.mark.parametrize("deploy", [by_hand, by_snakedeploy])
def test_deployed_from_a_repository(
    installed: Path,
    source: Path,
    repository: dict[str, str],
    tmp_path: Path,
    raw_mnist: Path,
    deploy: Callable[..., None],
) -> None:
    deploy(source, tmp_path, repository)
    (tmp_path / "config/config.yaml").write_text(STUDY.replace("title: digits", "base: config.base.yaml"))
    (tmp_path / "config/config.base.yaml").write_text("title: from the base\n")
    made = ran(installed, tmp_path, "snakemake", "--cores", "2", **repository)
    assert made.returncode == 0, made.stderr[-3000:]
    assert "from the base" in (tmp_path / "results/report/index.html").read_text()
    # the study is known by the name of its file
    assert ran(installed, tmp_path, "advgen", "verify").returncode == 0
    again = ran(installed, tmp_path, "snakemake", "--cores", "2", **repository)
    assert "Nothing to be done" in again.stderr
    report = ran(installed, tmp_path, "snakemake", "--report", "report.html", **repository)
    assert report.returncode == 0, report.stderr
    assert "shows the figure with its caption and finding" in (tmp_path / "report.html").read_text()
    (tmp_path / "config/config.yaml").write_text(STUDY.replace("kind: mnist}", "kind: mnistt}"))
    wrong = ran(installed, tmp_path, "snakemake", "-n", **repository)
    assert "config/config.yaml:3: datasets.mnist.kind" in wrong.stderr and "Traceback" not in wrong.stderr
    other = ran(installed, tmp_path, "snakemake", "-n", "--config", "study=config/smoke.yaml", **repository)
    assert other.returncode == 0 and "train_gan" in other.stdout, other.stderr


PLUGIN = """from snakemake_interface_storage_plugins.storage_object import StorageObjectRead, StorageObjectWrite
from snakemake_interface_storage_plugins.storage_provider import StorageProviderBase


def filled(*bases):
    abstract = {name for base in bases for name in base.__abstractmethods__}
    return type("Filled", bases, {"__module__": __name__, **dict.fromkeys(abstract, lambda *_: None)})


StorageObject, StorageProvider = filled(StorageObjectRead, StorageObjectWrite), filled(StorageProviderBase)
"""


def test_a_storage_provider_is_an_error(installed: Path, tmp_path: Path) -> None:
    """Its plug-in is never called."""
    (tmp_path / "plugins/snakemake_storage_plugin_box").mkdir(parents=True)
    (tmp_path / "plugins/snakemake_storage_plugin_box/__init__.py").write_text(PLUGIN)
    (tmp_path / "small.yaml").write_text(STUDY)
    words = f"-n -s {installed}/advgen/project/Snakefile --workflow-profile none --default-storage-provider box "
    words += "--default-storage-prefix box://x --config study=small.yaml"
    path = {"PYTHONPATH": f"{installed}{os.pathsep}{tmp_path / 'plugins'}"}
    said = ran(installed, tmp_path, "snakemake", *words.split(), **path)
    assert said.returncode == 1
    assert said.stderr.startswith("--default-storage-provider box is not supported: jobs need results/ on a shared")
    assert said.stderr.count("\n") == 1 and not said.stdout


def test_without_the_package_the_snakefile_names_what_to_install(tmp_path: Path) -> None:
    python = fresh(tmp_path / "env", "snakemake")
    words = [python, "-m", "snakemake", "-n", "-s", ROOT / "Snakefile", "--workflow-profile", "none"]
    said = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert said.returncode == 1
    told = "advgen is not installed in Snakemake's environment; pip install 'advgen[lab]'\n"
    assert said.stderr.endswith(told) and "Traceback" not in said.stderr
