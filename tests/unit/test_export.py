"""The parts of a study that a report quotes give the same jobs as the study."""

from typing import Any

import pytest
import yaml
from tests.project import ROOT

from advgen.core.definitions import Study as Base
from advgen.driver.plan import build
from advgen.outcomes.report import outcome
from advgen.outcomes.report.run import format_definitions
from advgen.study.export import collect_with_dependencies, export_value
from advgen.study.load import load_file
from advgen.study.tree import Study

STUDIES = sorted(path.name for path in (ROOT / "config").glob("*.yaml"))


def report(study: str) -> tuple[Base, Any]:
    loaded = load_file(ROOT / "config" / study)
    [job] = [job for job in build(loaded).jobs if job.rule == "report_page"]
    return loaded.study, job.task


@pytest.mark.parametrize("study", STUDIES)
def test_the_quoted_definitions_give_the_same_jobs(study: str) -> None:
    whole, task = report(study)
    for figure in task.figures:
        asked = yaml.safe_load(format_definitions(figure, task.definitions))
        assert all(next(iter(one)) == "kind" for one in asked["figures"].values())
        quoted = Study.model_validate({"datasets": {"any": {"kind": "mnist"}}, **asked})
        for family, name in figure.made_of:
            assert getattr(quoted, family)[name] == getattr(whole, family)[name], (family, name)
        assert quoted.figures.keys() == {figure.name}


def test_all_dependencies_of_a_definition_are_quoted_and_nothing_else() -> None:
    whole, _ = report("config.yaml")
    assert set(collect_with_dependencies(whole, "figures", "inversion-starts")) == {
        *(("datasets", "mnist"), ("gans", "dcgan"), ("encoders", "guess")),
        *(("inversions", "adam"), ("inversions", "encoder"), ("figures", "inversion-starts")),
    }


def test_presets_are_exported_by_name_and_without_defaults() -> None:
    whole, _ = report("config.yaml")
    assert export_value(whole.gans["m1-m3"])["generator"] == {"preset": "M1", "initial": "he"}
    assert export_value(whole.gans["m1-m3-unstable"]) == {
        **{"dataset": "mnist", "generator": "M1", "discriminator": "M3"},
        "training": {"epochs": 0.3, "batch": 24},
    }


def test_a_study_that_is_too_large_quotes_only_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome, "MAX_DEFINITIONS", 100)
    _, task = report("config.yaml")
    assert task.definitions.keys() == {"figures"}
    assert all(figure.made_of == (("figures", figure.name),) for figure in task.figures)
    assert yaml.safe_load(format_definitions(task.figures[0], task.definitions))["figures"].keys() == {
        task.figures[0].name
    }
