"""The tutorial works as written: its files, edits and commands, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tests.project import ROOT

PAGE = ROOT / "docs/tutorial.md"
STEP = re.compile(
    r"[Ss]ave this as `(?P<file>[^`]+)`:\n\n```\w+\n(?P<text>.*?)^```$"
    r"|add below `(?P<above>[^`]+)`:\n\n```yaml\n(?P<lines>.*?)^```$"
    r"|change\s+`(?P<old>[^`]+)`\s+to\s+`(?P<new>[^`]+)`"
    r"|^```bash\n(?P<commands>.*?)^```$",
    flags=re.DOTALL | re.MULTILINE,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, raw_mnist: Path) -> tuple[Path, list[str]]:
    """The folder after the last step, and the output of each block of commands; installing is tested elsewhere."""
    folder, outputs, study = tmp_path_factory.mktemp("tutorial"), [], Path("digits.yaml")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "ADVGEN"))}
    environment = {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "ADVGEN_DATA": str(ROOT / "results/datasets-for-tests"),
        "ADVGEN_CACHE": "off",
    }
    installation, steps = PAGE.read_text(encoding="utf-8").split("## 2. ")
    assert "pip install -e '.[lab]'" in installation
    for step in STEP.finditer(steps):
        if step["file"]:
            (folder / step["file"]).write_text(step["text"], encoding="utf-8")
        elif step["above"]:
            text = (folder / study).read_text(encoding="utf-8")
            assert text.count(f"{step['above']}\n") == 1, step[0]
            (folder / study).write_text(text.replace(f"{step['above']}\n", f"{step['above']}\n{step['lines']}"))
        elif step["old"]:
            text = (folder / study).read_text(encoding="utf-8")
            assert step["old"] in text, step[0]
            (folder / study).write_text(text.replace(step["old"], step["new"]), encoding="utf-8")
        else:
            result = subprocess.run(
                ["bash", "-ec", step["commands"]],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=600,
            )
            assert result.returncode == 0, f"{step['commands']}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
            outputs.append(result.stdout + result.stderr)
            for subfolder in re.findall(r"^cd (.+)$", step["commands"], flags=re.MULTILINE):
                folder = folder / subfolder
    return folder, outputs


def test_every_step_runs(finished: tuple[Path, list[str]]) -> None:
    folder, outputs = finished
    commands = PAGE.read_text(encoding="utf-8").split("## 2. ")[1].count("```bash")
    assert len(outputs) == commands >= 10
    assert (folder / "results/report/index.html").is_file()


def test_the_results_are_as_described(finished: tuple[Path, list[str]]) -> None:
    folder, outputs = finished
    [dry] = [text for text in outputs if " jobs would run: " in text]
    assert "craft" in dry
    assert "train" not in dry, "no training depends on eps"
    [table] = [text for text in outputs if "clean_accuracy" in text]
    first = float(table.splitlines()[-1].split()[-3])
    robustness = pd.read_parquet(folder / "results/tables/robustness.parquet").query("attack == 'pgd'")
    assert set(robustness["source"]) == {"net", "linear"}
    assert set(robustness["eps"]) == {0.2}
    assert robustness["accuracy"].max() < first, "a larger eps lowers the accuracy"
    inpaintings = pd.read_parquet(folder / "results/tables/inpaintings.parquet")
    assert set(inpaintings["mask"]) == {"hole"}


def test_only_affected_jobs_run(finished: tuple[Path, list[str]]) -> None:
    runs = [text for text in finished[1] if re.search(r"^\d+ of \d+ jobs done", text, flags=re.MULTILINE)]
    _, eps, mask, model, custom = [{*re.findall(r"^ *\d+/\d+  (\w+)", text, flags=re.MULTILINE)} for text in runs]
    trainings = {"train_gan", "train_classifier", "train_judge"}
    assert "craft" in eps and not eps & {*trainings, "inpaint"}
    assert "inpaint" in mask and not mask & {*trainings, "craft"}
    assert {"train_classifier", "craft"} <= model and not model & {"train_gan", "train_judge", "inpaint"}
    assert "craft" in custom and not custom & {"train_gan", "train_judge", "inpaint"}
