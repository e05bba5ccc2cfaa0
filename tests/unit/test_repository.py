"""Files that must agree with each other."""

import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from tests.project import ROOT

from advgen.core.tasks import Task
from advgen.experiments.classifiers import experiment as classifiers
from advgen.outcomes.report.outcome import ReportFigure, ReportTable
from advgen.specs.base import Spec
from advgen.specs.networks import FileNetwork
from advgen.study import load  # noqa: F401  knows every spec class

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def ranges(*extras: str) -> dict[str, Requirement]:
    """What the extras ask for, and what all that they include asks for."""
    asked = [Requirement(line) for line in PROJECT["dependencies"]]
    for extra in extras:
        asked += [Requirement(line) for line in PROJECT["optional-dependencies"][extra]]
    included = {name for one in asked if one.name == "advgen" for name in one.extras} - set(extras)
    if included:
        return ranges(*extras, *included)
    return {one.name: one for one in asked if one.name != "advgen"}


def locked(name: str) -> dict[str, str]:
    """The pins of a lock file."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", (ROOT / name).read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize(("name", "extra"), [("requirements.lock", "slurm"), ("requirements-test.lock", "test")])
def test_a_lock_file_has_all_packages_in_the_range_of_pyproject(name: str, extra: str) -> None:
    pins = locked(name)
    for package, asked in ranges(extra).items():
        assert asked.specifier.contains(pins[package]), f"{package}: {pins[package]} is not {asked}; run make lock"
    assert "setuptools" in pins  # the package itself is built without looking for more


def test_a_lock_file_pins_every_package_with_its_hashes_and_no_index() -> None:
    for name in ("requirements.lock", "requirements-test.lock"):
        lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
        assert all(re.match(r"[a-z0-9-]+==\S+|    --hash=sha256:[0-9a-f]{64}", line) for line in lines)
        assert all(after.startswith("    --hash") for line, after in pairwise(lines) if not line.startswith(" "))


def test_what_runs_is_what_is_tested() -> None:
    assert locked("requirements.lock").items() <= locked("requirements-test.lock").items()
    assert not locked("requirements.lock").keys() & {"pytest", "ruff", "mypy", "hypothesis"}


def test_environment_has_the_pins_of_the_lock_file() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    pins = locked("requirements-test.lock")
    assert set(pip) == {f"{package}=={pins[package]}" for package in ranges("test")}
    assert any(str(entry).startswith("python=3.11") for entry in environment["dependencies"])


def test_every_range_has_both_ends() -> None:
    for package, asked in ranges("test").items():
        operators = {bound.operator for bound in asked.specifier}
        assert operators in ({">=", "<"}, {"=="}), package


def test_the_cv_needs_neither_torch_nor_snakemake() -> None:
    assert not ranges("cv").keys() & {"torch", "torchvision", "snakemake", "pandas", "matplotlib", "scipy"}


def subclasses(one: type) -> set[type]:
    return {one}.union(*(subclasses(below) for below in one.__subclasses__()))


def test_every_spec_key_is_described() -> None:
    # by the plan, for no user
    written = (FileNetwork, classifiers.Origin, classifiers.Tested, ReportFigure, ReportTable)
    classes = [one for one in subclasses(Spec) if not issubclass(one, Task) and one not in written]
    assert len(classes) > 100
    undescribed = [
        f"{one.__name__}.{name}" for one in classes for name, field in one.model_fields.items() if not field.description
    ]
    assert not undescribed


def test_makefile_verbs_are_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for verb in ("make run", "make test"):
        assert verb in readme
    verbs = set(re.findall(r"^make ([a-z-]+)", readme, flags=re.MULTILINE))
    assert verbs <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert len(verbs) > 5


def test_the_numbers_of_the_readme_are_those_of_the_project() -> None:
    readme = (ROOT / "README.md").read_text()
    assert f"Python {PROJECT['requires-python'].removeprefix('>=')} or newer" in readme
    words = re.sub(r"`[^`]*`|```.*?```|\]\([^)]*\)|Python [\d.]+", "", readme, flags=re.DOTALL)
    assert not re.findall(r"(?<![-\w])\d[\d.,]*", words), "no number without a check"
    for command in ("snakemake --cores 8 --resources gpu=2", "snakemake --workflow-profile profiles/slurm"):
        assert command in readme


def test_ci_calls_the_readmes_commands() -> None:
    assert "make test" in (ROOT / ".ci/run").read_text()
    assert "make check test" in (ROOT / ".github/workflows/ci.yml").read_text()


def test_no_absolute_paths_in_tracked_sources() -> None:
    for folder in ("src", "workflow", "config", "profiles"):
        for path in Path(ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".smk", ".yaml", ".j2"):
                assert str(ROOT) not in path.read_text(encoding="utf-8"), path


def test_every_citation_key_exists() -> None:
    known = set(re.findall(r"^@\w+{(\w+),", (ROOT / "docs/references.bib").read_text(), flags=re.MULTILINE))
    cited = {
        key
        for path in (ROOT / "src").rglob("*.py")
        for key in re.findall(r"\b[a-z]+(?:19|20)\d\d[a-z]+\b", path.read_text(encoding="utf-8"))
    }
    assert cited - known == set()
    assert len(known & cited) >= 10


def test_the_pages_that_the_code_tells_are_in_step() -> None:
    command = [sys.executable, "-m", "tools.docs", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_imports_go_one_way_and_nothing_in_a_circle() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-2000:]


def test_the_workflow_catalog_finds_what_it_asks_for() -> None:
    """Its rules: https://snakemake.github.io/snakemake-workflow-catalog/docs/about/adding_workflows.html."""
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme and "workflow" in readme
    assert (ROOT / "workflow/Snakefile").is_file() and (ROOT / "LICENSE").is_file()
    rules = [path.suffix for path in (ROOT / "workflow/rules").iterdir() if path.is_file()]
    assert rules and set(rules) == {".smk"}
    assert "## " in (ROOT / "config/README.md").read_text()
    assert (ROOT / "config/config.yaml").is_file()  # which snakedeploy names as its configfile
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert "pip install" in usage["mandatory-flags"]["desc"] and usage["mandatory-flags"]["flags"] == ""
    stack = usage["software-stack-deployment"]
    assert set(stack) == {"conda", "apptainer", "apptainer+conda"} and set(stack.values()) == {False}
    directives = re.compile(r"^ *(conda|container|containerized|envmodules):", re.MULTILINE)
    for path in (ROOT / "Snakefile", *(ROOT / "workflow").rglob("*.smk")):
        assert not directives.search(path.read_text()), f"{path}: tell the catalog"
    assert usage["report"] is True
