"""`advgen audit`: a page that needs nothing beside it, its tables, and mistakes in one line."""

import argparse
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.project import ROOT

from advgen.cli import main
from advgen.commands.audit import format_command
from advgen.commands.leaderboard_entries import read_entries
from advgen.io.stamps import read_stamp
from advgen.io.tables import read_table

NET = """
import torch
from torch import nn

class Stripes(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(20.0))

    def forward(self, x):
        return self.weight * torch.stack([x[:, :, 2 * row : 2 * row + 2].mean((1, 2, 3)) for row in range(3)], 1)

class Rounded(Stripes):
    def forward(self, x):
        return super().forward((x * 7).round() / 7)

class Nan(Stripes):
    def forward(self, x):
        return super().forward(x) / 0
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a factory, weights and data: a net and images about which everything is known."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    Path("net.py").write_text(NET)
    save_file({"weight": torch.tensor(20.0)}, "net.safetensors")
    random, labels = np.random.default_rng(0), np.arange(240) % 3
    images = random.uniform(0.3, 0.31, (240, 8, 8))
    for row, label in enumerate(labels):
        images[row, 2 * label : 2 * label + 2] += 0.1 if row < 120 else 0.5
    np.savez("data.npz", images=(255 * images).round().astype(np.uint8), labels=labels)
    for row in range(12):
        folder = Path("photos") / f"class-{labels[row]}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((255 * images[row]).astype(np.uint8)).save(folder / f"{row}.png")
    return tmp_path


def audit(*words: str) -> None:
    main(["audit", "net.safetensors", "--data", "data.npz", "--eps", "0.1", "--factory", "net.py:Stripes", *words])


def test_a_page_and_its_tables(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    audit()
    page = Path("net-audit.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert page.count('src="data:image/png') == 3
    assert "<strong>50.0%</strong>" in page and "All 2" in page
    line = "python -m advgen audit net.safetensors --data data.npz --eps 0.1 --factory=net.py:Stripes"
    assert line in page and "eps = 1 leaves nothing right" in page
    assert "success rounded" in page
    assert "robust accuracy  50.0 %" in capfd.readouterr().out
    rows = read_table(Path("net-audit/robustness.parquet"), "robustness").to_pandas().set_index("attack")
    assert rows.loc["ensemble", "accuracy"] == 0.5 and rows.loc["ensemble 0.2", "accuracy"] == 0.5
    stamp = read_stamp(Path("net-audit/examples.parquet"))
    assert stamp is not None and stamp.command == line
    assert set(stamp.inputs) == {"net.safetensors", "data.npz", "net.py"}
    ranked = {entry.eps: entry for entry in read_entries(Path("net-audit"), {})}
    assert sorted(ranked) == [0.025, 0.05, 0.1, 0.2]
    assert (ranked[0.1].net, ranked[0.1].data, ranked[0.1].n) == ("net.safetensors", "data.npz", 240)
    assert (ranked[0.1].correct.sum(), ranked[0.1].clean, ranked[0.1].failures) == (120, 240, ())


def test_the_same_audit_gives_the_same_bytes(here: Path) -> None:
    audit("--out", "a.html", "--images", "40")
    content = {path.name: path.read_bytes() for path in Path("a").iterdir()}
    audit("--out", "a.html", "--images", "40")
    assert content == {path.name: path.read_bytes() for path in Path("a").iterdir()}
    assert not list(here.rglob(".*partial*"))


def test_few_images_are_insufficient_on_the_page_in_the_status_and_on_the_leaderboard(here: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        audit("--images", "20")
    assert caught.value.code == 4
    page = Path("net-audit.html").read_text()
    assert "<strong>Insufficient evaluation</strong>: 20 images, at least 30 are needed" in page
    failed = {entry.failures for entry in read_entries(Path("net-audit"), {})}
    assert failed == {("insufficient: 20 images, at least 30 are needed",)}


def test_an_unsound_one_says_so(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["audit", "net.safetensors", "--data", "data.npz", "--eps", "0.1", "--factory", "net.py:Rounded"])
    assert caught.value.code == 3
    assert capfd.readouterr().out.startswith('Unsound evaluation: "input gradients are not zero" fails: ')
    page = Path("net-audit.html").read_text()
    verdict = page.partition("Robustness</h2>")[0]
    assert "<strong>Unsound evaluation</strong>" in verdict and "input gradients are not zero" in verdict
    assert all(entry.failures for entry in read_entries(Path("net-audit"), {}))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "none"], "none: no such file or folder; give a folder of class folders, .npz"),
        (["--factory", "net.py:None"], "net.py has no function 'None'"),
        (["--factory", "net.py:Nan"], "the model returns NaN or infinite outputs for 240 of 240 images"),
        (["--eps", "8"], "for 8 of 255 grey levels write 0.0314"),
        (["--bounds", "1"], "--bounds: must be the lowest and the highest pixel, such as 0,1"),
        (["--mean", "1,2"], "mean has 2 numbers for 1 channels; give one for each"),
        (["--images", "0"], "--images 0: must be at least 1"),
        (["--out", "page.pdf"], "--out page.pdf: must be an .html file"),
    ],
)
def test_a_mistake_ends_in_one_line_and_nothing_is_written(here: Path, words: list[str], message: str) -> None:
    before = sorted(here.rglob("*"))
    with pytest.raises(SystemExit) as caught:
        audit(*words)
    told = str(caught.value)
    assert told.startswith("advgen audit: ") and message in told and "\n" not in told
    assert [path for path in sorted(here.rglob("*")) if "__pycache__" not in path.parts] == before


def test_a_folder_has_the_classes_of_the_model(here: Path) -> None:
    (Path("photos") / "class-3").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("photos/class-3/a.png")
    with pytest.raises(SystemExit, match=r"photos has 4 classes \(class-0, .*\), but the model has 3; add one folder"):
        audit("--data", "photos")


def test_fractions_and_all_settings_stand_in_the_command() -> None:
    keys: dict[str, Any] = {"model": Path("a.pt2"), "data": "mnist", "eps": 8 / 255, "norm": "l2", "images": 50}
    keys |= {"classes": "order.json"}
    keys |= {"ensemble": "quick", "factory": None, "mean": (0.5, 0.4), "std": None, "bounds": (-1.0, 1.0), "seed": 0}
    told = format_command(argparse.Namespace(**keys))
    assert told.startswith("python -m advgen audit a.pt2 --data mnist --eps 0.0313725")
    assert told.endswith(" --classes=order.json --norm=l2 --images=50 --mean=0.5,0.4 --bounds=-1,1")


def test_the_example_of_ones_own_attack_runs() -> None:
    """In a process of its own, since it registers an attack."""
    command = [sys.executable, str(ROOT / "docs/examples/compare_attack.py")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    right = {line.split()[0]: float(line.split()[1]) for line in said.splitlines()}
    assert right["gaussian_noise"] > right["fgsm"] >= right["apgd"]
    assert right["fgsm"] >= right["momentum"]


def test_the_example_of_a_cv_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(ROOT / "docs" / "examples" / "cv_of_a_model.py"), run_name="__main__")
    [row] = [
        row for row in pq.read_table("my-model/robustness.parquet").to_pylist() if row["attack"] == "worst linf 0.12"
    ]
    assert f"Robust accuracy {100 * row['accuracy']:.1f}% on 200 images" in Path("my-cv/cv.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / "docs" / "examples" / "audit_resnet18.py"), run_name="__main__")
    assert caught.value.code == 3
    assert "24 of 24 images" in Path("resnet18-audit.html").read_text()
    assert "fail: the net is better than chance" in capfd.readouterr().out
