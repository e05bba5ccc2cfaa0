"""Bayesian adversarial learning."""

import math

import torch
from torch import Tensor

from advgen.attacks.common import frozen, project
from advgen.models.ensemble import Ensemble
from advgen.training.defences.common import Defence, Varying
from advgen.training.loop import Step


class Bayesian(Defence):
    """Alternate sampling of adversarial images given the weights, and of weights given the images [ye2018bayesian].

    The images take Langevin steps up the members' mean loss inside the L∞ ball, along the sign of the gradient, which
    is itself far too small. The weights take the optimiser's step plus noise of variance 2 · lr · temperature. Both
    replace the paper's adaptive Hamiltonian dynamics. The sum of the members' own losses is minimised.
    """

    model: Ensemble

    def loss(self, x_BCHW: Tensor, y_B: Tensor, varying: Varying) -> Tensor:
        return self._losses(self.model.members(self._sample(x_BCHW, y_B)), y_B).sum(1).mean()

    def after(self, step: Step, lr: float) -> None:
        """Add Langevin noise to the weights."""
        scale = math.sqrt(2 * lr * self.spec.temperature)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.add_(scale * torch.randn_like(parameter))

    def _sample(self, x_BCHW: Tensor, y_B: Tensor) -> Tensor:
        eps = self.spec.eps
        length = 2.5 * eps / self.spec.steps
        x_adv_BCHW = project(x_BCHW + eps * (2 * torch.rand_like(x_BCHW) - 1), x_BCHW, "linf", eps)
        with frozen(self.model):
            for _ in range(self.spec.steps):
                x_adv_BCHW = x_adv_BCHW.detach().requires_grad_()
                loss = self._losses(self.model.members(x_adv_BCHW), y_B).sum()
                (gradient_BCHW,) = torch.autograd.grad(loss, x_adv_BCHW)
                # half the drift: noise as large as the drift would hide it
                noise_BCHW = 0.5 * length * torch.randn_like(x_BCHW)
                moved_BCHW = x_adv_BCHW.detach() + length * gradient_BCHW.sign() + noise_BCHW
                x_adv_BCHW = project(moved_BCHW, x_BCHW, "linf", eps)
        return x_adv_BCHW

    @staticmethod
    def _losses(logits_BMK: Tensor, y_B: Tensor) -> Tensor:
        """Cross-entropy of each image under each member, (B, members)."""
        # not cross_entropy, which has no deterministic GPU kernel for more than two dimensions
        logs_BKM = logits_BMK.transpose(1, 2).log_softmax(1)
        return -logs_BKM.gather(1, y_B[:, None, None].expand(-1, 1, logits_BMK.shape[1])).squeeze(1)
