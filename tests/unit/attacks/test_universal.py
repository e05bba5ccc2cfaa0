"""The universal perturbation against itself in plain loops, and on a network whose answer is known.

Neither foolbox nor torchattacks has one, so the known answer stands in for a peer.
"""

import math

import pytest
import torch

from advgen import seeds
from advgen.attacks.run import craft
from advgen.attacks.universal import universal
from advgen.specs.attacks import UniversalAttack


class Contrast(torch.nn.Module):
    """Class 1 where the left pixels are brighter than the right ones, class 0 else."""

    def forward(self, x_BCHW):
        left_B, right_B = x_BCHW[..., :1].flatten(1).sum(1), x_BCHW[..., 1:].flatten(1).sum(1)
        return torch.stack([right_B - left_B, left_B - right_B], dim=1)


def grey(n):
    """Images of class 0: grey, a little darker on the left."""
    x = torch.full((n, 1, 2, 2), 0.5, dtype=torch.float64)
    x[..., :1] -= 0.05
    return x, torch.zeros(n, dtype=torch.long)


def test_the_change_is_the_same_for_all_and_known_for_a_linear_network():
    """The left up and the right down, at the border of the ball: in L2 all four pixels by half of eps."""
    for norm, eps, change in (("linf", 0.1, 0.1), ("l2", 0.16, 0.08)):
        spec = UniversalAttack(kind="universal", norm=norm, eps=eps, epochs=15)
        add = universal(Contrast(), *grey(5), spec, seed=0)
        x, y = grey(3)
        x[0] += 0.3
        found = add(Contrast(), x, y, spec, seed=0, indices=[1, 2, 3])
        expected = torch.tensor([change, -change], dtype=torch.float64).expand(3, 1, 2, 2)
        torch.testing.assert_close(found - x, expected, atol=1e-9, rtol=0)
        assert (Contrast()(found).argmax(1) == 1).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_it_is_the_ascent_on_minibatches(model, x, y, norm):
    spec = UniversalAttack(kind="universal", norm=norm, eps=0.2, epochs=4, batch=4, step_size=0.03, clip=2.0)
    order = seeds.generator(3, "universal order")
    delta = torch.zeros_like(x[0])
    for _ in range(4):
        rows = torch.randperm(len(x), generator=order)
        for few in (rows[:4], rows[4:]):
            gradient = torch.zeros_like(delta)
            for row in few.tolist():
                image = (x[row] + delta).clamp(0, 1).requires_grad_()
                loss = torch.nn.functional.cross_entropy(model(image[None]), y[[row]])
                if loss < 2:
                    gradient += torch.autograd.grad(loss, image)[0]
            if norm == "linf":
                delta = (delta + 0.03 * gradient.sign()).clamp(-0.2, 0.2)
            else:
                delta = delta + 0.03 * gradient / gradient.norm()
                delta = delta * min(1, 0.2 / delta.norm().item())
    found = universal(model, x, y, spec, seed=3)(model, x, y, spec, seed=3, indices=[0])
    torch.testing.assert_close(found, (x + delta).clamp(0, 1), atol=1e-9, rtol=0)


def test_it_is_learnt_once_and_from_other_images_if_there_are(model, x, y):
    spec = UniversalAttack(kind="universal", eps=0.1, epochs=2, batch=4)
    model, x = model.float(), x.float()
    given = {"seed": 0, "indices": list(range(6))}
    of_others = craft(universal, model, x[:4], y[:4], spec, seed=0, indices=[0, 1, 2, 3], others=(x[4:], y[4:]))
    add = universal(model, x[4:], y[4:], spec, seed=0)
    assert torch.equal(torch.from_numpy(of_others.attack.x_adv), add(model, x[:4], y[:4], spec, seed=0, indices=[0]))
    assert of_others.attack.gradient_calls == 2 * 2 / 4
    own = craft(universal, model, x, y, spec, batch=2, **given)
    add = universal(model, x, y, spec, seed=0)
    assert torch.equal(torch.from_numpy(own.attack.x_adv), add(model, x, y, spec, **given))
    assert own.attack.gradient_calls == 2
    assert spec.threat().steps == 2 * math.ceil(500 / 4)
