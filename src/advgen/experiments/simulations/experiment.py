"""Simulations on synthetic distributions: specs, tasks and planning."""

from typing import Annotated, Literal

from pydantic import Field

from advgen.core.kinds import Kind, PlannedJob, Planner, Summary
from advgen.core.tasks import TORCH, Task
from advgen.registry import AnySimulation
from advgen.specs.base import Reference
from advgen.specs.figures import FigureSpec
from advgen.specs.simulations import SimulationSpec

SimulationName = Annotated[str, Reference(("simulations",))]


class Simulate(Task):
    """Run one simulation on a synthetic distribution."""

    command = "simulate"
    outputs = {"series": "results/simulations/{simulation}.parquet"}
    labels = {"name": "simulation"}
    torch = True
    on_cpu = True
    packages = TORCH
    name: str
    seeds: tuple[int, ...]
    simulation: AnySimulation


class SimulationFigure(FigureSpec):
    """The series of simulations with their intervals, a panel each."""

    group = "Adversarial lab"
    reads = {"simulations": ("series",)}
    kind: Literal["simulation"] = Field(description="series of simulations")
    simulations: tuple[SimulationName, ...] = Field(min_length=1, description="simulations to show, a panel each")


class Simulations(Kind[SimulationSpec]):
    """Simulations on synthetic distributions."""

    definition = AnySimulation
    description = "simulations on synthetic distributions"
    order = 48
    tasks = (Simulate,)
    summaries = {"simulations": Summary("simulation", "simulate", "series")}
    figures = (SimulationFigure,)

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        simulation = self.get_definition(planner.study, name)
        task = Simulate(name=name, seeds=planner.study.seeds, simulation=simulation)
        return [planner.add(task, {"simulation": name}, {})]


KIND = Simulations()
