"""Training with a pool of adversarial examples."""

from __future__ import annotations

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

PART = 250
"""Examples that are made anew at once: a batch large enough to be cheap."""


class Pool(Defence):
    """Each batch is joined by examples from a pool, parts of which are made anew all the time [szegedy2014intriguing].

    The examples are minimum-norm ones against the network of the moment, found by DeepFool instead of the paper's
    L-BFGS, which is too slow for this, and cut to `largest`; pools of hidden layers' activations are left out. All
    training images of the batch stay in it, so that an epoch is still a pass over them.
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
        """Which examples join."""
        filled = min(self._parts_made(step.number) * PART, len(self.extras["pool"]))
        joining = round(self.spec.share / (1 - self.spec.share) * len(step.rows_B)) if filled else 0
        return (torch.randint(max(filled, 1), (joining,), device=self.labels_N.device),)

    def loss(self, x_BCHW: Tensor, y_B: Tensor, varying: Varying) -> Tensor:
        (rows_J,) = varying
        pool_PCHW, labels_P = self.extras["pool"], self.extras["pool_labels"]
        logits_AK = self.model(torch.cat([x_BCHW, pool_PCHW[rows_J]]))
        return cross_entropy(logits_AK, torch.cat([y_B, labels_P[rows_J]]))

    def after(self, step: Step, lr: float) -> None:
        """Make the parts anew whose turn it is."""
        for part in range(self._parts_made(step.number), self._parts_made(step.number + 1)):
            self._refresh(part % self._parts)

    @property
    def _parts(self) -> int:
        return math.ceil(len(self.extras["pool"]) / PART)

    def _parts_made(self, steps: int) -> int:
        """How many parts have been made in so many steps, so that all take `refresh` epochs."""
        return math.floor(steps * self._parts / (self.spec.refresh * self.per_epoch))

    def _refresh(self, part: int) -> None:
        pool_QCHW = self.extras["pool"][part * PART : (part + 1) * PART]
        rows_Q = torch.randint(len(self.labels_N), (len(pool_QCHW),), device=self.labels_N.device)
        x_QCHW, y_Q = to_unit_range(self.images_NCHW[rows_Q]), self.labels_N[rows_Q]
        places = list(range(len(y_Q)))  # it draws nothing for each
        found_QCHW = deepfool(self.model, x_QCHW, y_Q, self.search, seed=self.seed, indices=places)
        delta_QCHW = found_QCHW - x_QCHW
        # As the network grows robust, the smallest change that misleads it comes to mislead people too.
        cut_Q111 = (self.spec.largest / l2_norms(delta_QCHW).clamp_min(1e-12)).clamp_max(1)
        pool_QCHW.copy_(x_QCHW + delta_QCHW * cut_Q111.to(delta_QCHW))
        self.extras["pool_labels"][part * PART : (part + 1) * PART] = y_Q
