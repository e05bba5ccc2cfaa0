"""Agreement of transfer studies with the published tables that figures compare them with."""

from collections.abc import Iterator

from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import Kind, Planner
from advgen.core.tasks import Task
from advgen.experiments.classifiers.experiment import ClassifierErrorsFigure
from advgen.experiments.transfers.experiment import PublishedTransferFigure
from advgen.metrics.published import PUBLISHED, TEST_ERRORS
from advgen.specs.base import Spec


class Agree(Task):
    """Measure the agreement of transfer studies with published tables."""

    command = "agree"
    reads = ("tables",)
    outputs = {"table": "results/tables/published.parquet"}
    local = True
    packages = ("numpy", "pandas", "pyarrow", "scipy")
    figures: dict[str, PublishedTransferFigure]


class Agreements(Kind[Spec]):
    """Agreement with published tables, for each figure that shows one."""

    order = 92
    tasks = (Agree,)

    def plan_summaries(self, planner: Planner) -> None:
        drawn = {job.wildcards["figure"] for job in planner.jobs.values() if job.rule == "draw"}
        figures = {
            name: figure
            for name, figure in planner.study.figures.items()
            if name in drawn and isinstance(figure, PublishedTransferFigure)
        }
        studies = dict.fromkeys(figure.transfer for figure in figures.values())
        rows = [job for study in studies for job in planner.get_kind("transfers").rows(planner, study)]
        if rows:
            tables = tuple(job.outputs[role] for role in ("row", "examples") for job in rows)
            planner.add(Agree(figures=figures), {}, {"tables": tables})

    def check(self, study: Study) -> Iterator[Mistake]:
        """Yield names in figures that were not published or that the figure does not show."""
        for name, figure in study.figures.items():
            if isinstance(figure, PublishedTransferFigure):
                known = PUBLISHED[figure.published].errors
                for row in figure.names.keys() - known.keys():
                    message = f": is no row of {figure.published!r}; name one of them ({', '.join(known)})"
                    yield ("figures", name, "names", row), message
            if isinstance(figure, ClassifierErrorsFigure):
                for ours, published in figure.published_nets.items():
                    path = ("figures", name, "published_nets", ours)
                    if ours not in figure.classifiers:
                        yield path, f": is none of the figure's classifiers ({', '.join(figure.classifiers)})"
                    if published not in TEST_ERRORS:
                        yield (
                            path,
                            f" = {published!r}: no test error of it is known; name one of {', '.join(TEST_ERRORS)}",
                        )


KIND = Agreements()
