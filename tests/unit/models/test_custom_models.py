"""Classifiers of somebody else's: every kind of file gives the same logits, and no pickle is read."""

import io
import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from advgen.attacks.fgsm import fgsm
from advgen.models.custom import CustomModel, load_custom_model
from advgen.models.factories import call_factory
from advgen.models.model_files import detect_format
from advgen.models.predict import predict
from advgen.specs.attacks import FgsmAttack

NET = """
from torch import nn

def make():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(400, 5)
    )

def fails():
    return nn.Linear(2, "three")

def gives_weights():
    return make().state_dict()

number = 3
"""
X = torch.rand(7, 1, 12, 12, generator=torch.Generator().manual_seed(1))
BATCH = ({0: torch.export.Dim("batch")},)


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    (tmp_path / "mine.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    return call_factory("mine.py:make").eval()


def export(net: nn.Module, path: str = "net.pt2", **keys: Any) -> Path:
    torch.export.save(torch.export.export(net, (X[:2],), dynamic_shapes=BATCH, **keys), path)
    return Path(path)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_every_kind_of_file_gives_the_same_logits_and_gradients(net: nn.Module) -> None:
    export(net)
    torch.jit.save(torch.jit.script(net), "scripted.pt")
    save_file(net.state_dict(), "net.safetensors")
    spec = FgsmAttack(kind="fgsm", eps=0.1)
    attacked = fgsm(net, X, torch.zeros(7).long(), spec, seed=0, indices=list(range(7)))
    assert not torch.equal(attacked, X)
    for path, factory in (
        ("net.pt2", None),
        ("scripted.pt", None),
        ("net.safetensors", "mine.py:make"),
        ("net.safetensors", "mine:make"),
    ):
        model = load_custom_model(Path(path), factory)
        torch.testing.assert_close(predict(model, X)[1], net(X).detach())
        torch.testing.assert_close(
            fgsm(model, X, torch.zeros(7).long(), spec, seed=0, indices=list(range(7))), attacked
        )


def test_a_factory_sees_what_stands_beside_it_and_two_may_have_files_of_one_name(net: nn.Module) -> None:
    for folder, width in (("first", 3), ("second", 4)):
        Path(folder, "parts").mkdir(parents=True)
        Path(folder, "parts/layers.py").write_text(
            f"from torch import nn\n\ndef layer():\n    return nn.Linear(2, {width})\n"
        )
        Path(folder, "net.py").write_text("def make():\n    from parts.layers import layer\n    return layer()\n")
    before = {*sys.modules}
    for _ in range(2):
        layers = [call_factory(f"{folder}/net.py:make") for folder in ("first", "second")]
        assert [one.out_features for one in layers] == [3, 4]
    assert not {name for name in {*sys.modules} - before if "layers" in name}


def test_an_edit_counts_that_leaves_size_and_second_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an editor's, or a script's, right after a first run: Python would take the first one's bytecode."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    code = "from torch import nn\n\ndef make():\n    return nn.{}()\n"
    made_of = []
    for name in ("ReLU", "GELU"):
        (tmp_path / "net.py").write_text(code.format(name))
        os.utime(tmp_path / "net.py", (1_000_000_000, 1_000_000_000))
        made_of.append(type(call_factory(f"{tmp_path / 'net.py'}:make")).__name__)
    assert made_of == ["ReLU", "GELU"]


def test_one_that_was_exported_on_a_gpu_is_told_so_where_there_is_none(
    net: nn.Module, capfd: pytest.CaptureFixture[str]
) -> None:
    def on_a_gpu(parts: dict[str, bytes]) -> None:
        for name, content in parts.items():
            parts[name] = content.replace(b'"type": "cpu"', b'"type": "cuda"') if name.endswith(".json") else content

    with pytest.raises(ValueError, match=r"net\.pt2: was exported on a GPU, and there is none; export model\.cpu\(\)"):
        load_custom_model(repack(export(net), on_a_gpu))
    assert capfd.readouterr().err == ""


def test_images_are_prepared_as_the_model_wants_them(net: nn.Module) -> None:
    path = export(net)
    model = load_custom_model(path, bounds=(-1, 1), mean=[0.1], std=0.5)
    torch.testing.assert_close(model(X), net((2 * X - 1 - 0.1) / 0.5))


def test_a_missing_gradient_is_zero(net: nn.Module) -> None:
    class Hard(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return net((x > 0.5).float()).detach()

    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(CustomModel(Hard())(x).sum(), x)
    assert torch.equal(gradient, torch.zeros_like(X))


class Boom:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, ("boom",)


def repack(path: Path, change: Callable[[dict[str, bytes]], Any]) -> Path:
    """An exported program with some parts changed."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def pickled(value: Any) -> bytes:
    content = io.BytesIO()
    torch.save(value, content)
    return content.getvalue()


def in_sample_inputs(parts: dict[str, bytes]) -> None:
    parts["net/data/sample_inputs/model.pt"] = pickled(Boom())


def in_weights(parts: dict[str, bytes]) -> None:
    name = "net/data/weights/model_weights_config.json"
    config = json.loads(parts[name])
    first = next(iter(config["config"].values()))
    first["use_pickle"] = True
    parts[name], parts["net/data/weights/weight_0"] = json.dumps(config).encode(), pickled(Boom())


def in_old_weights(parts: dict[str, bytes]) -> None:
    parts["net/data/weights/model.pt"] = pickled(Boom())


def in_constants(parts: dict[str, bytes]) -> None:
    name = "net/data/constants/model_constants_config.json"
    config = json.loads(parts[name])
    config["config"]["c"] = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    parts[name], parts["net/data/constants/opaque_obj_0"] = json.dumps(config).encode(), pickled(Boom())


def in_a_formula(parts: dict[str, bytes]) -> None:
    text = parts["net/models/model.json"].decode()
    assert '"expr_str": "' in text
    parts["net/models/model.json"] = text.replace('"expr_str": "', '"expr_str": "exec(chr(49))+', 1).encode()


@pytest.mark.parametrize("plant", [in_sample_inputs, in_weights, in_old_weights, in_constants, in_a_formula])
def test_an_exported_program_with_code_inside_is_refused_unread(
    net: nn.Module, plant: Callable[[dict[str, bytes]], Any]
) -> None:
    path = repack(export(net), plant)
    with pytest.raises(ValueError, match=r"^net.pt2: .*; export it again: ") as caught:
        load_custom_model(path)
    assert "\n" not in str(caught.value)
    assert not Path("boom").exists()


def test_repacking_alone_is_no_reason_to_refuse(net: nn.Module) -> None:
    model = load_custom_model(repack(export(net), lambda parts: None))
    torch.testing.assert_close(predict(model, X)[1], net(X).detach())


def test_a_pickle_is_refused_unread_with_the_way_to_export(net: nn.Module) -> None:
    torch.save(Boom(), "boom.pt")
    torch.save(net.state_dict(), "old.pth", _use_new_zipfile_serialization=False)
    for name in ("boom.pt", "old.pth"):
        with pytest.raises(ValueError, match=rf"^{name}: is a pickle.* torch.export.save\(") as caught:
            load_custom_model(Path(name))
        assert "\n" not in str(caught.value)
    assert not Path("boom").exists()


def wrong_shape() -> None:
    net = call_factory("mine.py:make")
    save_file({**net.state_dict(), "5.bias": torch.zeros(6)}, "other.safetensors")


def other_names() -> None:
    save_file(
        {f"net.{name}": value for name, value in call_factory("mine.py:make").state_dict().items()}, "other.safetensors"
    )


WRONG: dict[str, tuple[Callable[[], Any], str, str | None, str]] = {
    "no file": (lambda: None, "none.pt2", None, "none.pt2: no such file; give a .pt2"),
    "an image": (lambda: Path("a.png").write_bytes(b"\x89PNG" + bytes(40)), "a.png", None, "is not a model file; give"),
    "nothing": (lambda: Path("a.pt").write_bytes(b""), "a.pt", None, "a.pt: is not a model file"),
    "a zip": (lambda: zipfile.ZipFile("a.pt", "w").writestr("a/b", "c"), "a.pt", None, "a.pt: is not a model file"),
    "weights alone": (other_names, "other.safetensors", None, "holds only weights; name the code that builds"),
    "other names": (other_names, "other.safetensors", "mine.py:make", "has no '0.weight'; the weights are another"),
    "other shapes": (
        wrong_shape,
        "other.safetensors",
        "mine.py:make",
        r"'5.bias' is of shape \(6,\), and mine.py:make",
    ),
    "no function": (
        other_names,
        "other.safetensors",
        "mine.py:none",
        "factory 'mine.py:none': mine.py has no function",
    ),
    "a number": (other_names, "other.safetensors", "mine.py:number", "mine.py has no function 'number'"),
    "no colon": (other_names, "other.safetensors", "mine.py", "factory 'mine.py': write module:function"),
    "no code": (other_names, "other.safetensors", "no.py:make", "factory 'no.py:make': no such file as no.py"),
    "no module": (other_names, "other.safetensors", "nowhere:make", "nowhere raised ModuleNotFoundError: No module"),
    "raises": (
        other_names,
        "other.safetensors",
        "mine.py:fails",
        "factory 'mine.py:fails': raised TypeError: .*; fix",
    ),
    "no net": (
        other_names,
        "other.safetensors",
        "mine.py:gives_weights",
        "gave OrderedDict; it must return a torch.nn",
    ),
}


@pytest.mark.parametrize("way", WRONG)
def test_a_model_that_cannot_be_loaded_is_told_in_one_line(net: nn.Module, way: str) -> None:
    prepare, path, factory, message = WRONG[way]
    prepare()
    with pytest.raises(ValueError, match=message) as caught:
        load_custom_model(Path(path), factory)
    assert "\n" not in str(caught.value)


def test_a_factory_is_for_weights_alone(net: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"holds its own code; leave the factory mine.py:make out"):
        load_custom_model(export(net), "mine.py:make")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"bounds": (1, 0)}, r"bounds = \(1, 0\): must be the lowest and the highest pixel"),
        ({"std": 0.0}, "std = 0.0: must be positive"),
        ({"mean": "grey"}, "mean = 'grey': must be a number, or one for each channel"),
        ({"mean": (0.1, 0.2)}, "mean has 2 numbers for 1 channels; give one for each"),
    ],
)
def test_wrong_numbers_are_told_in_one_line(net: nn.Module, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CustomModel(net, **keys)(X)


def test_kinds_are_told_by_content(net: nn.Module) -> None:
    assert detect_format(export(net).rename("net.anything")) == "exported"
