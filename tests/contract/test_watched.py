"""A job that uses it, for everything that is registered: it may call nothing that its digest does not hold."""

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
def test_a_job_calls_only_what_its_digest_holds(family: str, kind: str) -> None:
    USES[family](kind)


@pytest.mark.usefixtures("folder")
def test_what_is_not_in_a_digest_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Craft.code_targets
    monkeypatch.setattr(Craft, "code_targets", lambda task: told(task) - {"advgen.attacks.pgd:pgd"})
    with pytest.raises(RuntimeError, match=r"craft used what is not in its digest: .*advgen\.attacks\.pgd:pgd,"):
        attack("pgd")


def test_the_smoke_study_whose_jobs_are_watched_too_has_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    jobs = build(load_file(ROOT / "config/smoke.yaml")).jobs
    assert {job.rule for job in jobs} == set(catalog.RULES)
    drawn = {registry.kind_of(type(job.task.figure)) for job in jobs if job.rule == "draw"}  # type: ignore[attr-defined]
    summarised = {job.task.table for job in jobs if job.rule == "summarise"}  # type: ignore[attr-defined]
    assert drawn == set(registry.kinds("figures"))
    assert summarised >= set(registry.SUMMARISERS)
    assert set(USES) | {"figures"} == set(registry.FAMILIES)
