"""GAN objectives: closed forms of value and gradient, and stability at large logits."""

import math

import pytest
import torch

from advgen.training.losses import discriminator_loss, generator_loss

NAMES = ("non_saturating", "cross_entropy", "mse", "wasserstein")
LOGITS = [-3.0, -0.5, 0.0, 0.7, 4.0]


def d(logit):
    """D's probability of real."""
    return 1 / (1 + math.exp(-logit))


GENERATOR = {
    "non_saturating": (lambda x: -math.log(d(x)), lambda x: d(x) - 1),
    "cross_entropy": (lambda x: math.log(1 - d(x)), lambda x: -d(x)),
    "mse": (lambda x: (d(x) - 1) ** 2, lambda x: 2 * (d(x) - 1) * d(x) * (1 - d(x))),
    "wasserstein": (lambda x: -x, lambda x: -1),
}
REAL = {
    "cross_entropy": (lambda x, t: -t * math.log(d(x)) - (1 - t) * math.log(1 - d(x)), lambda x, t: d(x) - t),
    "mse": (lambda x, t: (d(x) - t) ** 2, lambda x, t: 2 * (d(x) - t) * d(x) * (1 - d(x))),
    "wasserstein": (lambda x, t: x if t == 0 else -x, lambda x, t: 1 if t == 0 else -1),
}
REAL["non_saturating"] = REAL["cross_entropy"]


@pytest.mark.parametrize("name", NAMES)
def test_generator_loss_is_the_closed_form(name):
    logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    value, slope = GENERATOR[name]
    loss = generator_loss(name, logits)
    loss.backward()
    torch.testing.assert_close(loss.item(), sum(map(value, LOGITS)) / 5)
    torch.testing.assert_close(logits.grad.tolist(), [slope(logit) / 5 for logit in LOGITS])


@pytest.mark.parametrize("target", [1.0, 0.9])
@pytest.mark.parametrize("name", NAMES)
def test_discriminator_loss_is_the_closed_form(name, target):
    real = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    fake = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    value, slope = REAL[name]
    loss = discriminator_loss(name, real, fake, target)
    loss.backward()
    expected = sum(value(logit, target) for logit in LOGITS) / 5 + sum(value(logit, 0) for logit in (1.0, -2.0)) / 2
    torch.testing.assert_close(loss.item(), expected)
    torch.testing.assert_close(real.grad.tolist(), [slope(logit, target) / 5 for logit in LOGITS])
    torch.testing.assert_close(fake.grad.tolist(), [slope(logit, 0) / 2 for logit in (1.0, -2.0)])


@pytest.mark.parametrize("name", NAMES)
def test_large_logits_stay_finite(name):
    logits = torch.tensor([-1e4, -100.0, 100.0, 1e4], requires_grad=True)
    loss = generator_loss(name, logits) + discriminator_loss(name, logits, logits, 0.9)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_only_losses_without_saturation_learn_from_a_sure_discriminator():
    gradients = {}
    for name in NAMES:
        logit = torch.tensor([-12.0], requires_grad=True)
        generator_loss(name, logit).backward()
        gradients[name] = logit.grad.abs().item()
    assert gradients["non_saturating"] == pytest.approx(1, abs=1e-4)
    assert gradients["wasserstein"] == 1
    assert gradients["cross_entropy"] < 1e-5
    assert gradients["mse"] < 2e-5


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="hinge"):
        generator_loss("hinge", torch.zeros(1))
    with pytest.raises(ValueError, match="hinge"):
        discriminator_loss("hinge", torch.zeros(1), torch.zeros(1))
