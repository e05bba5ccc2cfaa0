"""Several networks of the same architecture as one: samples of a posterior over weights."""

import math

import torch
from torch import Tensor, nn

from advgen import registry
from advgen.models.networks import Network
from advgen.specs.networks import EnsembleNetwork


class Bodies(nn.ModuleList):
    """The members' bodies; their features are concatenated."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Features (B, members · F) of images."""
        return torch.cat([body(x_BCHW) for body in self], dim=1)


class Heads(nn.Module):
    """The members' linear heads, each on its own body's features. Logits are the log of the mean probability."""

    def __init__(self, heads: list[nn.Linear]):
        super().__init__()
        self.weight = nn.Parameter(torch.stack([head.weight.detach() for head in heads]))
        self.bias = nn.Parameter(torch.cat([head.bias.detach() for head in heads]))  # flat, as biases are
        self.in_features = len(heads) * heads[0].in_features

    def member_logits(self, features_BF: Tensor) -> Tensor:
        """Logits of each member (B, members, K)."""
        members, classes, _ = self.weight.shape
        features_BMF = features_BF.unflatten(1, (members, -1))
        return torch.einsum("bmf,mkf->bmk", features_BMF, self.weight) + self.bias.view(members, classes)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Log-probabilities (B, K)."""
        logs_BMK = self.member_logits(features_BF).log_softmax(2)
        return logs_BMK.logsumexp(1) - math.log(logs_BMK.shape[1])


class Ensemble(Network):
    """The mean of the probabilities of several networks."""

    head: Heads

    def __init__(self, spec: EnsembleNetwork, outputs: int):
        members = [registry.resolve(spec.member)(spec.member, outputs) for _ in range(spec.members)]
        super().__init__(Bodies(member.body for member in members), Heads([member.head for member in members]))

    def members(self, x_BCHW: Tensor) -> Tensor:
        """Logits of each member (B, members, K)."""
        return self.head.member_logits(self.features(x_BCHW))
