"""Plan the summary tables over all runs."""

from advgen import registry
from advgen.core.kinds import Kind, Planner
from advgen.core.tasks import SweptValues, Task
from advgen.specs.base import Spec


class Summarise(Task):
    """Combine the tables of all runs into one tidy table with intervals."""

    command = "summarise"
    reads = ("tables",)
    outputs = {"table": "results/tables/{table}.parquet"}
    local = True
    packages = ("numpy", "pandas", "pyarrow", "scipy")
    table: str
    varied: SweptValues = {}

    def code_targets(self) -> set[str]:
        """Return the code of the task, with that of the summary of this kind of table."""
        target = registry.SUMMARISERS.get(self.table)
        return super().code_targets() | ({target} if target else set())

    def written_tables(self) -> tuple[str, ...]:
        """Return the kind of the summary table."""
        return (self.table,)


class Summaries(Kind[Spec]):
    """Summary tables over all runs, one for each summary of each kind."""

    order = 91
    tasks = (Summarise,)

    def plan_summaries(self, planner: Planner) -> None:
        for kind in planner.kinds:
            for name, summary in kind.summaries.items():
                files = planner.outputs_of(summary.rule, summary.role)
                if files:
                    others = (other.contributes[name] for other in planner.kinds if name in other.contributes)
                    files += tuple(path for rule, role in others for path in planner.outputs_of(rule, role))
                    task = Summarise(table=summary.table, varied=planner.swept_values_in(summary.rule))
                    planner.add(task, {"table": name}, {"tables": files})


KIND = Summaries()
