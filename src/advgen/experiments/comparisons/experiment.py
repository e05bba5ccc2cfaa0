"""Comparisons: arms that differ in one named thing, with everything else equal, and intervals over runs."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field

from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import Kind, PlannedJob, Planner, Summary
from advgen.core.tasks import Task
from advgen.experiments.comparisons.checks import check_comparison, list_differences
from advgen.experiments.comparisons.definitions import AnyComparison, ComparisonDefinition
from advgen.specs.base import Reference
from advgen.specs.figures import FigureSpec

ComparisonName = Annotated[str, Reference(("comparisons",))]


class Compare(Task):
    """Compare the arms of one comparison with its baseline."""

    command = "compare"
    reads = ("tables",)
    outputs = {"effects": "results/comparisons/{comparison}.parquet"}
    labels = {"name": "comparison"}
    local = True
    packages = ("numpy", "pandas", "pyarrow", "scipy")
    name: str
    comparison: AnyComparison
    arms: tuple[str, ...] = Field(description="in the order of their tables, because JSON does not keep that of a map")
    differs: Mapping[str, tuple[str, ...]] = Field(
        description="keys of `differs` in which each arm is not the baseline"
    )
    besides: Mapping[str, tuple[str, ...]] = Field(description="the same for the confounds in `besides`")
    runs: int = Field(description="of each arm; first come the tables of the first arm's runs, then the second's, …")


class ComparisonFigure(FigureSpec):
    """The effect of each arm of some comparisons with the same measure."""

    group = "Comparisons"
    reads = {"comparisons": ("effects",)}
    kind: Literal["comparison"] = Field(description="effects of some comparisons with their intervals")
    comparisons: tuple[ComparisonName, ...] = Field(min_length=1, description="comparisons shown, of one measure")


class Comparisons(Kind[ComparisonDefinition]):
    """Comparisons of arms."""

    definition = AnyComparison
    description = "comparisons of arms that differ in one thing"
    order = 60
    tasks = (Compare,)
    summaries = {"comparisons": Summary("comparison", "compare", "effects")}
    figures = (ComparisonFigure,)

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        comparison = self.get_definition(planner.study, name)
        files = {
            arm: [path for need in comparison.needs(arm) for path in planner.files_for(need)] for arm in comparison.arms
        }
        runs = min(map(len, files.values()))
        differs, besides = list_differences(comparison, planner.study)
        task = Compare(name=name, comparison=comparison, arms=tuple(files), differs=differs, besides=besides, runs=runs)
        tables = tuple(path for paths in files.values() for path in paths)
        return [planner.add(task, {"comparison": name}, {"tables": tables})]

    def check(self, study: Study) -> Iterator[Mistake]:
        """Yield comparisons that are not valid, and figures of several measures."""
        for name, comparison in self.definitions(study):
            yield from check_comparison(("comparisons", name), comparison, study)
        for name, figure in study.figures.items():
            if isinstance(figure, ComparisonFigure):
                measures = {study.comparisons[comparison].measure for comparison in figure.comparisons}
                if len(measures) > 1:
                    message = f": have different measures ({', '.join(sorted(measures))}); draw a figure for each"
                    yield ("figures", name, "comparisons"), message


KIND = Comparisons()
