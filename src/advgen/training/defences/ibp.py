"""Training on interval bounds."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from advgen.certificates.bounds import bound_margins
from advgen.training.defences.common import Defence, Varying
from advgen.training.loop import Step


class Ibp(Defence):
    """A mixture of the cross-entropy of clean images and of the worst logits in the ball [gowal2018effectiveness].

    The worst logits are those that interval bounds cannot exclude. While eps grows, the clean weight falls from 1.
    """

    def varying(self, step: Step) -> Varying:
        """The ball's radius and the weight of the clean images."""
        eps = self.ramp(self.spec.eps, self.spec.eps_warmup, step)
        return eps, 1 - (1 - self.spec.kappa) * eps / self.spec.eps

    def loss(self, x_BCHW: Tensor, y_B: Tensor, varying: Varying) -> Tensor:
        eps, kappa = varying
        clean = cross_entropy(self.model(x_BCHW), y_B)
        lead_BK = bound_margins(self.model, (x_BCHW - eps).clamp_min(0), (x_BCHW + eps).clamp_max(1), y_B)
        return kappa * clean + (1 - kappa) * cross_entropy(-lead_BK, y_B)
