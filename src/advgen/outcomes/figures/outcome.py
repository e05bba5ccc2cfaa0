"""Plan the figures of a study."""

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
    """Draw one figure as PDF and PNG, and write its finding."""

    command = "draw"
    reads = ("tables", "style")
    outputs = {
        "pdf": "results/figures/{figure}.pdf",
        "png": "results/figures/{figure}.png",
        "dark": "results/figures/{figure}.dark.png",
        "finding": "results/figures/{figure}.json",
    }
    local = True
    has_custom_rule = True
    packages = ("matplotlib", "numpy", "pandas", "pyarrow", "scipy")
    figure: Annotated[SerializeAsAny[FigureSpec], of_family("figures")]

    def code_targets(self) -> set[str]:
        """Return the code of the task, with the optional functions next to the one that draws."""
        module = target(self.figure).split(":")[0]
        return super().code_targets() | {
            f"{module}:{name}" for name in OPTIONAL_FUNCTIONS if name in read_source(module).definitions
        }


OPTIONAL_FUNCTIONS = ("finding", "explorer")
"""Functions of a figure's module besides `draw`: the finding as a sentence, and images to browse."""


class Figures(Kind[FigureSpec]):
    """Figures. The package of each kind of experiment defines its figures; `figures` in a study accepts all of them."""

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
            if not Path(file := caption_file(figure)).is_file():
                message = f": {file}: no such file; write the caption of {kind_of(type(figure))!r} into it"
                yield ("figures", name, "kind"), message


def caption_file(figure: FigureSpec) -> str:
    """Return the path of a figure's caption, which is in the folder of the module that draws it."""
    return sibling_file(target(figure), f"{kind_of(type(figure))}.rst")


KIND = Figures()
