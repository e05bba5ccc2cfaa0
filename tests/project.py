"""Copies of the project for tests: with real commands or with stubs, each in a folder of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from advgen.commands.init import without_experiments
from tests import warm

ROOT = Path(__file__).parent.parent
PARTS = ("Snakefile", "workflow", "profiles", "config", "docs", "src", "tests", "tools", "pyproject.toml")

# Writes each output with a digest of the arguments and of all inputs, and notes what ran: as stale as the real thing
STUB = """#!/usr/bin/env bash
outputs=() inputs=() flag=
for word in "$@"; do
  case "$word" in
    --*) flag=$word ;;
    *) case "$flag" in
         --out*) outputs+=("$word") ;;
         --spec|--code|"") ;;
         *) inputs+=("$word") ;;
       esac ;;
  esac
done
digest=$({ printf '%s\\n' "$@"; cat "${inputs[@]}" /dev/null; } | sha256sum)
for path in "${outputs[@]}"; do echo "$digest" > "$path"; done
echo "$3 ${outputs[0]#results/}" >> "$STUB_LOG"
"""


class Project:
    """A copy of the project in a folder."""

    def __init__(self, folder: Path, stubs: bool = False, cache: str | Path = "off"):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        ignore = shutil.ignore_patterns("*.egg-info", ".hypothesis", "*-pytest-*")  # what is compiled comes along
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=ignore)
            else:
                shutil.copy(source, folder / part)
        self.log = folder / "stub.log"
        path = [str(Path(sys.executable).parent), os.environ["PATH"]]
        if stubs:
            stub = folder / "bin" / "python"
            stub.parent.mkdir()
            stub.write_text(STUB)
            stub.chmod(0o755)
            path.insert(0, str(stub.parent))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "ADVGEN"))}
        self.environment = {
            **kept,
            "PATH": os.pathsep.join(path),
            "PYTHONPATH": os.pathsep.join([str(folder / "src"), str(folder)]),
            "STUB_LOG": str(self.log),
            # every job that a test runs compares what it calls with what its digest holds
            "ADVGEN_AROUND": "tests.watch:watched",
            # most tests want the work done; those that share a finished study want it done once
            "ADVGEN_CACHE": str(cache),
            "ADVGEN_WORKERS": "off" if stubs else "on",
            # downloads once for all copies
            "ADVGEN_DATA": str(ROOT / "results" / "datasets-for-tests"),
        }

    def run(self, *command: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout
        )

    def module(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a Python module in the folder, with other people's packages imported before."""
        return warm.run(name, words, self.folder, self.environment, timeout=900)

    def snakemake(self, study: str, *arguments: str, cores: int = 2) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on a study; `arguments` come before the config, so that they cannot be eaten by it."""
        return self.module("snakemake", "--cores", str(cores), *arguments, "--config", f"study={study}")

    def finish(self, study: str, *arguments: str, cores: int = 2) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on a study, and fail unless it succeeds."""
        result = self.snakemake(study, *arguments, cores=cores)
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-6000:]
        return result

    def full_log(self) -> str:
        """Snakemake's whole log of the last run."""
        return max((self.folder / ".snakemake/log").glob("*.log")).read_text(encoding="utf-8")

    def advgen(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of our commands."""
        return self.module("advgen", *arguments)

    def executed(self, study: str) -> set[str]:
        """Run Snakemake on stubs; which commands ran, with their first output below results/."""
        self.log.write_text("")
        self.finish(study, cores=4)
        return set(self.log.read_text().splitlines())

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace the one occurrence of a text in a file."""
        file = self.folder / path
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path} has {text.count(old)} times {old!r}"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def append(self, path: str, text: str) -> None:
        """Add text to the end of a file."""
        with (self.folder / path).open("a", encoding="utf-8") as file:
            file.write(text)

    def without_experiments_in_the_cv(self) -> None:
        """Take what experiments give out of the profile, so that `snakemake cv` needs none."""
        profile = self.folder / "config/cv/profile.yaml"
        profile.write_text(without_experiments(profile.read_text(encoding="utf-8")), encoding="utf-8")
