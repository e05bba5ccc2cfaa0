"""Evaluations of given models: unsound ones are caught with the right reason, sound ones raise no alarm."""

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
    (images, labels), (test, told) = idx.read([folder / name for name in names])
    sides = (images[:TRAINED], labels[:TRAINED], test[:TESTED], told[:TESTED])
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
    """The plain net with something before and after it."""

    def __init__(self, before: Callable[[Tensor], Tensor] = lambda x: x, after: Callable[..., Any] = lambda z: z):
        super().__init__()
        self.net, self.before, self.after = plain(), before, after

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.after(self.net(self.before(x)))
        return logits


class Backwards(torch.autograd.Function):
    """The image as it is; its gradient points the wrong way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return -gradient


class InBatch(nn.Module):
    """A batch norm that was left in training mode, as in a functional call."""

    def forward(self, x: Tensor) -> Tensor:
        return plain()(nn.functional.batch_norm(x, None, None, training=True) * 0.3 + 0.13)


def evaluate(model: nn.Module, **keys: Any) -> Any:
    _, _, x, y = mnist()
    return advgen.evaluate(model, **{"images": x, "labels": y, "eps": 0.1, **keys})


UNSOUND: dict[str, tuple[Callable[[], Any], str]] = {
    "noise at every pass": (
        lambda: evaluate(Around(lambda x: x + 0.1 * torch.randn_like(x))),
        "two passes give the same logits",
    ),
    "dropout that stays": (
        lambda: evaluate(Around(lambda x: nn.functional.dropout(x, 0.3, training=True))),
        "two passes give the same logits",
    ),
    "norms over the batch": (lambda: evaluate(InBatch()), "two passes give the same logits"),
    "a threshold": (lambda: evaluate(Around(lambda x: (x > 0.5).float())), "input gradients are not zero"),
    "rounded pixels": (lambda: evaluate(Around(lambda x: (x * 7).round() / 7)), "input gradients are not zero"),
    "detached": (lambda: evaluate(Around(after=lambda z: z.detach())), "input gradients are not zero"),
    "saturated": (lambda: evaluate(Around(after=lambda z: (100 * z).tanh())), "input gradients are not zero"),
    "saturated, few images": (
        lambda: evaluate(Around(after=lambda z: (100 * z).tanh()), images=mnist()[2][:8], labels=mnist()[3][:8]),
        "input gradients are not zero",
    ),
    "outputs of a sigmoid": (lambda: evaluate(Around(after=torch.sigmoid)), "outputs are logits"),
    "divided by 255 twice inside the model": (
        lambda: evaluate(Around(lambda x: x / 255)),
        "the net is better than chance",
    ),
    "gradients the wrong way": (
        lambda: evaluate(Around(Backwards.apply)),
        "a gradient attack leaves no more right than Square",
    ),
    "one class": (
        lambda: evaluate(Around(after=lambda z: z + 1000 * torch.eye(10)[3])),
        "the net is better than chance",
    ),
    "shuffled labels": (lambda: evaluate(plain(), labels=mnist()[3].roll(1)), "the net is better than chance"),
    "divided by 255 twice": (lambda: evaluate(plain(), images=mnist()[2] / 255), "pixels fill their range"),
    "a radius divided by 255 twice": (lambda: evaluate(plain(), eps=8 / 255 / 255), "the radius is a grey level"),
    "one image for all": (lambda: evaluate(plain(), images=mnist()[2][:1].expand(TESTED, 1, 28, 28)), "images differ"),
}
ONLY_WARNED = ("a radius divided by 255 twice", "one image for all")
"""What deserves a look and may be meant."""
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "probabilities": (lambda: evaluate(Around(after=lambda z: z.softmax(1))), "without its softmax"),
    "no numbers": (
        lambda: evaluate(Around(after=lambda z: z / (z.argmax(1, keepdim=True) != 3))),
        "NaN or infinite outputs",
    ),
    "labels from 1": (lambda: evaluate(plain(), labels=mnist()[3] + 1), "subtract 1 from each label"),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_an_unsound_evaluation_is_caught_with_its_reason(name: str) -> None:
    make, check = UNSOUND[name]
    found = make()
    told = found.checks[found.checks["status"] != "pass"]
    assert told["name"].str.startswith(check).any(), told
    assert check in repr(found) or len(told) > 5
    if name in ONLY_WARNED:
        return
    assert (found.verdict, found.sound) == ("unsound", False)
    assert repr(found).startswith(f'Unsound evaluation: "{found.reason.split(chr(34))[1]}" fails: ')
    if check in CAUSES:
        assert found.reason.startswith(f'"{check}" fails: ')


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_evaluated_is_refused(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        make()


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
    "few images": lambda: evaluate(plain(), images=mnist()[2][:40], labels=mnist()[3][:40]),
    "several radii": lambda: evaluate(plain(), radii=(0.05, 0.2)),
    "grey levels": lambda: evaluate(plain(), images=(mnist()[2] * 255).to(torch.uint8)),
    "another scale of the logits": lambda: evaluate(Around(after=lambda z: 0.1 * z + 5)),
    "softmax regression": linear,
    "fully connected, with dropout": connected,
    "trained on examples of PGD": defended,
    "two classes": two_classes,
    "colour": colour,
    "standardised": standardised,
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_evaluation_raises_no_alarm(name: str) -> None:
    found = SOUND[name]()
    told = found.checks[found.checks["status"] != "pass"]
    assert told.empty, told.to_string()
    assert (found.verdict, found.sound) == ("sound", True)
    assert repr(found).startswith("Sound evaluation: no check fails")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_model_trained_on_fgsm_is_evaluated_soundly_though_fgsm_is_weak(seed: int) -> None:
    """The worst case counts: FGSM may be weaker than noise, which is a warning."""
    x, y, *_ = mnist()
    found = evaluate(fit(layers(), x, y, eps=0.2, epochs=3, steps=1), eps=0.2, seed=seed)
    assert found.verdict == "sound", found.checks.to_string()
    told = found.checks[found.checks["status"] == "warn"]
    assert set(told["name"]) <= {"an attack leaves no more right than noise", "PGD leaves no more right than FGSM"}


def test_large_logits_are_no_false_alarm_where_the_ensemble_is_strong() -> None:
    """Their cross-entropy saturates, and PGD with it; margins do not."""
    found = evaluate(Around(after=lambda z: 1000 * z))
    told = found.checks.set_index("name")["status"]
    assert told["input gradients are not zero"] == "pass"


@pytest.mark.parametrize("n", [1, 29])
def test_few_images_are_insufficient(n: int) -> None:
    _, _, x, y = mnist()
    found = evaluate(plain(), images=x[:n], labels=y[:n])
    assert (found.verdict, found.sound) == ("insufficient", False), found.checks.to_string()
    words = "1 image" if n == 1 else "29 images"
    assert repr(found).startswith(f"Insufficient evaluation: {words}, at least 30 are needed\n")


def test_images_of_one_class_are_insufficient() -> None:
    _, _, x, y = mnist()
    ones = y == 1
    found = evaluate(plain(), images=x[ones], labels=y[ones])
    assert (found.verdict, found.reason) == ("insufficient", "all images are of one class, at least 2 are needed")
