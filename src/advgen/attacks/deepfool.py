"""DeepFool: the smallest L2 change, one linearisation after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advgen.attacks.common import pure
from advgen.specs import DeepFoolAttack


@pure
def deepfool(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: DeepFoolAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """Steps onto the nearest linearised boundary until the label is wrong [moosavi2016deepfool].

    The sum of the steps goes `spec.overshoot` beyond the boundary. Images that are wrong already stay as they are.
    """
    result_BCHW = x_BCHW.clone()
    sum_BCHW = torch.zeros_like(x_BCHW)
    left = torch.arange(len(x_BCHW), device=x_BCHW.device)
    for _ in range(spec.steps):
        lead_BJ, gradient_BJCHW, right_B = _boundaries(model, result_BCHW[left], y_B[left])
        left, lead_BJ, gradient_BJCHW = left[right_B], lead_BJ[right_B], gradient_BJCHW[right_B]
        if len(left) == 0:
            break
        norm_BJ = gradient_BJCHW.flatten(2).norm(dim=2).clamp_min(1e-12)
        distance_BJ = lead_BJ / norm_BJ
        nearest_B = distance_BJ.argmin(1)
        rows = torch.arange(len(left), device=left.device)
        # The little more than the distance is the authors': it keeps a step from ending on the boundary itself.
        length_B = (distance_BJ[rows, nearest_B] + 1e-4) / norm_BJ[rows, nearest_B]
        sum_BCHW[left] += length_B[:, None, None, None] * gradient_BJCHW[rows, nearest_B]
        result_BCHW[left] = (x_BCHW[left] + (1 + spec.overshoot) * sum_BCHW[left]).clamp(0, 1)
    return result_BCHW


def _boundaries(model: nn.Module, x_BCHW: Tensor, y_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each other class j: the label's lead over it and its gradient downhill, from one forward pass.

    Also whether each image is still right, (B,).
    """
    x_BCHW = x_BCHW.detach().requires_grad_()
    gradients = []
    with torch.enable_grad():
        logits_BK = model(x_BCHW)
        others = logits_BK.shape[1] - 1
        for offset in range(1, others + 1):
            other_B1 = (y_B[:, None] + offset) % (others + 1)
            toward_BK = torch.zeros_like(logits_BK).scatter_(1, other_B1, 1).scatter_(1, y_B[:, None], -1)
            (gradient_BCHW,) = torch.autograd.grad(logits_BK, x_BCHW, toward_BK, retain_graph=offset < others)
            gradients.append(gradient_BCHW)
    logits_BK = logits_BK.detach()
    order_BJ = (y_B[:, None] + torch.arange(1, others + 1, device=y_B.device)) % (others + 1)
    lead_BJ = logits_BK.gather(1, y_B[:, None]) - logits_BK.gather(1, order_BJ)
    return lead_BJ, torch.stack(gradients, dim=1), logits_BK.argmax(1) == y_B
