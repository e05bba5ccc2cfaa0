"""Momentum iterative FGSM (dong2018boosting): `plugins: [momentum.py]` in a study, or `pip install .` here."""

from functools import partial
from typing import Literal

from pydantic import Field

from advgen.registry import register
from advgen.specs.attacks import AttackSpec, Threat
from advgen.specs.base import Count, NonNegative, Size


class MomentumAttack(AttackSpec):
    """Signed steps along the momentum of the gradient (Dong et al. 2018)."""

    kind: Literal["momentum"] = Field(description="momentum iterative FGSM")
    eps: Size = Field(0.3, description="largest change of a pixel, on the [0, 1] scale")
    steps: Count = Field(10, description="gradient steps, each of eps / steps")
    decay: NonNegative = Field(1.0, description="factor of the previous momentum in each step")

    def threat(self):
        return Threat("linf", self.eps, self.steps, "white-box", step_size=self.eps / self.steps, loss="cross_entropy")


def momentum(model, x_BCHW, y_B, spec, *, seed, indices):
    """Return images after steps along the sign of the momentum, within the L∞ ball of radius eps."""
    import torch  # imported here, because planning a study must not import torch

    from advgen.attacks.common import Goal, frozen, input_gradient, project

    loss, x_adv, velocity = partial(Goal(y_B).loss, "cross_entropy"), x_BCHW, torch.zeros_like(x_BCHW)
    with frozen(model), torch.no_grad():
        for _ in range(spec.steps):
            gradient, _ = input_gradient(model, x_adv, loss)
            velocity = spec.decay * velocity + gradient / gradient.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-30)
            x_adv = project(x_adv + spec.eps / spec.steps * velocity.sign(), x_BCHW, "linf", spec.eps)
    return x_adv


register(MomentumAttack, momentum)
