"""Training on PGD examples."""

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from advgen.attacks.common import Goal, frozen, input_gradient, l2_norms, project
from advgen.training.defences.common import Defence, Varying
from advgen.training.loop import Step


class Pgd(Defence):
    """Cross-entropy after projected gradient ascent from a random start [madry2018towards].

    The step size grows with eps.
    """

    def varying(self, step: Step) -> Varying:
        """The ball's radius and the length of a step."""
        eps = self.ramp(self.spec.eps, self.spec.eps_warmup, step)
        return eps, self.spec.step_size * eps / self.spec.eps

    def loss(self, x_BCHW: Tensor, y_B: Tensor, varying: Varying) -> Tensor:
        eps, length = varying
        loss = partial(Goal(y_B).loss, "cross_entropy")
        x_adv_BCHW = self.random_start(x_BCHW, eps)
        with frozen(self.model):
            for _ in range(self.spec.steps):
                gradient_BCHW, _ = input_gradient(self.model, x_adv_BCHW, loss)
                if self.spec.norm == "linf":
                    direction_BCHW = gradient_BCHW.sign()
                else:
                    direction_BCHW = gradient_BCHW / l2_norms(gradient_BCHW).clamp_min(1e-30).to(gradient_BCHW)
                x_adv_BCHW = project(x_adv_BCHW + length * direction_BCHW, x_BCHW, self.spec.norm, eps)
        return cross_entropy(self.model(x_adv_BCHW), y_B)

    def random_start(self, x_BCHW: Tensor, eps: float) -> Tensor:
        """A uniformly random point of the ball around each image, projected into [0, 1]."""
        if self.spec.norm == "linf":
            delta_BCHW = 2 * torch.rand_like(x_BCHW) - 1
        else:
            delta_BCHW = torch.randn_like(x_BCHW)
            radius_B111 = torch.rand(len(x_BCHW), 1, 1, 1, device=x_BCHW.device) ** (1 / x_BCHW[0].numel())
            delta_BCHW = delta_BCHW / l2_norms(delta_BCHW).to(x_BCHW) * radius_B111
        return project(x_BCHW + eps * delta_BCHW, x_BCHW, self.spec.norm, eps)
