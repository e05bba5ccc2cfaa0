"""The figures of a study."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import SerializeAsAny

from advgen.core.code import package_file, read_source, sibling_file
from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import Files, Kind, PlannedJob, Planner
from advgen.core.tasks import Task
from advgen.registry import kind_of, target
from advgen.specs.base import of_family
from advgen.specs.figures import FigureSpec


class Draw(Task):
    """Draw one figure as PDF and PNG, and tell what it shows."""

    command = "draw"
    reads = ("tables", "style")
    outputs = {
        "pdf": "results/figures/{figure}.pdf",
        "png": "results/figures/{figure}.png",
        "dark": "results/figures/{figure}.dark.png",
        "shown": "results/figures/{figure}.json",
    }
    local = True
    has_custom_rule = True
    packages = ("matplotlib", "numpy", "pandas", "pyarrow", "scipy")
    figure: Annotated[SerializeAsAny[FigureSpec], of_family("figures")]

    def code_targets(self) -> set[str]:
        module = target(self.figure).split(":")[0]
        return super().code_targets() | {
            f"{module}:{name}" for name in OFFERED if name in read_source(module).definitions
        }


OFFERED = ("finding", "explorer")
"""What the module that draws a figure may offer beside `draw`: what was found, and images to look through."""


class Figures(Kind[FigureSpec]):
    """Figures. What can be drawn stands in the rooms of what it is drawn of; their key is made of all of these."""

    order = 90
    tasks = (Draw,)

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        figure: FigureSpec = planner.study.figures[name]
        needs = (*figure.needs(), *figure.needs_from_study(planner.study))
        inputs: dict[str, Files] = {
            "tables": tuple(path for need in needs for path in planner.files_for(need)),
            "style": package_file("figures/advgen.mplstyle"),
        }
        return [planner.add(Draw(figure=figure), {"figure": name}, inputs)]

    def check(self, study: Study) -> Iterator[Mistake]:
        for name, figure in self.definitions(study):
            if not Path(file := caption(figure)).is_file():
                message = f": {file}: no such file; write the caption of {kind_of(type(figure))!r} there"
                yield ("figures", name, "kind"), message


def caption(figure: FigureSpec) -> str:
    """The file of a figure's caption: beside the module that draws it, in the package or a plug-in."""
    return sibling_file(target(figure), f"{kind_of(type(figure))}.rst")


KIND = Figures()
