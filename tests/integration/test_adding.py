"""An attack, a mask and a model are each one file, one spec class and one registry line.

The study with all three is run in a folder of its own, with what the smoke study has computed: so it also shows that
what they do not touch is not computed again.
"""

import re
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.project import ROOT, Project

from advgen.driver.plan import build
from advgen.study.load import load_file

STUDY = "config/smoke.yaml"
DRAWN = ("transfer", "robustness", "restored", "errors")

SPECS = {
    "attacks": '''

class SignNoise(AttackSpec):
    """Random signs of size eps: FGSM without a gradient."""

    kind: Literal["sign_noise"] = Field(description="random signs")
    eps: Fraction = Field(0.2, description="change of each pixel")

    def threat(self) -> Threat:
        return Threat(norm="linf", eps=self.eps, steps=0, access="none", step_size=self.eps)
''',
    "masks": '''

class FrameMask(MaskSpec):
    """Blackens the border."""

    kind: Literal["frame"] = Field(description="the border is missing")
    width: Count = Field(3, description="pixels missing on each side")

    def missing(self, shape: Shape) -> int:
        return shape[1] * shape[2] - (shape[1] - 2 * self.width) * (shape[2] - 2 * self.width)
''',
    "networks": '''

class LinearNetwork(NetworkSpec):
    """Softmax regression."""

    kind: Literal["linear"] = Field(description="one linear layer")
''',
}

ATTACK = '''"""Random signs."""

import torch

from advgen import seeds


def sign_noise(model, x_BCHW, y_B, spec, *, seed, indices):
    """Add random signs of size eps."""
    signs = torch.sign(seeds.uniform(seed, "sign noise", indices, *x_BCHW.shape[1:]) - 0.5)
    return (x_BCHW + spec.eps * signs).clamp(0, 1)
'''

MASK = '''"""The border."""

import torch


def frame(spec, shape, *, seed, indices):
    """True inside the border."""
    known = torch.zeros(len(indices), shape[1], shape[2], dtype=torch.bool)
    known[:, spec.width : -spec.width, spec.width : -spec.width] = True
    return known
'''

MODEL = '''"""Softmax regression."""

from math import prod

from torch import nn

from advgen.models.networks import Network


class Linear(Network):
    """One linear layer."""

    def __init__(self, spec, outputs):
        super().__init__(nn.Flatten(), nn.Linear(prod(spec.image), outputs))
'''


@pytest.fixture(scope="module")
def grown(smoke: Project, kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The smoke study in another folder, with three new parts."""
    copy = Project(tmp_path_factory.mktemp("grown"), cache=kept)
    for family, text in SPECS.items():
        copy.append(f"src/advgen/specs/{family}.py", text)
    for path, text in {
        "attacks/sign_noise.py": ATTACK,
        "inpainting/masks/frame.py": MASK,
        "models/linear.py": MODEL,
    }.items():
        (copy.folder / "src/advgen" / path).write_text(text)
    registry = "src/advgen/registry.py"
    for family, spec, target in (
        ("ATTACKS", "SignNoise", "advgen.attacks.sign_noise:sign_noise"),
        ("MASKS", "FrameMask", "advgen.inpainting.masks.frame:frame"),
        ("NETWORKS", "LinearNetwork", "advgen.models.linear:Linear"),
    ):
        head = f"{family}: dict[type[Spec], str] = {{\n"
        copy.edit(registry, head, f'{head}    {family.lower()}.{spec}: "{target}",\n')
    copy.edit(STUDY, "  pgd: {kind", "  signs: {kind: sign_noise}\n  pgd: {kind")
    copy.edit(STUDY, "    attacks: [fgsm, pgd, quick]\n", "    attacks: [fgsm, signs, pgd, quick]\n")
    copy.edit(
        STUDY,
        "robustness, sources: [fc100], attacks: [fgsm, pgd, quick]}",
        "robustness, sources: [fc100], attacks: [fgsm, signs, pgd, quick]}",
    )
    copy.edit(STUDY, "    masks: [pepper, square]\n", "    masks: [pepper, square, frame]\n")
    copy.edit(STUDY, "  square: {kind: square}\n", "  square: {kind: square}\n  frame: {kind: frame}\n")
    copy.edit(STUDY, "\nprobes:\n", "  softmax:\n    dataset: mnist\n    model: {kind: linear}\n\nprobes:\n")
    copy.edit(STUDY, "    targets: [fc100, cnn]\n", "    targets: [fc100, cnn, softmax]\n")
    planned = copy.advgen("plan", STUDY, "--files").stdout.splitlines()
    wanted = [one for one in planned if one.endswith((".parquet", ".safetensors"))]
    copy.finish(STUDY, *wanted, *(f"results/figures/{name}.png" for name in DRAWN))
    return copy


def rows(path: Path, column: str) -> set[str]:
    """The values of a column."""
    return set(pq.read_table(path, columns=[column]).column(column).to_pylist())


def test_they_run_and_are_in_the_tables(grown: Project) -> None:
    tables = grown.folder / "results/tables"
    assert "signs" in rows(tables / "transfer.parquet", "attack")
    assert "softmax" in rows(tables / "transfer.parquet", "target")
    assert "signs" in rows(tables / "robustness.parquet", "attack")
    assert "frame" in rows(tables / "inpaintings.parquet", "mask")
    assert "softmax" in rows(tables / "classifiers.parquet", "classifier")


TOUCHED = ("inpaintings/", "tables/", "transferred/", "transfers/")


def test_everything_else_has_the_same_bytes_in_another_folder(grown: Project, smoke: Project) -> None:
    compared = 0
    for line in smoke.advgen("plan", STUDY, "--files").stdout.splitlines():
        name = line.removeprefix("results/")
        if name.endswith((".parquet", ".safetensors")) and not name.startswith(TOUCHED):
            assert (smoke.folder / line).read_bytes() == (grown.folder / line).read_bytes(), line
            compared += 1
    kinds = {job.rule for job in build(load_file(ROOT / STUDY)).jobs}
    assert compared > len(kinds)  # that of every rule but those that are touched, and of most several


def test_they_are_drawn(grown: Project, smoke: Project) -> None:
    for figure in DRAWN:
        old, new = (one.folder / f"results/figures/{figure}.png" for one in (smoke, grown))
        assert old.read_bytes() != new.read_bytes()


NEW = {"attacks": ("sign_noise", "SignNoise"), "masks": ("frame", "FrameMask"), "networks": ("linear", "LinearNetwork")}


@pytest.fixture(scope="module")
def covered(grown: Project) -> str:
    """Return the output of their contract tests."""
    files = [f"tests/contract/test_{family}.py" for family in NEW]
    chosen = " or ".join(word for words in NEW.values() for word in words)
    result = grown.run(sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider", *files, "-k", chosen)
    assert result.returncode == 0, result.stdout[-4000:]
    return result.stdout


@pytest.mark.parametrize("family", NEW)
def test_contract_tests_cover_them(covered: str, family: str) -> None:
    words = "|".join(NEW[family])
    assert len(re.findall(rf"^tests/contract/test_{family}\.py::.*({words}).* PASSED", covered, re.MULTILINE)) > 3
