"""The plan is the single source: rules, dry run and digests agree with it, and parsing it is light."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest
from tests.project import ROOT, Project

from advgen.core.catalog import RULES
from advgen.core.paths import benchmark_file, log_file, wildcards_of
from advgen.driver.plan import build
from advgen.study.load import load_file
from advgen.study.tree import FAMILIES

STUDIES = sorted([*(ROOT / "config").glob("*.yaml"), *(ROOT / "tests").glob("*.yaml")])


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_dry_run_counts_equal_the_plan(study, project: Callable[..., Project]) -> None:
    copy = project(stubs=True)
    result = copy.snakemake(str(study.relative_to(ROOT)), "-n", "--quiet", "rules")
    assert result.returncode == 0, result.stderr[-2000:]
    listed = dict(re.findall(r"^(\w+) +(\d+)$", result.stdout + result.stderr, flags=re.MULTILINE))
    jobs = build(load_file(study)).jobs
    counts = Counter(
        f"fetch_{job.wildcards['dataset'].replace('-', '_')}" if job.rule == "fetch" else job.rule for job in jobs
    )
    assert {rule: int(count) for rule, count in listed.items() if rule not in ("all", "total")} == counts


def test_one_line_of_the_slurm_profile_runs_a_study_on_cpus(project: Callable[..., Project]) -> None:
    copy = project(stubs=True)
    asked = []
    for _ in range(2):
        arguments = ["--workflow-profile", "profiles/slurm", "-n", "--logger-advgen-plain"]
        result = copy.snakemake("config/smoke.yaml", *arguments)
        assert result.returncode == 0, result.stderr[-2000:]
        asked.append(set(re.findall(r"resources:.*\bgpu=(\d)", result.stdout + result.stderr)))
        profile = copy.folder / "profiles/slurm/config.v8+.yaml"
        profile.write_text(re.sub(r"^  gpu: 8 ", "  gpu: 0 ", profile.read_text(), flags=re.MULTILINE))
    assert asked == [{"0", "1"}, {"0"}]


def test_the_core_imports_nothing_heavy() -> None:
    code = (
        "import sys; import advgen.driver.hooks, advgen.driver.console;"
        "from advgen.study.load import load_study; from advgen.driver.plan import build;"
        "plan = build(load_study({})); [(job.spec, job.code) for job in plan.jobs];"
        "heavy = {'torch', 'torchvision', 'numpy', 'pandas', 'pyarrow', 'matplotlib', 'scipy'} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_snakefile_imports_only_the_core() -> None:
    imported = re.findall(r"^(?:from|import) (\S+)", (ROOT / "Snakefile").read_text(), flags=re.MULTILINE)
    ours = {name for name in imported if name.startswith("advgen")}
    assert {name.split(".")[1] for name in ours} == {"core", "driver", "jobs"}
    for rules in (ROOT / "workflow/rules").glob("*.smk"):
        text = rules.read_text()
        assert re.findall(r"^(?:from|import) (\S+)", text, flags=re.MULTILINE) in ([], ["functools"])
        assert "run:" not in text
        assert "script:" not in text


def test_every_rule_has_a_sentence_a_log_and_a_benchmark(project: Callable[..., Project]) -> None:
    copy = project(stubs=True)
    listed = copy.snakemake("config/smoke.yaml", "--list-rules")
    sentences = dict(re.findall(r"^(\w+) \((.+)\)$", listed.stdout, flags=re.MULTILINE))
    planned = {job.rule for job in build(load_file(ROOT / "config/smoke.yaml")).jobs} - {"fetch"}
    assert planned <= sentences.keys()
    assert all(sentence.endswith(".") for sentence in sentences.values())
    for task in RULES.values():
        assert sentences.get(task.rule, task.help_text()) == task.help_text()
        for place in (
            (log_file(task.rule, task.outputs), benchmark_file(task.rule, task.outputs)) if task.outputs else ()
        ):
            assert set(wildcards_of(place)) == {one for path in task.outputs.values() for one in wildcards_of(path)}
            assert place.split("/")[2] == task.rule
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        text = path.read_text()
        assert text.startswith('"""')
        for rule in re.split(r"^rule ", text, flags=re.MULTILINE)[1:]:
            name = rule.split(":")[0]
            assert f'"results/logs/{name}/' in rule
            assert f'benchmark="results/benchmarks/{name}/' in rule


def test_specs_are_canonical_and_small() -> None:
    plan = build(load_file(ROOT / "config/config.yaml"))
    for job in plan.jobs:
        assert len(job.spec) <= 64 * 1024
        assert " " not in re.sub(r'"[^"]*"', "", job.spec)
        assert type(job.task).model_validate_json(job.spec) == job.task


def test_figures_of_worst_cases_take_what_their_nets_met_of_others() -> None:
    """Amplified examples have left their ball, and a figure of other nets needs none."""
    file = ROOT / "config/config.yaml"
    study = load_file(file).study
    transfer = study.transfers["transfer"]
    for rms, found in ((None, ["transfer"]), (0.1, [])):
        given = study.model_copy(update={"transfers": {"transfer": transfer.model_copy(update={"rms": rms})}})
        needs = {name: [*figure.needs_from_study(given)] for name, figure in study.figures.items()}
        for name in ("robustness", "budget", "certified"):
            assert [need.names[0] for need in needs[name]] == found, name
        assert not needs["discriminators"] and not needs["adversarial"]
    [robustness] = [job for job in build(load_file(file)).jobs if job.wildcards.get("figure") == "robustness"]
    assert "results/transferred/transfer/fc100--seed0--pgd.parquet" in robustness.inputs["tables"]


def test_every_command_exists() -> None:
    for task in RULES.values():
        assert (ROOT / "src" / f"{task.run_module().replace('.', '/')}.py").is_file(), task.command


@pytest.mark.parametrize("study", ["config/config.yaml", "config/smoke.yaml"])
def test_the_study_has_every_rule_and_few_jobs_of_each(study: str) -> None:
    loaded = load_file(ROOT / study)
    counts = Counter(job.rule for job in build(loaded).jobs)
    # a comparison wants five seeds, a published table its own nets, and the default study has minutes for one
    missing = {"compare", "agree"} if study == "config/config.yaml" else set()
    assert RULES.keys() - counts.keys() == missing
    definitions = sum(len(getattr(loaded.study, family)) for family in FAMILIES)
    assert counts.total() <= 2 * (definitions + len(RULES))


@pytest.mark.parametrize(
    ("path", "old", "new", "stale"),
    [
        ("src/advgen/training/initial.py", '"weights"', '"weight"', {"train_judge", "train_gan", "train_autoencoder", "train_classifier"}),
        ("src/advgen/data/choice.py", '0, "validation"', '1, "validation"', {"train_judge", "train_gan", "train_autoencoder", "train_classifier"}),
        ("src/advgen/data/download.py", "TIMEOUT_SECONDS = 20.0", "TIMEOUT_SECONDS = 30.0", {"fetch"}),
        ("src/advgen/inpainting/masks/square.py", "top_B11 <=", "top_B11 <", {"inpaint"}),
        ("src/advgen/experiments/attacks/run.py", "spec.attack.threat()._asdict()", "dict(spec.attack.threat()._asdict())", {"craft"}),
    ],
)  # fmt: skip
def test_digests_follow_the_code(
    path: str, old: str, new: str, stale: set[str], project: Callable[..., Project]
) -> None:
    copy = project(stubs=True)
    list_digests = (
        "from advgen.study.load import load_study; from advgen.driver.plan import build;"
        "plan = build(load_study({'study': 'config/smoke.yaml'}));"
        "[print(job.rule, sorted(job.wildcards.items()), job.spec, job.code) for job in plan.jobs]"
    )
    before = copy.run(sys.executable, "-c", list_digests).stdout.splitlines()
    file = copy.folder / path
    file.write_text(file.read_text().replace(old, new))
    after = copy.run(sys.executable, "-c", list_digests).stdout.splitlines()
    assert len(before) == len(after) == len(build(load_file(ROOT / "config/smoke.yaml")).jobs)
    changed = {line.split()[0] for line, other in zip(before, after, strict=True) if line != other}
    # everything that reads the choice of images follows it too
    assert stale <= changed
    assert "make_dataset" not in changed or "choice" in path
    assert changed & {"train_gan", "train_judge"} == stale & {"train_gan", "train_judge"}
