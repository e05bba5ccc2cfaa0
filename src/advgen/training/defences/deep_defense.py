"""Deep Defense: a penalty on small minimal perturbations."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from advgen.models.predict import eval_mode
from advgen.training.defences.common import Defence, Varying
from advgen.training.loop import Step


class DeepDefense(Defence):
    """Cross-entropy plus weight · exp(-c ρ) for correctly and weight · exp(d ρ) for wrongly classified images.

    ρ = ‖Δ‖₂ / ‖x‖₂, where Δ is the perturbation of DeepFool steps to the nearest boundary or, for a wrongly classified
    image, to the correct class. The gradient flows through the steps [yan2018deep]. The nearest boundary comes from the
    linearisation at the image, not at each step. Both terms are means over the batch. The paper fine-tunes a trained
    network; here the first half of the steps is plain training.
    """

    def varying(self, step: Step) -> Varying:
        """Whether perturbations are penalised already."""
        return (2 * step.number >= step.total,)

    def loss(self, x_BCHW: Tensor, y_B: Tensor, varying: Varying) -> Tensor:
        (penalised,) = varying
        plain = cross_entropy(self.model(x_BCHW), y_B)
        if not penalised:
            return plain
        with eval_mode(self.model):
            label_B, other_B = self._boundary(x_BCHW, y_B)
            delta_BCHW = self._perturbation(x_BCHW, label_B, other_B)
        rho_B = delta_BCHW.flatten(1).norm(dim=1) / x_BCHW.flatten(1).norm(dim=1).clamp_min(1e-6)
        # ρ is at most 1: where a gradient vanishes, exp(d ρ) would overflow
        penalty_B = torch.where(label_B == y_B, (-self.spec.c * rho_B).exp(), (self.spec.d * rho_B.clamp_max(1)).exp())
        return plain + self.spec.weight * penalty_B.mean()

    def _boundary(self, x_BCHW: Tensor, y_B: Tensor) -> tuple[Tensor, Tensor]:
        """The predicted label, and the class beyond the boundary: the correct one if the prediction is wrong."""
        x_BCHW = x_BCHW.detach().requires_grad_()
        logits_BK = self.model(x_BCHW)
        label_B = logits_BK.argmax(1)
        distances = []
        for k in range(logits_BK.shape[1]):
            lead_B = logits_BK.gather(1, label_B[:, None]).squeeze(1) - logits_BK[:, k]
            (gradient_BCHW,) = torch.autograd.grad(lead_B.sum(), x_BCHW, retain_graph=True)
            # zero over zero for the label itself
            distances.append((lead_B / gradient_BCHW.flatten(1).norm(dim=1)).detach().nan_to_num(torch.inf))
        nearest_B = torch.stack(distances, dim=1).argmin(1)
        return label_B, torch.where(label_B == y_B, nearest_B, y_B)

    def _perturbation(self, x_BCHW: Tensor, label_B: Tensor, other_B: Tensor) -> Tensor:
        """The sum of DeepFool steps from `label` to the boundary of `other`, differentiable in the weights."""
        delta_BCHW = torch.zeros_like(x_BCHW)
        for _ in range(self.spec.steps):
            # images beyond the boundary stay there: a step would lead back
            point_BCHW = x_BCHW + delta_BCHW
            if not point_BCHW.requires_grad:
                point_BCHW.requires_grad_()
            logits_BK = self.model(point_BCHW)
            lead_B = (logits_BK.gather(1, label_B[:, None]) - logits_BK.gather(1, other_B[:, None])).squeeze(1)
            (gradient_BCHW,) = torch.autograd.grad(lead_B.sum(), point_BCHW, create_graph=True)
            length_B = lead_B.clamp_min(0) / gradient_BCHW.flatten(1).square().sum(1).clamp_min(1e-12)
            delta_BCHW = delta_BCHW - length_B[:, None, None, None] * gradient_BCHW
        return delta_BCHW
