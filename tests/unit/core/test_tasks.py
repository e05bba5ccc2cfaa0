"""Rules of tasks: their flags, their paths, and where they run."""

import pytest
from tests.project import ROOT

from advgen import registry
from advgen.core import catalog
from advgen.core.paths import benchmark_file, log_file
from advgen.driver.plan import build
from advgen.specs.masks import PepperMask, SquareMask
from advgen.study.load import load_file

# rules that take seconds: they run beside the driver on a cluster, without a GPU
LOCAL = {
    "fetch",
    "make_dataset",
    "summarise",
    "count_parameters",
    "agree",
    "compare",
    "draw",
    "report_page",
    "sanity_checks",
    "qa",
    "verify",
}
LOCAL |= {"cv_data", "cv_render"}


def test_where_rules_run() -> None:
    assert {task.rule for task in catalog.RULES.values() if task.local} == LOCAL
    using_gpu = {task.rule for task in catalog.RULES.values() if task.can_use_gpu()}
    assert using_gpu == catalog.RULES.keys() - LOCAL - {"simulate"}
    assert {task.rule for task in catalog.RULES.values() if task.has_custom_rule} == {"fetch", "draw", "verify"}
    assert {task.rule: task.priority for task in catalog.RULES.values() if task.priority} == {"qa": -10}
    assert {task.rule for task in catalog.RULES.values() if task.private} == {"cv_data", "cv_render"}


def test_jobs_without_gpu_work_reserve_none() -> None:
    loaded = load_file(ROOT / "config/evening.yaml")
    plan = build(loaded)
    gpus_of = plan.gpus("derive_dataset")
    assert not isinstance(gpus_of, int)
    made = {job.wildcards["derived"]: gpus_of(job.wildcards) for job in plan.jobs_of("derive_dataset")}
    through_nets = ("robust_features", "adversarial_labels", "real_fake")
    wanted = {name for name in made if loaded.study.datasets[name].kind in through_nets}
    assert {"d-rand", "robust-0", "real-fake-0"} <= wanted < made.keys()
    assert {name for name, gpus in made.items() if gpus} == wanted
    assert (plan.gpus("simulate"), plan.gpus("train_gan")) == (0, 1)


@pytest.mark.parametrize(
    ("rule", "flags", "where"),
    [
        ("craft", {"examples": "out"}, "{source}/seed{seed}/{attack}"),
        ("make_dataset", {"train": "out-train", "test": "out-test"}, "{raw}"),
        ("train_classifier", {"model": "out-model", "history": "out-history"}, "{classifier}/seed{seed}"),
        ("invert", {"inversion": "out-inversion", "steps": "out-steps"}, "{inversion}/{generator}--seed{seed}"),
        ("summarise", {"table": "out"}, "{table}"),
        ("cv_data", {"cv": "out"}, "{variant}"),
        ("cv_render", {"file": "out"}, "{variant}.{format}"),
        ("qa", {"verdict": "out"}, "qa"),
        ("report_page", {"page": "out"}, "index"),
    ],
)
def test_flags_and_logs(rule: str, flags: dict[str, str], where: str) -> None:
    task = catalog.RULES[rule]
    assert task.output_flags() == flags
    assert log_file(rule, task.outputs) == f"results/logs/{rule}/{where}.log"
    assert benchmark_file(rule, task.outputs) == f"results/benchmarks/{rule}/{where}.tsv"


def test_fetched_files_have_one_flag() -> None:
    assert catalog.RULES["fetch"].output_flags() == {"": "out"}


@pytest.mark.parametrize("study", ["config/config.yaml", "config/evening.yaml"])
def test_each_flag_has_its_input(study: str) -> None:
    for job in build(load_file(ROOT / study)).jobs:
        assert sorted(job.task.reads) == sorted(job.inputs), job.rule
        assert len(set(job.task.reads)) == len(job.task.reads)


def test_two_swapped_entries_of_the_registry_change_the_digest_of_jobs_that_use_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = build(load_file(ROOT / "tests/slice.yaml"))
    before = {tuple(job.outputs.values()): job.task.code() for job in plan.jobs}
    pepper, square = registry._TARGETS[PepperMask], registry._TARGETS[SquareMask]
    monkeypatch.setitem(registry._TARGETS, PepperMask, square)
    monkeypatch.setitem(registry._TARGETS, SquareMask, pepper)
    changed = {job.rule for job in plan.jobs if job.task.code() != before[tuple(job.outputs.values())]}
    assert changed == {"inpaint"}
