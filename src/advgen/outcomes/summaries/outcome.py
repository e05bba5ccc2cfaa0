"""Tidy tables over all runs."""

from advgen import registry
from advgen.core.kinds import Kind, Planner
from advgen.core.tasks import SweptValues, Task
from advgen.specs.base import Spec


class Summarise(Task):
    """Gather per-run tables into one tidy table with intervals."""

    command = "summarise"
    reads = ("tables",)
    outputs = {"table": "results/tables/{table}.parquet"}
    local = True
    packages = ("numpy", "pandas", "pyarrow", "scipy")
    table: str
    varied: SweptValues = {}

    def code_targets(self) -> set[str]:
        """What makes the rows of this kind of table, and no other."""
        target = registry.SUMMARISERS.get(self.table)
        return super().code_targets() | ({target} if target else set())

    def written_tables(self) -> tuple[str, ...]:
        """The one that it is asked for."""
        return (self.table,)


class Summaries(Kind[Spec]):
    """Tidy tables over all runs: one per summary of each kind."""

    order = 91
    tasks = (Summarise,)

    def plan_summaries(self, planner: Planner) -> None:
        for kind in planner.kinds:
            for name, summary in kind.summaries.items():
                files = planner.outputs_of(summary.rule, summary.role)
                if files:
                    more = (one.contributes[name] for one in planner.kinds if name in one.contributes)
                    files += tuple(path for rule, role in more for path in planner.outputs_of(rule, role))
                    task = Summarise(table=summary.table, varied=planner.swept_values_in(summary.rule))
                    planner.add(task, {"table": name}, {"tables": files})


KIND = Summaries()
