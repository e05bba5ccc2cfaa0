"""Soundness of evaluations: unsound ones are detected with the right reason, sound ones pass all checks."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from tests.conftest import raw
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import advgen
from advgen.api.result import CAUSES
from advgen.data import idx

TRAINED, TESTED = 4000, 300


@cache
def mnist() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Real digits: training images and labels, test images and labels."""
    folder = raw("mnist")
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    (images, labels), (test, test_labels) = idx.read([folder / name for name in names])
    sides = (images[:TRAINED], labels[:TRAINED], test[:TESTED], test_labels[:TESTED])
    x, y, tested, answers = (torch.from_numpy(side.copy()) for side in sides)
    return x.float() / 255, y.long(), tested.float() / 255, answers.long()


def fit(net: nn.Module, x: Tensor, y: Tensor, eps: float = 0.0, epochs: int = 4, steps: int = 4) -> nn.Module:
    """A trained net; with `eps`, on examples of PGD, or with one step of FGSM."""
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(100):
            batch = x[rows]
            if eps:
                start = 2 * torch.rand_like(batch) - 1 if steps > 1 else torch.zeros_like(batch)
                delta = (eps * start).requires_grad_()
                for _ in range(steps):
                    (slope,) = torch.autograd.grad(cross_entropy(net(batch + delta), y[rows]), delta)
                    size = 0.4 * eps if steps > 1 else eps
                    delta = (delta + size * slope.sign()).clamp(-eps, eps).detach().requires_grad_()
                batch = (batch + delta.detach()).clamp(0, 1)
            optimizer.zero_grad()
            cross_entropy(net(batch), y[rows]).backward()
            optimizer.step()
    return net.eval()


def layers(channels: int = 1, classes: int = 10) -> nn.Module:
    torch.manual_seed(0)
    first = nn.Conv2d(channels, 8, 5, stride=2)
    second = nn.Conv2d(8, 16, 5, stride=2)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(256, classes))


@cache
def plain() -> nn.Module:
    """A small convolutional net."""
    return fit(layers(), *mnist()[:2])


class Around(nn.Module):
    """The plain network with functions before and after it."""

    def __init__(self, before: Callable[[Tensor], Tensor] = lambda x: x, after: Callable[..., Any] = lambda z: z):
        super().__init__()
        self.net, self.before, self.after = plain(), before, after

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.after(self.net(self.before(x)))
        return logits


class Backwards(torch.autograd.Function):
    """The identity, with a gradient of the wrong sign."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return -gradient


class InBatch(nn.Module):
    """A batch norm in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.net = plain()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(nn.functional.batch_norm(x, None, None, training=True) * 0.3 + 0.13)


def evaluate(model: nn.Module, *, n: int = TESTED, images: Any = None, labels: Any = None, **keys: Any) -> Any:
    """Evaluate on the first `n` test images; `images` and `labels` are functions that change them."""
    _, _, x, y = mnist()
    x, y = images(x[:n]) if images else x[:n], labels(y[:n]) if labels else y[:n]
    return advgen.evaluate(model, x, y, **{"eps": 0.1, **keys})


Case = tuple[Callable[[], nn.Module], dict[str, Any], str]
STABLE, GRADIENTS = "two passes give the same logits", "input gradients are not zero"
CHANCE = "the net is better than chance"
SQUARE = "a gradient attack leaves no more right than Square"
UNSOUND: dict[str, Case] = {
    "noise at every pass": (lambda: Around(lambda x: x + 0.1 * torch.randn_like(x)), {}, STABLE),
    "active dropout": (lambda: Around(lambda x: nn.functional.dropout(x, 0.3, training=True)), {}, STABLE),
    "batch norm in training mode": (InBatch, {}, STABLE),
    "threshold": (lambda: Around(lambda x: (x > 0.5).float()), {}, GRADIENTS),
    "rounded pixels": (lambda: Around(lambda x: (x * 7).round() / 7), {}, GRADIENTS),
    "detached": (lambda: Around(after=lambda z: z.detach()), {}, GRADIENTS),
    "saturated": (lambda: Around(after=lambda z: (100 * z).tanh()), {}, GRADIENTS),
    "saturated, few images": (lambda: Around(after=lambda z: (100 * z).tanh()), {"n": 8}, GRADIENTS),
    "sigmoid outputs": (lambda: Around(after=torch.sigmoid), {}, "outputs are logits"),
    "divided by 255 in the model": (lambda: Around(lambda x: x / 255), {}, CHANCE),
    "gradients with the wrong sign": (lambda: Around(Backwards.apply), {}, SQUARE),
    "one class": (lambda: Around(after=lambda z: z + 1000 * torch.eye(10)[3]), {}, CHANCE),
    "shuffled labels": (plain, {"labels": lambda y: y.roll(1)}, CHANCE),
    "divided by 255 twice": (plain, {"images": lambda x: x / 255}, "pixels fill their range"),
}
WARNED: dict[str, Case] = {
    "a radius divided by 255 twice": (plain, {"eps": 8 / 255 / 255}, "the radius is a grey level"),
    "one image for all": (plain, {"images": lambda x: x[:1].expand_as(x)}, "images differ"),
}
"""Suspicious evaluations that may be intended."""


@pytest.mark.parametrize("name", [*UNSOUND, *WARNED])
def test_an_unsound_evaluation_is_detected_with_its_reason(name: str) -> None:
    make, settings, check = {**UNSOUND, **WARNED}[name]
    found = evaluate(make(), **settings)
    suspicious = found.checks[found.checks["status"] != "pass"]
    assert suspicious["name"].str.startswith(check).any(), suspicious
    assert check in repr(found) or len(suspicious) > 5
    if name in WARNED:
        return
    assert (found.verdict, found.sound) == ("unsound", False)
    assert repr(found).startswith(f'Unsound evaluation: "{found.reason.split(chr(34))[1]}" fails: ')
    if check in CAUSES:
        assert found.reason.startswith(f'"{check}" fails: ')


def colour() -> Any:
    """Digits in three channels, in the range from -1 to 1."""
    x, y, tested, answers = mnist()
    shades = torch.tensor([1.0, 0.8, 0.6])[:, None, None]
    wide = [2 * side * shades - 1 for side in (x, tested)]
    net = fit(layers(3), wide[0], y)
    return advgen.evaluate(net, wide[1], answers, eps=0.1, bounds=(-1, 1))


def standardised() -> Any:
    x, y, tested, answers = mnist()
    net = fit(layers(), (x - 0.13) / 0.31, y)
    return advgen.evaluate(net, tested, answers, eps=0.1, mean=0.13, std=0.31)


def two_classes() -> Any:
    x, y, tested, answers = mnist()
    net = fit(layers(classes=2), x, y % 2)
    return advgen.evaluate(net, tested, answers % 2, eps=0.05)


def linear() -> Any:
    return evaluate(fit(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), *mnist()[:2]), eps=0.05)


def connected() -> Any:
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.Sigmoid(), nn.Dropout(), nn.Linear(100, 10))
    return evaluate(fit(net, *mnist()[:2]))


def defended() -> Any:
    return evaluate(fit(layers(), *mnist()[:2], eps=0.1, epochs=3))


SOUND: dict[str, Callable[[], Any]] = {
    "a plain net": lambda: evaluate(plain()),
    "in L2": lambda: evaluate(plain(), eps=1.5, norm="l2"),
    "a small radius": lambda: evaluate(plain(), eps=2 / 255),
    "a large radius": lambda: evaluate(plain(), eps=0.3),
    "few images": lambda: evaluate(plain(), n=40),
    "several radii": lambda: evaluate(plain(), radii=(0.05, 0.2)),
    "grey levels": lambda: evaluate(plain(), images=lambda x: (x * 255).to(torch.uint8)),
    "another scale of the logits": lambda: evaluate(Around(after=lambda z: 0.1 * z + 5)),
    "softmax regression": linear,
    "fully connected, with dropout": connected,
    "trained on examples of PGD": defended,
    "two classes": two_classes,
    "colour": colour,
    "standardised": standardised,
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_evaluation_passes_all_checks(name: str) -> None:
    found = SOUND[name]()
    others = found.checks[found.checks["status"] != "pass"]
    assert others.empty, others.to_string()
    assert (found.verdict, found.sound) == ("sound", True)
    assert repr(found).startswith("Sound evaluation: no check fails")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_weak_fgsm_is_only_a_warning_for_a_model_trained_on_fgsm(seed: int) -> None:
    """The worst case counts: FGSM may be weaker than noise, which is a warning."""
    x, y, *_ = mnist()
    found = evaluate(fit(layers(), x, y, eps=0.2, epochs=3, steps=1), eps=0.2, seed=seed)
    assert found.verdict == "sound", found.checks.to_string()
    others = found.checks[found.checks["status"] == "warn"]
    assert set(others["name"]) <= {"an attack leaves no more right than noise", "PGD leaves no more right than FGSM"}


def test_large_logits_pass_if_the_ensemble_is_strong() -> None:
    """Their cross-entropy saturates, and PGD with it; margins do not."""
    found = evaluate(Around(after=lambda z: 1000 * z))
    others = found.checks.set_index("name")["status"]
    assert others["input gradients are not zero"] == "pass"


@pytest.mark.parametrize("n", [1, 29])
def test_few_images_are_insufficient(n: int) -> None:
    found = evaluate(plain(), n=n)
    assert (found.verdict, found.sound) == ("insufficient", False), found.checks.to_string()
    words = "1 image" if n == 1 else "29 images"
    assert repr(found).startswith(f"Insufficient evaluation: {words}, at least 30 are needed\n")


def test_images_of_one_class_are_insufficient() -> None:
    _, _, x, y = mnist()
    found = advgen.evaluate(plain(), x[y == 1], y[y == 1], eps=0.1)
    assert (found.verdict, found.reason) == ("insufficient", "all images are of one class, at least 2 are needed")
