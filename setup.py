"""The wheel brings the workflow, its profiles and the example study along; pyproject.toml holds everything else."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BROUGHT = ("Snakefile", "workflow", "profiles", "config")


class WithWorkflow(build_py):
    """The Python files, and what `advgen.workflow` finds beside them."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib) / "advgen" / "project"
        shutil.rmtree(folder, ignore_errors=True)
        for name in BROUGHT:
            source, target = Path(name), folder / name
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)


setup(cmdclass={"build_py": WithWorkflow})
