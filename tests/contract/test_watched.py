"""A job with each registered kind calls only code that its digest includes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.entries import USES, attack, workplace
from tests.project import ROOT

from advgen import registry
from advgen.core import catalog
from advgen.driver.plan import build
from advgen.experiments.attacks.experiment import Craft
from advgen.study.load import load_file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("watched")
    with workplace(folder, "tests.watch:watched"):
        yield folder


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("family", "kind"), [(family, kind) for family in USES for kind in registry.kinds(family)])
def test_a_job_calls_only_what_its_digest_includes(family: str, kind: str) -> None:
    USES[family](kind)


@pytest.mark.usefixtures("folder")
def test_code_outside_the_digest_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Craft.code_targets
    monkeypatch.setattr(Craft, "code_targets", lambda task: original(task) - {"advgen.attacks.pgd:pgd"})
    with pytest.raises(RuntimeError, match=r"craft used what is not in its digest: .*advgen\.attacks\.pgd:pgd,"):
        attack("pgd")


def test_the_smoke_study_has_all_other_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    jobs = build(load_file(ROOT / "config/smoke.yaml")).jobs
    assert {job.rule for job in jobs} == set(catalog.RULES)
    drawn = {registry.kind_of(type(job.task.figure)) for job in jobs if job.rule == "draw"}  # type: ignore[attr-defined]
    summarised = {job.task.table for job in jobs if job.rule == "summarise"}  # type: ignore[attr-defined]
    assert drawn == set(registry.kinds("figures"))
    assert summarised >= set(registry.SUMMARISERS)
    assert set(USES) | {"figures"} == set(registry.FAMILIES)
