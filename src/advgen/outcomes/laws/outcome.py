"""The laws of honest evaluation, checked on the tables, and the verdict that closes a run."""

from __future__ import annotations

from pydantic import Field

from advgen.core.kinds import Kind, Planner
from advgen.core.schema import BOOL, INT, REAL64, TEXT, Table
from advgen.core.tasks import Task
from advgen.specs.base import Spec


class CheckLaws(Task):
    """Test the laws on the tables; broken statistical ones of `masked` classifiers are flags."""

    command = "check-laws"
    run = "check"
    reads = ("tables", "data")
    outputs = {"laws": "results/tables/laws.parquet"}
    local = True
    packages = ("numpy", "pandas", "pyarrow", "scipy")
    masked: tuple[str, ...]
    datasets: tuple[str, ...] = Field((), description="those whose test images were attacked, in the order of --data")


class Qa(Task):
    """Fail if a law is broken; the last job, so that everything else exists by then."""

    command = "qa"
    run = "verdict"
    reads = ("laws",)
    outputs = {"verdict": "results/report/qa.md"}
    local = True


LAWFUL = (
    ("craft", "examples"),
    ("transfer", "row"),
    ("inpaint", "inpainting"),
    ("evaluate_gan", "quality"),
    ("calibrate_judge", "ladder"),
)
"""The rules and roles of what the laws are about."""


class Laws(Kind[Spec]):
    """The laws of honest evaluation."""

    place = 93
    tasks = (CheckLaws, Qa)
    tables = {
        "laws": Table(
            ("law", "subject"),
            {
                "law": TEXT,
                "subject": TEXT,
                "kind": TEXT,
                "holds": BOOL,
                "n": INT,
                "estimate": REAL64,
                "low": REAL64,
                "high": REAL64,
                "detail": TEXT,
            },
        ),
    }

    def after(self, planner: Planner) -> None:
        judged = tuple(path for rule, role in LAWFUL for path in planner.made(rule, role))
        if not judged:
            return
        study = planner.study
        families = (study.classifiers, study.probes)
        masked = tuple(name for family in families for name, one in family.items() if one.masked)
        crafted = [job.task for job in planner.jobs.values() if job.rule == "craft"]
        attacked = tuple(sorted({task.origin.dataset for task in crafted}))  # type: ignore[attr-defined]
        data = tuple(planner.test_images(name) for name in attacked)
        planner.add(CheckLaws(masked=masked, datasets=attacked), {}, {"tables": judged, "data": data})
        planner.add(Qa(), {}, {"laws": planner.made("check_laws", "laws")})


KIND = Laws()
