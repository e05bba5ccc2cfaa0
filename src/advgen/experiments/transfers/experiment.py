"""Transfer matrices: the error of each target on the adversarial examples of each source."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Annotated, Literal

from pydantic import Field

from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import Files, Kind, PlannedJob, Planner
from advgen.core.tasks import DeviceTask
from advgen.experiments.attacks.experiment import check_single_steps
from advgen.outcomes.summaries.outcome import Summarise
from advgen.specs.base import MAX_COUNT, AttackName, ClassifierName, Need, Positive, Reference, Spec
from advgen.specs.figures import FigureSpec

TransferName = Annotated[str, Reference(("transfers",))]


class TransferDefinition(Spec):
    """The error of each target classifier on the adversarial examples of each source classifier."""

    sources: tuple[ClassifierName, ...] = Field(min_length=1, description="classifiers attacked")
    targets: tuple[ClassifierName, ...] = Field(min_length=1, description="classifiers tested on the examples")
    attacks: tuple[AttackName, ...] = Field(min_length=1, description="attacks used")
    rms: Positive | None = Field(
        None, description="scale each perturbation to this RMS before the test; null: no scaling"
    )


class Transfer(DeviceTask):
    """Test each target on the adversarial examples of one source: one row of a matrix, and each prediction."""

    command = "transfer"
    reads = ("examples", "targets")
    outputs = {
        "row": "results/transfers/{study}/{source}--seed{seed}--{attack}.parquet",
        "examples": "results/transferred/{study}/{source}--seed{seed}--{attack}.parquet",
    }
    study: str
    targets: tuple[str, ...]
    seeds: tuple[int, ...]
    rms: float | None


class TransferMatrixFigure(FigureSpec):
    """Error of each target on the examples crafted on each source, one heat map per attack."""

    group = "Adversarial lab"
    reads = {"transfer": ("table", "examples", "crafted")}
    kind: Literal["transfer_matrix"] = Field(description="heat map of transfer errors")
    transfer: TransferName = Field(description="transfer study shown")
    colormap: Literal["Blues", "Purples", "Greens", "Oranges", "viridis", "magma"] = Field(
        "Blues", description="colours from no error to all wrong"
    )


class PublishedTransferFigure(FigureSpec):
    """A transfer study compared with a published table, and the difference of each cell."""

    group = "Adversarial lab"
    reads = {"transfer": ("table", "examples")}
    kind: Literal["published_transfer"] = Field(description="transfer compared with a published table")
    transfer: TransferName = Field(description="transfer study shown")
    published: Literal["szegedy2014-table-2", "szegedy2014-table-4", "szegedy2014-table-4-amplified"] = Field(
        description="published table"
    )
    names: dict[str, str] = Field(
        min_length=2,
        description="maps each published row or column to a classifier of the study, or to an "
        "attack for a noise control",
    )


class Transfers(Kind[TransferDefinition]):
    """Transfer matrices. Each has a table with its name."""

    definition = TransferDefinition
    description = "transfer matrices"
    order = 45
    tasks = (Transfer,)
    sanity_inputs = (("transfer", "row"), ("transfer", "examples"))
    contributes = {"robustness": ("transfer", "examples")}
    figures = (TransferMatrixFigure, PublishedTransferFigure)

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        """Plan the table of all rows."""
        rows = tuple(job.outputs["row"] for job in self.rows(planner, name))
        definition = self.get_definition(planner.study, name)
        names = (*definition.sources, *definition.targets, *definition.attacks)
        varied = {name: planner.varied[name] for name in names if name in planner.varied}
        return [planner.add(Summarise(table="transfer", varied=varied), {"table": name}, {"tables": rows})]

    def jobs_for(self, planner: Planner, need: Need) -> list[PlannedJob]:
        """Return the jobs of the table, of the predictions for each example, or of the examples themselves."""
        if need.role == "crafted":
            definition = self.get_definition(planner.study, *need.names)
            attacks, pairs = planner.get_kind("attacks"), product(definition.sources, definition.attacks)
            crafted = [job for source, attack in pairs for job in attacks.plan_attack(planner, source, attack)]
            return [replace(job, outputs={"crafted": job.outputs["examples"]}) for job in crafted]
        return self.rows(planner, *need.names) if need.role == "examples" else self.plan_jobs(planner, *need.names)

    def rows(self, planner: Planner, name: str) -> list[PlannedJob]:
        """Plan a job for each row of a matrix: a source, one of its seeds, an attack."""
        definition = self.get_definition(planner.study, name)
        targets = [(target, job) for target in definition.targets for job in planner.training_jobs(target)]
        jobs = []
        for source in definition.sources:
            for attack in definition.attacks:
                for crafted in planner.get_kind("attacks").plan_attack(planner, source, attack):
                    task = Transfer(
                        study=name,
                        targets=tuple(target for target, _ in targets),
                        seeds=tuple(job.seed for _, job in targets),
                        rms=definition.rms,
                    )
                    inputs: dict[str, Files] = {
                        "examples": crafted.outputs["examples"],
                        "targets": tuple(job.outputs["model"] for _, job in targets),
                    }
                    jobs.append(planner.add(task, {"study": name, **crafted.wildcards}, inputs))
        return jobs

    def check(self, study: Study) -> Iterator[Mistake]:
        for name, transfer in self.definitions(study):
            cells = len(transfer.sources) * len(transfer.targets) * len(transfer.attacks)
            if cells > MAX_COUNT:
                message = f": sources × targets × attacks make {cells:,} cells; {MAX_COUNT:,} at most"
                yield ("transfers", name), message
            data = {study.facts(study.dataset_of(model))[:2] for model in (*transfer.sources, *transfer.targets)}
            if len(data) > 1:
                yield ("transfers", name), ": sources and targets have images of different shapes or classes"
        for name, figure in study.figures.items():
            if isinstance(figure, TransferMatrixFigure | PublishedTransferFigure):
                for message in check_single_steps(study, study.transfers[figure.transfer].attacks):
                    yield ("transfers", figure.transfer, "attacks"), f"{message}; figures.{name} shows it"
            if isinstance(figure, PublishedTransferFigure):
                transfer = study.transfers[figure.transfer]
                known = (*transfer.sources, *transfer.targets, *transfer.attacks)
                for published, ours in figure.names.items():
                    if ours not in known:
                        message = f" = {ours!r}: is no classifier or attack of transfer {figure.transfer!r}"
                        yield ("figures", name, "names", published), f"{message} ({', '.join(dict.fromkeys(known))})"
                    elif ours in transfer.attacks and study.attacks[ours].stays_in_box():
                        message = (
                            f" = {ours!r}: clipped noise brightens black pixels and cannot be compared with published"
                        )
                        yield (
                            ("figures", name, "names", published),
                            f"{message} noise; set attacks.{ours}.clipped = false",
                        )


KIND = Transfers()
