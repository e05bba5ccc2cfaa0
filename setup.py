"""Add the workflow, its profiles and the example study to the wheel; pyproject.toml contains everything else."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

WORKFLOW_PARTS = ("Snakefile", "workflow", "profiles", "config")


class BuildWithWorkflow(build_py):
    """Copies the workflow to advgen/project, where `advgen.workflow` looks for it."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib) / "advgen" / "project"
        shutil.rmtree(folder, ignore_errors=True)
        for name in WORKFLOW_PARTS:
            source, target = Path(name), folder / name
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)


setup(cmdclass={"build_py": BuildWithWorkflow})
