"""Noise that is not clipped to [0, 1]: a control for published numbers, and never a robustness number."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.project import ROOT
from tests.unit.metrics.sanity.test_rows import examples as rows_of
from tests.workflow.test_config_errors import message

import advgen
from advgen import registry
from advgen.api.battery import build_battery
from advgen.attacks.run import craft
from advgen.experiments.transfers.experiment import Transfer
from advgen.experiments.transfers.run import run as run_transfer
from advgen.files.provenance import Stamp
from advgen.io.tables import arrow_table, read_table, write_table
from advgen.jobs.job import Job
from advgen.metrics.sanity.integrity import check_pixels
from advgen.metrics.sanity.table import STATISTICAL, run_checks
from advgen.outcomes.sanity.check import without_unclipped
from advgen.study.load import load_file

SD, N = 0.3, 64
IMAGES, LABELS = torch.zeros(N, 1, 8, 8), torch.zeros(N, dtype=torch.long)
CLIPPED = registry.parse("attacks", {"kind": "gaussian_noise", "sd": SD})
UNCLIPPED = registry.parse("attacks", {"kind": "gaussian_noise", "sd": SD, "clipped": False})


class Bright(torch.nn.Module):
    """Says 1 of images that are brighter than 0.3 sd on average: black ones under clipped noise, no others."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        brightness = self.weight * (x.flatten(1).mean(1) - 0.3 * SD)
        return torch.stack([-brightness, brightness], 1)


def crafted(spec: Any) -> dict[str, Any]:
    return craft(registry.resolve(spec), Bright(), IMAGES, LABELS, spec, seed=0, indices=list(range(N))).columns()


def test_clipping_brightens_black_images_and_unclipped_noise_does_not() -> None:
    clipped, unclipped = (crafted(spec)["adversarial"] for spec in (CLIPPED, UNCLIPPED))
    assert clipped.mean() == pytest.approx(SD / math.sqrt(2 * math.pi), rel=0.1)
    assert clipped.min() == 0
    assert unclipped.mean() == pytest.approx(0, abs=0.01)
    assert unclipped.std() == pytest.approx(SD, rel=0.05)
    np.testing.assert_allclose(np.clip(unclipped, 0, 1), clipped)


def test_all_facts_of_unclipped_noise_are_of_images_that_are_not_clipped() -> None:
    """But for those in 256 grey levels, which have none below black."""
    facts = crafted(UNCLIPPED)
    assert facts["predicted"].mean() < 0.2
    assert facts["predicted_unaimed"].mean() < 0.2, "its control was clipped"
    assert facts["predicted_rounded"].mean() > 0.8
    assert crafted(CLIPPED)["predicted"].mean() > 0.8


def test_any_other_attack_must_stay_in_the_box() -> None:
    def leave(model: Any, x: torch.Tensor, y: torch.Tensor, spec: Any, *, seed: int, indices: list[int]) -> Any:
        return x - 0.01

    with pytest.raises(AssertionError, match="left the box"):
        craft(leave, Bright(), IMAGES, LABELS, CLIPPED, seed=0, indices=list(range(N)))


def test_a_transfer_shows_the_targets_what_is_not_clipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advgen.experiments.transfers.run.load_model", lambda path: Bright())
    for name, spec, error in (("clipped", CLIPPED, 1.0), ("unclipped", UNCLIPPED, 0.0)):
        columns = {column: rows_of({}, n=N).column(column).to_numpy() for column in rows_of({}).column_names[:-2]}
        columns |= {key: value for key, value in crafted(spec).items() if key != "adversarial" and value is not None}
        columns |= {"image": IMAGES.numpy(), "adversarial": crafted(spec)["adversarial"], "index": np.arange(N)}
        columns |= {"attack": [name] * N, "norm": ["none"] * N, "label": LABELS.numpy()}
        write_table(tmp_path / "examples.parquet", arrow_table("examples", columns), Stamp("test", {}, "x"))
        out = {"out-row": [tmp_path / "row.parquet"], "out-examples": [tmp_path / "answers.parquet"]}
        inputs = {"examples": [tmp_path / "examples.parquet"], "targets": [tmp_path / "model"]}
        task = Transfer(study="s", targets=("net",), seeds=(0,), rms=None)
        (tmp_path / "model").write_bytes(b"")
        run_transfer(Job("transfer", task, "code", inputs, out))
        [row] = read_table(tmp_path / "row.parquet", "transfer").to_pylist()
        assert row["error"] == pytest.approx(error, abs=0.2)
        assert row["error_unaimed"] == pytest.approx(error, abs=0.2)


def test_the_same_holds_of_a_transfer_by_hand() -> None:
    keys = {"sd": SD, "clipped": False}
    table = advgen.transfer([Bright(), Bright()], IMAGES, LABELS, "gaussian_noise", **keys).table
    assert (table[["error", "error_unaimed"]] < 0.2).all(axis=None)


def test_an_evaluation_has_no_unclipped_control() -> None:
    batteries = [build_battery(0.1, norm, "quick", ()) for norm in ("linf", "l2")]
    assert all(spec.stays_in_box() for battery in batteries for spec in battery.values())


# --- checks ----------------------------------------------------------------------------------------------------------


def test_the_box_is_checked_of_all_but_unclipped_attacks() -> None:
    images = [[0.5, 1.5], [0.5, -0.5]] * 2
    table = rows_of({"attack": "pgd", "eps": 2}, {"attack": "noise", "norm": "none"}, n=2, images=images)
    found = list(check_pixels(table, ("noise",)))
    assert [(one["subject"], one["holds"]) for one in found if one["check"] == "box"] == [("pgd on net seed 0", False)]
    assert {one["subject"] for one in found if one["check"] == "finite"} == {"pgd on net seed 0", "noise on net seed 0"}
    assert len([one for one in check_pixels(table) if one["check"] == "box"]) == 2


def test_no_attack_is_measured_by_unclipped_noise() -> None:
    """It fools all, and PGD half: of clipped noise that would be a failed check."""
    noise = {"attack": "noise", "kind": "gaussian_noise", "norm": "none", "steps": 0, "eps": 0.1, "right": 0}
    table = rows_of({"attack": "pgd", "right": 100}, noise)

    def failed(unclipped: tuple[str, ...]) -> set[str]:
        found = run_checks(without_unclipped({"examples": table}, unclipped), STATISTICAL)
        return {one["check"] for one in found if not one["holds"] and one["kind"] == "check"}

    assert "an attack leaves no more right than noise" in failed(())
    assert "an attack leaves no more right than noise" not in failed(("noise",))
    assert without_unclipped({"examples": rows_of(noise)}, ("noise",)) == {}


# --- studies ---------------------------------------------------------------------------------------------------------


NOISE = "attacks:\n  noise: {kind: gaussian_noise, clipped: false}\n"


def smoke(tmp_path: Path, *edits: tuple[str, str]) -> Path:
    text = (ROOT / "config/smoke.yaml").read_text(encoding="utf-8")
    for old, new in (("attacks:\n", NOISE), *edits):
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "study.yaml"


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("attacks: [fgsm, pgd, quick], images: 3", "attacks: [noise], images: 3", r"figures.adversarial.attacks"),
        ("attack: pgd", "attack: noise", r".attack = 'noise'"),
    ],
)
def test_only_transfers_may_use_it(tmp_path: Path, old: str, new: str, where: str) -> None:
    text = message(smoke(tmp_path, (old, new)))
    assert where in text
    assert "its images leave [0, 1], which only transfers allow; name an attack with clipped: true" in text
    assert "\n" not in text


def test_a_published_table_has_unclipped_noise_beside_it(tmp_path: Path) -> None:
    study = yaml.safe_load((ROOT / "config/smoke.yaml").read_text(encoding="utf-8"))
    attacks = ", ".join(study["transfers"]["transfer"]["attacks"])
    named = ("names: {FC100-100-10: fc100,", "names: {Gaussian sd 0.3: noise, FC100-100-10: fc100,")
    path = smoke(tmp_path, (f"attacks: [{attacks}]", f"attacks: [{attacks}, noise]"), named)
    text = path.read_text(encoding="utf-8")
    load_file(path)
    path.write_text(text.replace("clipped: false", "clipped: true"), encoding="utf-8")
    assert "figures.published.names.Gaussian sd 0.3 = 'noise': clipped noise brightens black pixels" in message(path)
    assert "set attacks.noise.clipped = false" in message(path)


@pytest.mark.parametrize("name", ["evening", "paper"])
def test_our_studies_compare_published_noise_with_unclipped_noise(name: str) -> None:
    study = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8"))
    figures = [one for one in study["figures"].values() if one["kind"] == "published_transfer"]
    ours = [ours for one in figures for row, ours in one["names"].items() if row.startswith("Gaussian")]
    assert ours == ["unclipped-noise-small", "unclipped-noise-large"]
    assert study["attacks"]["unclipped-noise"]["clipped"] is False
