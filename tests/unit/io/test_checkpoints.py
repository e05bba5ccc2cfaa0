"""Checkpoints rebuild their model from the file alone; `tests/integration/test_safety.py` has files with code."""

from pathlib import Path

import pytest
import torch

import advgen
from advgen import registry
from advgen.files.provenance import Stamp
from advgen.io.checkpoints import build, load_state, save_model, save_state
from advgen.io.stamps import read_stamp

STAMP = Stamp("test", {}, "x")
MODELS = [(family, name) for family, presets in registry.PRESETS.items() for name in presets]


@pytest.mark.parametrize(("family", "name"), MODELS)
def test_every_preset_survives_saving(family: str, name: str, tmp_path: Path) -> None:
    spec = registry.PRESETS[family][name]
    made = spec.image_shape() if family == "generators" else spec.image  # type: ignore[attr-defined]
    spec = spec.fit(made or (1, 28, 28))  # type: ignore[attr-defined]
    torch.manual_seed(0)
    module = build(family, spec, 3 if family == "networks" else None).eval()
    path = tmp_path / "model.safetensors"
    save_model(path, module, STAMP)
    again = advgen.load(path)
    assert not again.training
    assert again.spec == spec
    for key, value in module.state_dict().items():
        assert torch.equal(again.state_dict()[key], value)
    save_model(tmp_path / "again.safetensors", again, STAMP)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert read_stamp(path) == STAMP


def test_a_damaged_checkpoint_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, build("networks", registry.PRESETS["networks"]["FC10"].fit((1, 28, 28)), 10), STAMP)  # type: ignore[attr-defined]
    whole = path.read_bytes()
    for content in (b"", whole[:100], whole[:-8], b"\xff" * 200):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            advgen.load(path)


def test_a_state_with_another_key_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    save_state(path, {"step": torch.tensor(3)}, "one")
    found = load_state(path, "one")
    assert found is not None
    assert found["step"] == 3
    assert load_state(path, "two") is None
    assert load_state(tmp_path / "none", "one") is None
    path.write_bytes(path.read_bytes()[:-1])
    assert load_state(path, "one") is None
