"""Training with a pool of adversarial examples."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from advgen.attacks.common import l2_norms
from advgen.attacks.deepfool import deepfool
from advgen.models.predict import to_unit_range
from advgen.specs.attacks import DeepFoolAttack
from advgen.specs.defences import PoolDefence
from advgen.training.defences.common import Defence, Varying
from advgen.training.loop import Step

PART_SIZE = 250
"""Examples that are replaced together, in a batch large enough to be cheap."""


class Pool(Defence):
    """Add examples from a pool to each batch; parts of the pool are replaced continuously [szegedy2014intriguing].

    The examples are minimal ones against the current network, found by DeepFool instead of the paper's slower L-BFGS
    and scaled down to `largest`. Pools of hidden activations are left out. The batch keeps all its training images, so
    that an epoch is still a pass over them.
    """

    def __init__(
        self, spec: PoolDefence, model: nn.Module, images_NCHW: Tensor, labels_N: Tensor, per_epoch: int, seed: int
    ):
        super().__init__(spec, model, images_NCHW, labels_N, per_epoch, seed)
        size = min(self.spec.size, len(self.images_NCHW))
        images_PCHW = torch.zeros(size, *self.images_NCHW.shape[1:], device=self.images_NCHW.device)
        self.extras = {"pool": images_PCHW, "pool_labels": torch.zeros_like(self.labels_N[:size])}
        self.search = DeepFoolAttack(kind="deepfool", steps=self.spec.steps, overshoot=self.spec.overshoot)

    def varying(self, step: Step) -> Varying:
        """The pool's examples for this batch."""
        available = min(self._replaced_parts(step.number) * PART_SIZE, len(self.extras["pool"]))
        joining = round(self.spec.share / (1 - self.spec.share) * len(step.rows_B)) if available else 0
        return (torch.randint(max(available, 1), (joining,), device=self.labels_N.device),)

    def loss(self, x_BCHW: Tensor, y_B: Tensor, varying: Varying) -> Tensor:
        (rows_J,) = varying
        pool_PCHW, labels_P = self.extras["pool"], self.extras["pool_labels"]
        logits_AK = self.model(torch.cat([x_BCHW, pool_PCHW[rows_J]]))
        return cross_entropy(logits_AK, torch.cat([y_B, labels_P[rows_J]]))

    def after(self, step: Step, lr: float) -> None:
        """Replace the parts that are due."""
        for part in range(self._replaced_parts(step.number), self._replaced_parts(step.number + 1)):
            self._replace(part % self._parts)

    @property
    def _parts(self) -> int:
        return math.ceil(len(self.extras["pool"]) / PART_SIZE)

    def _replaced_parts(self, steps: int) -> int:
        """The number of parts replaced after so many steps, so that the whole pool takes `refresh` epochs."""
        return math.floor(steps * self._parts / (self.spec.refresh * self.per_epoch))

    def _replace(self, part: int) -> None:
        pool_QCHW = self.extras["pool"][part * PART_SIZE : (part + 1) * PART_SIZE]
        rows_Q = torch.randint(len(self.labels_N), (len(pool_QCHW),), device=self.labels_N.device)
        x_QCHW, y_Q = to_unit_range(self.images_NCHW[rows_Q]), self.labels_N[rows_Q]
        indices = list(range(len(y_Q)))  # DeepFool draws no random numbers
        x_adv_QCHW = deepfool(self.model, x_QCHW, y_Q, self.search, seed=self.seed, indices=indices)
        delta_QCHW = x_adv_QCHW - x_QCHW
        # against a robust network, the minimal change becomes one that also misleads people
        scale_Q111 = (self.spec.largest / l2_norms(delta_QCHW).clamp_min(1e-12)).clamp_max(1)
        pool_QCHW.copy_(x_QCHW + delta_QCHW * scale_Q111.to(delta_QCHW))
        self.extras["pool_labels"][part * PART_SIZE : (part + 1) * PART_SIZE] = y_Q
