"""The contract for custom models: every attack supports the model or raises one line, and leaves it unchanged."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.entries import one_of
from torch import Tensor, nn

import advgen
from advgen import registry
from advgen.attacks.run import craft
from advgen.io.checkpoints import build
from advgen.specs.attacks import FgsmAttack
from advgen.specs.networks import ConvNetwork

KINDS = registry.kinds("attacks")
N, CLASSES, SIDE = 8, 5, 12
INDICES = [100 + 7 * row for row in range(N)]


def network() -> nn.Module:
    """A network whose batch norm and dropout reveal a wrong mode, with a gradient from before."""
    torch.manual_seed(0)
    spec = ConvNetwork(kind="conv", channels=(4, 4), kernel=3, padding=1, batch_norm=True, dropout=0.5)
    model = build("networks", spec.fit((1, SIDE, SIDE)), CLASSES).eval()
    with torch.no_grad():
        model.head.weight.mul_(5)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    model.head.bias.requires_grad_(False)
    return model


class NoParameters(nn.Module):
    """Logits are the means of five stripes of pixels."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return 20 * torch.stack([part.mean((1, 2)) for part in x_BCHW[:, 0].tensor_split(CLASSES, dim=1)], dim=1)


class Twice(nn.Module):
    """A convolution that is used twice, under two names."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(1, 1, 3, padding=1)
        self.second = self.first
        self.rest = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, CLASSES))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        logits_BK: Tensor = self.rest(self.second(self.first(x_BCHW).relu()).relu())
        return 5 * logits_BK


def hooked() -> nn.Module:
    """A network with hooks of all kinds; those on the convolution change its input and output."""
    model = network()
    model.body[0].register_forward_pre_hook(lambda layer, inputs: (inputs[0] * 2,))
    model.body[0].register_forward_hook(lambda layer, inputs, output: output + 0.1)
    model.body[0].register_full_backward_hook(lambda layer, inward, outward: None)
    model.register_forward_hook(lambda module, inputs, logits: 2 * logits)
    return model


class AsHooked(nn.Module):
    """A module without hooks that computes the same as `hooked`."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        first, *rest = self.net.body
        logits_BK: Tensor = self.net.head(nn.Sequential(*rest)(first(2 * x_BCHW) + 0.1))
        return 2 * logits_BK


def mixed_modes() -> nn.Module:
    """A network in training mode, with one layer in eval mode."""
    model = network().train()
    model.body[0].eval()
    return model


def compiled_in_place() -> nn.Module:
    model = network()
    model.compile(backend="eager")
    return model


def example() -> Tensor:
    """Images with some pixels at 0, some at 1 and some between."""
    return (torch.rand(N, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 1.6 - 0.3).clamp(0, 1)


X, Y = example(), torch.arange(N) % CLASSES
MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "compiled": (lambda: torch.compile(network(), backend="eager"), network),
    "compiled inside": (lambda: nn.Sequential(torch.compile(network(), backend="eager"), nn.Identity()), network),
    "compiled in place": (compiled_in_place, network),
    "traced": (lambda: torch.jit.trace(network(), example()), network),
    "data parallel": (lambda: nn.DataParallel(network()), network),
    "without parameters": (NoParameters, NoParameters),
    "in training": (mixed_modes, network),
    "with hooks": (hooked, AsHooked),
    "with a layer twice": (Twice, Twice),
    "frozen": (lambda: network().requires_grad_(False), network),
}
"""A model, and a plain model that computes the same."""


def state(model: nn.Module) -> dict[str, Any]:
    """Everything about a model that an attack could change, and the global random state, for comparison with `==`."""
    kinds = ("_forward_pre_hooks", "_forward_hooks", "_backward_hooks", "_backward_pre_hooks")
    modules, parameters = list(model.modules()), list(model.parameters())
    return {
        "modules": [id(module) for module in modules],
        "parts": [list(module._modules.items()) for module in modules],
        "modes": [module.training for module in modules],
        "hooks": [[list(getattr(module, kind, {}).items()) for kind in kinds] for module in modules],
        "attributes": [sorted(vars(module)) for module in modules],
        "parameters": [(id(one), one.data_ptr(), one.requires_grad) for one in parameters],
        "values": {name: value.tolist() for name, value in model.state_dict().items()},
        "gradients": [None if one.grad is None else one.grad.tolist() for one in parameters],
        "random": torch.get_rng_state().tolist(),
    }


def crafted(kind: str, model: nn.Module, labels: Tensor = Y) -> Tensor:
    spec = registry.parse("attacks", one_of(kind))
    facts = craft(registry.resolve(spec), model, X, labels, spec, seed=0, indices=INDICES)
    return torch.from_numpy(facts.attack.x_adv)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning", "ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("way", MODELS)
def test_every_attack_works_and_leaves_the_model_unchanged(way: str) -> None:
    make, plain = MODELS[way]
    model = make()
    before, logits = state(model), plain()(X).detach()
    changed = set()
    for kind in KINDS:
        x_adv, expected = (crafted(kind, one, logits.argmax(1)) for one in (model, plain()))
        torch.testing.assert_close(x_adv, expected, msg=lambda text, kind=kind: f"{kind}: {text}")
        assert state(model) == before
        changed |= set() if torch.equal(x_adv, X) else {kind}
    assert changed >= {"fgsm", "pgd", "square", "deepfool", "gaussian_noise"}
    torch.testing.assert_close(model.eval()(X), logits)


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a compiler")
def test_a_compiled_model_is_attacked() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, CLASSES))
    model = torch.compile(plain)
    before = state(model)
    torch.testing.assert_close(crafted("fgsm", model), crafted("fgsm", plain))
    assert state(model) == before


class Outputs(nn.Module):
    """A network with changed outputs."""

    def __init__(self, change: Callable[[Tensor], Any]):
        super().__init__()
        self.net, self.change = network(), change

    def forward(self, x_BCHW: Tensor) -> Any:
        return self.change(self.net(x_BCHW))


WRONG_MODELS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "half precision": (lambda: network().half(), r"float16 weights are too coarse .*; attack model.float\(\)"),
    "bfloat16": (lambda: network().bfloat16(), r"bfloat16 weights are too coarse .*; attack model.float\(\)"),
    "half outputs": (lambda: Outputs(Tensor.half), "float16 outputs are too coarse .*; return float32"),
    "probabilities": (lambda: Outputs(lambda z: z.softmax(1)), "outputs are probabilities.*without its softmax"),
    "one output": (
        lambda: Outputs(lambda z: z[:, :1]),
        r"returns shape \(8, 1\) for 1×12×12 float32 images; .* logits",
    ),
    "flat outputs": (lambda: Outputs(lambda z: z[:, 0]), "the model fails on 1×12×12 float32 images: "),
    "maps": (
        lambda: Outputs(lambda z: z[:, :, None]),
        r"returns shape \(8, 5, 1\) for 1×12×12 float32 images; .* logits",
    ),
    "several outputs": (lambda: Outputs(lambda z: (z, z)), "the model fails on 1×12×12 float32 images: "),
    "another size": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(28**2, 5)),
        "the model fails on 1×12×12 float32 images",
    ),
    "another channel": (lambda: nn.Sequential(nn.Conv2d(3, 5, 12), nn.Flatten()), "fails on 1×12×12 float32 images"),
    "double": (lambda: network().double(), "the model fails on 1×12×12 float32 images: "),
}


@pytest.mark.parametrize("way", WRONG_MODELS)
def test_an_unsuitable_model_raises_one_line(way: str) -> None:
    make, message = WRONG_MODELS[way]
    model = make()
    before = state(model)
    with pytest.raises(ValueError, match=message) as caught:
        crafted("fgsm", model)
    assert "\n" not in str(caught.value)
    assert state(model) == before


WRONG: dict[str, tuple[tuple[Tensor, Tensor, list[int]], str]] = {
    "grey levels as floats": ((X * 255, Y, INDICES), "float32 pixels are 0 to 255, .*; divide by 255, or pass"),
    "standardised": (
        ((X - 0.13) / 0.31, Y, INDICES),
        "float32 pixels are -0.4.* to 2.8.*; move the normalisation",
    ),
    "infinite": ((X / 0 * X, Y, INDICES), "images contain NaN or infinite pixels"),
    "grey levels as integers": ((X.long(), Y, INDICES), "int64 images cannot be attacked; pass uint8, or floats"),
    "flat": ((X.flatten(1), Y, INDICES), r"images of shape \(8, 144\) cannot be attacked; pass \(images, channels"),
    "none": ((X[:0], Y[:0], []), r"images of shape \(0, 1, 12, 12\) cannot be attacked"),
    "too few labels": ((X, Y[:3], INDICES), r"8 images do not match labels of shape \(3,\) and 8 indices"),
    "scores for labels": ((X, torch.eye(8), INDICES), r"8 images do not match labels of shape \(8, 8\) and 8 indices"),
    "too few indices": ((X, Y, INDICES[:3]), r"8 images do not match labels of shape \(8,\) and 3 indices"),
    "labels as floats": ((X, Y.float(), INDICES), "float32 labels are not supported; pass integers"),
    "labels from one": ((X, Y + 1, INDICES), "label 5 does not exist; the model has classes 0 to 4"),
    "no label": ((X, Y - 1, INDICES), "label -1 does not exist; the model has classes 0 to 4"),
}


@pytest.mark.parametrize("way", WRONG)
def test_wrong_images_and_labels_raise_one_line(way: str) -> None:
    (images, labels, indices), message = WRONG[way]
    spec = FgsmAttack(kind="fgsm", eps=0.1)
    with pytest.raises(ValueError, match=message) as caught:
        craft(registry.resolve(spec), network(), images, labels, spec, seed=0, indices=indices)
    assert "\n" not in str(caught.value)


def test_uint8_float32_and_float64_images_are_accepted() -> None:
    spec = FgsmAttack(kind="fgsm", eps=0.1)
    levels = (X * 255).to(torch.uint8)
    for images, model in ((levels, network()), (levels / 255, network()), (levels.double() / 255, network().double())):
        facts = craft(registry.resolve(spec), model, images, Y, spec, seed=0, indices=INDICES)
        assert facts.measurements.linf.max() == pytest.approx(0.1)


@pytest.mark.parametrize("kind", sorted(kind for kind, spec in KINDS.items() if "eps" in spec.model_fields))
@pytest.mark.parametrize("eps", [0, -0.1, 1.5, float("nan")])
def test_a_radius_of_zero_or_larger_than_the_box_raises_one_line(kind: str, eps: float) -> None:
    with pytest.raises(ValueError, match="eps") as caught:
        advgen.attack(NoParameters(), X, Y, kind, eps=eps)
    assert "\n" not in str(caught.value)
