"""Single-step adversarial training with random starts."""

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from advgen.attacks.common import Goal, frozen, input_gradient, project
from advgen.training.defences.common import Defence, Varying
from advgen.training.loop import Step


class Fast(Defence):
    """Cross-entropy after one gradient step from a random point of the L∞ ball [wong2020fast].

    As in the authors' code, the starting point may be outside [0, 1]; the training example is not.
    """

    def varying(self, step: Step) -> Varying:
        """The ball's radius and the length of the step."""
        eps = self.ramp(self.spec.eps, self.spec.eps_warmup, step)
        return eps, self.spec.step_size * eps / self.spec.eps

    def loss(self, x_BCHW: Tensor, y_B: Tensor, varying: Varying) -> Tensor:
        eps, length = varying
        start_BCHW = x_BCHW + eps * (2 * torch.rand_like(x_BCHW) - 1)
        with frozen(self.model):
            gradient_BCHW, _ = input_gradient(self.model, start_BCHW, partial(Goal(y_B).loss, "cross_entropy"))
        x_adv_BCHW = project(start_BCHW + length * gradient_BCHW.sign(), x_BCHW, "linf", eps)
        return cross_entropy(self.model(x_adv_BCHW), y_B)
