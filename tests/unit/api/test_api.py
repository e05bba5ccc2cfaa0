"""The public Python functions: their documentation page, results of known models, errors in one line."""

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from tests.project import ROOT
from torch import Tensor, nn

import advgen
from advgen import registry
from advgen.attacks.run import craft
from advgen.data.custom import read_custom
from advgen.files.provenance import Stamp
from advgen.io.checkpoints import build, save_model
from advgen.io.tables import arrow_table, read_table, write_table
from advgen.specs.generators import FcGenerator
from advgen.specs.networks import FcNetwork

N, SIDE = 240, 8
STAMP = Stamp("test", {}, "")


class Stripes(nn.Module):
    """Logits are the brightness of three stripes, so the effect of an attack is known exactly."""

    def forward(self, x: Tensor) -> Tensor:
        return 20 * torch.stack([x[:, :, 2 * row : 2 * row + 2].mean((1, 2, 3)) for row in range(3)], 1)


def stripes(n: int = N, gap: float = 0.3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images whose label's stripe is brighter by `gap`, plus noise."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    images = 0.3 + 0.01 * torch.rand(n, 1, SIDE, SIDE, generator=random)
    for image, label in zip(images, labels, strict=True):
        image[0, 2 * label : 2 * label + 2] += gap
    return images, labels


X, Y = stripes()


def save_checkpoints() -> None:
    """A generator and a judge in the working folder."""
    torch.manual_seed(0)
    spec = FcGenerator(kind="fc", latent=4, hidden=(8,), image=(1, SIDE, SIDE))
    save_model(Path("generator.safetensors"), build("generators", spec), STAMP)
    net = FcNetwork(kind="fc", hidden=(8,)).fit((1, SIDE, SIDE))
    save_model(Path("judge.safetensors"), build("networks", net, 3), STAMP)


def test_the_code_of_the_documentation_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_checkpoints()
    names: dict[str, Any] = {"generator": "generator.safetensors", "judge": "judge.safetensors"}
    text = (ROOT / "docs" / "api.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        exec(compile(block, "docs/api.md", "exec"), names)
    assert names["evaluation"].clean_accuracy > 0.9 and names["nearest"].shape == names["restored"].shape == (
        4,
        1,
        8,
        8,
    )
    documented = set(re.findall(r"`advgen\.(\w+)\(", text))
    assert documented == {name for name in dir(advgen) if not name.startswith("_")}


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, advgen; dir(advgen); assert not {'torch', 'numpy', 'pandas', 'pydantic'} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_every_public_function_is_documented() -> None:
    for name in (name for name in dir(advgen) if not name.startswith("_")):
        assert "Raises" in getattr(advgen, name).__doc__, name


def test_attack_returns_the_examples_of_a_study() -> None:
    spec = registry.parse("attacks", {"kind": "pgd", "eps": 0.1, "steps": 5})
    facts = craft(registry.resolve(spec), Stripes(), X, Y, spec, seed=3, indices=list(range(N)))
    found = advgen.attack(Stripes(), X, Y, "pgd", eps=0.1, steps=5, seed=3)
    assert torch.equal(found, torch.from_numpy(facts.attack.x_adv))
    assert not torch.equal(found, advgen.attack(Stripes(), X, Y, "pgd", eps=0.1, steps=5, seed=4))


def test_an_attack_may_have_a_key_named_images():
    """The universal attack learns from the given images, so the key has no effect here."""
    found = advgen.attack(Stripes(), X, Y, "universal", eps=0.1, images=5)
    assert torch.equal(found, advgen.attack(Stripes(), X, Y, "universal", eps=0.1))


def test_bounds_change_the_images_and_not_the_attack() -> None:
    class Wide(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Stripes()((x + 1) / 2)

    found = advgen.attack(Wide(), 2 * X - 1, Y, "fgsm", eps=0.1, bounds=(-1, 1))
    torch.testing.assert_close((found + 1) / 2, advgen.attack(Stripes(), X, Y, "fgsm", eps=0.1))


def test_numpy_scalars_are_accepted() -> None:
    expected = advgen.attack(Stripes(), X, Y, "pgd", eps=0.5, steps=2)
    assert torch.equal(advgen.attack(Stripes(), X, Y, "pgd", eps=np.float32(0.5), steps=np.int64(2)), expected)


def test_missing_pixels_have_no_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_checkpoints()
    known = torch.ones(8, 8, dtype=torch.bool)
    known[2:5, 2:5] = False
    keys: dict[str, Any] = {"steps": 3, "starts": 2}
    for images in (X[:3], (255 * X[:3]).to(torch.uint8)):
        expected = advgen.inpaint("generator.safetensors", images, known, **keys)
        for hidden in (255, float("nan"), -7.0) if images.is_floating_point() else (255,):
            changed = torch.where(known, images, torch.tensor(hidden, dtype=images.dtype))
            assert torch.equal(advgen.inpaint("generator.safetensors", changed, known, **keys), expected)
    with pytest.raises(ValueError, match="images contain NaN or infinite pixels"):
        advgen.inpaint("generator.safetensors", torch.where(known, torch.nan, X[:3]), known, **keys)


@pytest.mark.parametrize("n", [20, 200])
def test_the_excess_of_two_samples_of_one_distribution_is_near_zero(
    n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_checkpoints()
    random = torch.Generator().manual_seed(0)
    images = torch.rand(10, 2 * n, 1, SIDE, SIDE, generator=random)
    found = [advgen.frechet_distance(one[:n], one[n:], reference="judge.safetensors") for one in images]
    excess, error, values = (
        np.array([getattr(distance, name) for distance in found]) for name in ("excess", "null_sd", "value")
    )
    assert values.mean() > 2 * error.mean(), "there is no bias to correct"
    assert (np.abs(excess) < 4 * error).all()
    assert abs(excess.mean()) < 3 * error.mean() / len(found) ** 0.5
    apart = advgen.frechet_distance(images[0, :n], images[0, n:] / 2, reference="judge.safetensors")
    assert apart.excess > 4 * apart.null_sd
    assert f"excess over that: {apart.excess:.2f}" in repr(apart) and f"{apart.null_mean:.2f} ± " in repr(apart)


def test_images_written_by_pandas_are_read_with_their_shape(tmp_path: Path) -> None:
    file, again = tmp_path / "test.parquet", tmp_path / "again.parquet"
    levels = (255 * X[:5]).to(torch.uint8).numpy()
    columns = {"index": list(range(5)), "label": Y[:5].tolist(), "cue": None, "image": levels}
    write_table(file, arrow_table("dataset", columns), STAMP)
    frame = pd.read_parquet(file)
    frame.to_parquet(again)
    for table in (frame, again, read_table(again)):
        assert np.array_equal(advgen.images(table, shape=(1, 8, 8)), levels)
        with pytest.raises(ValueError, match=r"'image' has lost its shape, .*; pass shape=\(channels, height, width\)"):
            advgen.images(table)
        with pytest.raises(ValueError, match=r"shape = \(1, 9, 9\): does not fit images of 64 bytes"):
            advgen.images(table, shape=(1, 9, 9))
        with pytest.raises(ValueError, match="no image column 'label'; the table has image"):
            advgen.images(table, "label")
    frame["image"] = [image.tobytes() for image in X[:5].numpy()]
    assert np.array_equal(advgen.images(frame, shape=(1, 8, 8)), X[:5].numpy())
    assert np.array_equal(advgen.images(file), levels)
    with pytest.raises(ValueError, match=r"again.parquet: .* pandas wrote it again without its kind; give .* \.npz"):
        read_custom(str(again))


WRONG_GENERATIVE_CALLS: list[tuple[str, Callable[[], Any]]] = [
    ("divide by 255, or pass uint8", lambda: advgen.invert("generator.safetensors", X[:2] * 255)),
    (r"images of shape \(0, 1, 8, 8\) are empty", lambda: advgen.invert("generator.safetensors", X[:0])),
    (
        r"^pixels are -0.699999 to .*, outside 0 to 1; undo their normalisation",
        lambda: advgen.frechet_distance(X - 1, X, reference="judge.safetensors"),
    ),
    (
        "the reference classifies 1×8×8 images, and these are 1×9×9",
        lambda: advgen.frechet_distance(torch.rand(9, 1, 9, 9), X, reference="judge.safetensors"),
    ),
    (r"mask = 'square': pass bool \(8, 8\), or", lambda: advgen.inpaint("generator.safetensors", X[:2], "square")),
    (
        "the discriminator is of type int; pass a module or the path",
        lambda: advgen.inpaint("generator.safetensors", X[:2], {"kind": "square", "size": 3}, discriminator=3),
    ),
]


@pytest.mark.parametrize(("message", "call"), WRONG_GENERATIVE_CALLS)
def test_a_wrong_call_with_a_generator_raises_one_line(
    message: str, call: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_checkpoints()
    assert_raises_one_line(message, call)


def test_uint8_arrays_and_other_layouts_are_accepted() -> None:
    levels = (X * 255).round().to(torch.uint8)
    expected = advgen.attack(Stripes(), levels, Y, "fgsm", eps=0.1)
    for images in (levels.numpy(), levels[:, 0], levels.permute(0, 2, 3, 1).numpy()):
        assert torch.equal(advgen.attack(Stripes(), images, Y.tolist(), "fgsm", eps=0.1), expected)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("seed", [0, 1])
def test_robust_accuracy_is_what_it_must_be(norm: Any, seed: int) -> None:
    """Half of the images have a gap that the radius closes, half one that it does not."""
    (near, labels), (far, _) = stripes(120, gap=0.1), stripes(120, gap=0.4)
    # L∞: the label's stripe falls by eps, another's rises by it; L2: shared by the 2 · 16 pixels of both
    eps = 0.1 if norm == "linf" else 0.1 * (2 * 16) ** 0.5
    found = advgen.evaluate(
        Stripes(), torch.cat([near, far]), torch.cat([labels, labels]), eps=eps, norm=norm, seed=seed
    )
    assert (found.clean_accuracy, found.robust_accuracy, found.n) == (1, 0.5, 240)
    assert found.interval[0] < 0.5 < found.interval[1]
    assert found.sound and set(found.checks["status"]) == {"pass"}, found.checks
    assert len(found.examples) == 240
    fooled = found.examples["predicted"] != found.examples["label"]
    assert fooled.sum() == 120
    image, adversarial = (found.examples.iloc[0][name] for name in ("image", "adversarial"))
    assert np.array_equal(image, near[0].numpy()) and not np.array_equal(image, adversarial)
    assert len(repr(found).splitlines()) <= 10 and "50.0 %" in repr(found) and "<table" in found._repr_html_()


def test_saved_tables_can_be_read(tmp_path: Path) -> None:
    found = advgen.evaluate(Stripes(), X, Y, eps=0.1)
    folder = found.save(tmp_path / "new" / "mine")
    assert {path.name for path in folder.iterdir()} == {
        *("robustness.parquet", "checks.parquet", "examples.parquet", "attacks.parquet")
    }
    images = advgen.images(folder / "examples.parquet", "adversarial")
    assert np.array_equal(images, np.stack(found.examples["adversarial"]))
    assert read_table(folder / "robustness.parquet", "robustness").num_rows >= len(found.table)
    with pytest.raises(ValueError, match="no image column 'z'; the table has image, adversarial"):
        advgen.images(folder / "examples.parquet", "z")


def test_a_transfer_has_every_pair() -> None:
    class Other(Stripes):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * torch.tensor([1.0, 1, 0.2])

    matrix = advgen.transfer([Stripes(), Other()], X, Y, "pgd", eps=0.2, steps=5)
    assert matrix.error.shape == (2, 2) and matrix.error.loc["0", "0"] == 1
    assert ((matrix.low <= matrix.error) & (matrix.error <= matrix.high)).all(axis=None)
    assert "100.0 [98.4, 100.0]" in repr(matrix)


class Returns(Stripes):
    """The stripes' logits, returned in another form."""

    def __init__(self, form: Callable[[Tensor], Any]):
        super().__init__()
        self.form = form

    def forward(self, x: Tensor) -> Any:
        return self.form(super().forward(x))


class Output(NamedTuple):
    """The output of Hugging Face and torchvision models."""

    loss: None
    logits: Tensor


class InPlace(Stripes):
    """A model that changes its input."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.relu_(x.sub_(0.1)))


class Double(Stripes):
    """A model that computes in float64, as its weight does."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        assert x.dtype == torch.float64
        return super().forward(x) @ self.weight


OUTPUT_FORMS: dict[str, Callable[[], nn.Module]] = {
    ".logits": lambda: Returns(lambda z: Output(None, z)),
    "dict": lambda: Returns(lambda z: {"loss": None, "logits": z}),
    "tuple of one": lambda: Returns(lambda z: (z,)),
    "float64": Double,
    "input changed in place": InPlace,
}


@pytest.mark.parametrize("form", OUTPUT_FORMS)
def test_models_with_other_outputs_are_attacked_alike(form: str) -> None:
    images = X.clone()
    found = advgen.attack(OUTPUT_FORMS[form](), images, Y, "pgd", eps=0.2, steps=5)
    assert found.dtype == torch.float32 and torch.equal(images, X)
    torch.testing.assert_close(found, advgen.attack(Stripes(), X, Y, "pgd", eps=0.2, steps=5))
    assert advgen.evaluate(OUTPUT_FORMS[form](), images, Y, eps=0.2).robust_accuracy == 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["module", "nested", "TorchScript file"])
def test_a_quantised_model_is_rejected_with_a_remedy(form: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    model: Any = torch.ao.quantization.quantize_dynamic(net, {nn.Linear}, dtype=torch.qint8)
    if form == "nested":
        model = nn.Sequential(nn.Identity(), model)
    if form == "TorchScript file":
        torch.jit.save(torch.jit.trace(model, X[:2]), tmp_path / "int8.pt")
        model = tmp_path / "int8.pt"
    for call in (lambda: advgen.attack(model, X, Y, "pgd"), lambda: advgen.evaluate(model, X, Y, eps=0.1)):
        with pytest.raises(ValueError, match=r"quantised \(int8\), .*; attack the float model that it was") as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_warning_counts_the_examples_that_rounding_undoes() -> None:
    with pytest.warns(UserWarning, match=r"of 240 adversarial images no longer fool .*; pass rounded=True") as caught:
        found = advgen.attack(Stripes(), X, Y, "deepfool", overshoot=1e-4)
    assert caught[0].filename == __file__
    undone = (Stripes()((255 * found).round() / 255).argmax(1) == Y).sum()
    assert str(caught[0].message).startswith(f"{undone} of 240 ") and undone > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = advgen.attack(Stripes(), X, Y, "deepfool", overshoot=1e-4, rounded=True)
        advgen.attack(Stripes(), X, Y, "fgsm", eps=0.2)
    assert (Stripes()((255 * found).round() / 255).argmax(1) != Y).all()


class Raises(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return {}["a"]  # type: ignore[no-any-return]


class Nan(Stripes):
    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x.mean((1, 2, 3), keepdim=False)[:, None] > 0.38, torch.nan, super().forward(x))


META = nn.Sequential(nn.Flatten(), nn.Linear(64, 3, device="meta"))
WRONG_ARGUMENTS: list[tuple[str, dict[str, Any]]] = [
    ("for 8 of 255 grey levels write 0.0314", {"eps": 8}),
    ("eps = 0: must be greater than 0", {"eps": 0}),
    ("eps = 9.0: no two 1×8×8 images are", {"eps": 9, "norm": "l2"}),
    ("ensemble = 'full': must be quick or", {"ensemble": "full"}),
    ("label 3 does not exist.*subtract 1 from each", {"labels": Y + 1}),
    ("label 5 does not exist; the model has", {"labels": Y + 3}),
    ("labels of float32 are no classes; give", {"labels": Y.float()}),
    (r"labels are of shape \(240, 240\); give", {"labels": torch.eye(N)}),
    ("240 images do not match labels of shape .9,.", {"labels": Y[:9]}),
    (r"images of shape \(240, 64\) cannot be", {"images": X.flatten(1)}),
    (r"images of shape \(0, 1, 8, 8\) are empty; give at least one image", {"images": X[:0], "labels": Y[:0]}),
    ("images of several sizes cannot be used; bring all to one size", {"images": [np.zeros((8, 8)), np.zeros((9, 9))]}),
    ("divide by 255, or pass uint8", {"images": X * 255}),
    (r"outside 0 to 1; undo .* \(attack and evaluate take bounds, mean and std\)", {"images": (X - 0.4) / 0.1}),
    ("outside bounds = ", {"images": 3 * X, "bounds": (-1, 1)}),
    ("bounds = '01': must be the lowest and the", {"bounds": "01"}),
    ("radii = 0.2: must be a list of numbers, ", {"radii": 0.2}),
    (r"output of type tuple; wrap .*, such as self.model\(x\)\[0\]", {"model": Returns(lambda z: (z, z))}),
    (r"dict with out, aux; wrap .* self.model\(x\)\['out'\]", {"model": Returns(lambda z: {"out": z, "aux": z})}),
    (
        r"one number per image; .*stack\(\[0 \* z.flatten\(\), z.flatten\(\)\], 1\)",
        {"model": Returns(lambda z: z[:, :1])},
    ),
    (r"one number per image; .* returns torch.stack", {"model": Returns(lambda z: z[:, 0])}),
    ("fails on 1×8×8 float32 images: KeyError: 'a'; it must return", {"model": Raises()}),
    ("NaN or infinite outputs for .* images; look for", {"model": Nan()}),
    ("without its softmax", {"model": Returns(lambda z: z.softmax(1))}),
    (r"weights are on meta, .*; pass model.to\('cpu'\)", {"model": META}),
    ("the model is of type type; pass a torch.nn.Module", {"model": Stripes}),
    ("none.pt2: no such file", {"model": "none.pt2"}),
]
WRONG_CALLS: list[tuple[str, Callable[[], Any]]] = [
    ("attack 'pdg' is unknown; did you mean 'pgd'", lambda: advgen.attack(Stripes(), X, Y, "pdg")),
    ("epsilon: unknown key; did you mean 'eps'", lambda: advgen.attack(Stripes(), X, Y, "pgd", epsilon=1)),
    ("for 8 of 255 grey levels write 0.0314", lambda: advgen.attack(Stripes(), X, Y, "pgd", eps=8)),
    ("target = 3: does not exist; .* 0 to 2", lambda: advgen.attack(Stripes(), X, Y, "fgsm", target=3)),
    ("models is of type Stripes; pass two or", lambda: advgen.transfer(Stripes(), X, Y, "fgsm")),
    ("transfer needs at least two models", lambda: advgen.transfer([Stripes()], X, Y, "fgsm")),
    ("none.safetensors: no such file", lambda: advgen.load("none.safetensors")),
    ("none.parquet: no such file", lambda: advgen.images("none.parquet")),
    ("n = 2.5: must be a whole number, at least 1", lambda: advgen.sample("none.safetensors", 2.5)),
    ("the generator is of type Stripes; pass a generator of", lambda: advgen.sample(Stripes(), 3)),
    ("the reference is of type Stripes; pass a", lambda: advgen.frechet_distance(X, X, reference=Stripes())),
]


@pytest.mark.parametrize(("message", "arguments"), WRONG_ARGUMENTS)
def test_evaluate_explains_a_wrong_argument_in_one_line(message: str, arguments: dict[str, Any]) -> None:
    assert_raises_one_line(
        message, lambda: advgen.evaluate(**{"model": Stripes(), "images": X, "labels": Y, "eps": 0.1, **arguments})
    )


@pytest.mark.parametrize(("message", "call"), WRONG_CALLS)
def test_a_wrong_call_raises_one_line(message: str, call: Callable[[], Any]) -> None:
    assert_raises_one_line(message, call)


def assert_raises_one_line(message: str, call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_deprecated_names_warn_and_still_work() -> None:
    evaluation = advgen.evaluate(Stripes(), X[:40], Y[:40], eps=0.1)
    names = {"facts": "attack_table", "shown": "example_table", "tested": "check_table", "inside": "worst_case_attacks"}
    for old, new in names.items():
        with pytest.warns(DeprecationWarning, match=f"Evaluation.{old} is deprecated .*; use {new}"):
            assert getattr(evaluation, old) is getattr(evaluation, new) or old == "inside"
    matrix = advgen.transfer([Stripes(), Stripes()], X, Y, "fgsm")
    with pytest.warns(DeprecationWarning, match="Transfer.shown is deprecated .*; use format"):
        assert matrix.shown().equals(matrix.format())
