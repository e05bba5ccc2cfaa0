"""Classifiers taken out of other models: a discriminator's decision, a linear head on frozen features."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from advgen.models.autoencoders import Autoencoder
from advgen.models.layers import plain_weights
from advgen.models.networks import Network
from advgen.models.predict import features_and_probabilities
from advgen.specs.autoencoders import FcAutoencoder
from advgen.specs.networks import FcNetwork, NetworkSpec
from advgen.specs.training import ClassifierTraining
from advgen.training.classifier import accuracy, train_classifier
from advgen.training.state import Callbacks

History = dict[str, list[float]]


def body_spec(model: Network | Autoencoder) -> NetworkSpec:
    """The spec of the network whose body a discriminator is, or the encoder of an autoencoder of kind fc."""
    spec: Any = model.spec
    if isinstance(spec, FcAutoencoder):
        return FcNetwork(kind="fc", image=spec.image, hidden=(spec.latent,), activation=spec.activation)
    network: NetworkSpec = spec
    normalised = getattr(network, "spectral_norm", False)
    return network.model_copy(update={"spectral_norm": False}) if normalised else network


def copy_body(probe: Network, model: Network | Autoencoder) -> None:
    """Give `probe`, a network of `body_spec`, the weights of the model's body."""
    body = model.encoder if isinstance(model, Autoencoder) else model.body
    probe.body.load_state_dict(plain_weights(body).state_dict())


def decision(probe: Network, discriminator: Network, validation: tuple[Tensor, Tensor]) -> History:
    """Make `probe`, of two outputs, decide as a discriminator of one logit l: its logits are -l/2 and l/2.

    So the probability of class 1, a real image, is the discriminator's sigmoid(l). Nothing is trained; the history is
    one row, with the accuracy on `validation`.
    """
    copy_body(probe, discriminator)
    with torch.no_grad():
        for name, given in plain_weights(discriminator.head).named_parameters():
            probe.head.get_parameter(name).copy_(torch.cat([-given, given]) / 2)
    probe.eval()
    return {"step": [1], "epoch": [0.0], "loss": [math.nan], "accuracy": [accuracy(probe, *validation)]}


class _Head(nn.Module):
    """A linear head that sees standardised features, as if they were images of one row: training takes images.

    A discriminator's features differ in scale and have means far from zero, which one learning rate cannot serve.
    """

    scale_F: Tensor
    mean_F: Tensor

    def __init__(self, head: nn.Linear, features_NF: Tensor):
        super().__init__()
        self.head = head
        deviation_F = features_NF.std(0)
        # A unit that hardly ever speaks must not get weights so large that it shouts when attacked.
        self.register_buffer("scale_F", 1 / deviation_F.clamp_min(0.01 * deviation_F.max()))
        self.register_buffer("mean_F", features_NF.mean(0))

    def forward(self, features_B11F: Tensor) -> Tensor:
        logits_BK: Tensor = self.head((features_B11F.flatten(1) - self.mean_F) * self.scale_F)
        return logits_BK

    @torch.no_grad()
    def unstandardise(self) -> None:
        """Make the head one of the features as they are."""
        self.head.weight.mul_(self.scale_F)
        self.head.bias.sub_(self.head.weight @ self.mean_F)


def train_head(
    probe: Network,
    images_NCHW: Tensor,
    labels_N: Tensor,
    spec: ClassifierTraining,
    seed: int,
    validation: tuple[Tensor, Tensor],
    device: str,
    callbacks: Callbacks,
) -> History:
    """Train the head of `probe` on the standardised features of its body, which stays as it is, in eval mode.

    Without dropout and with fixed batch statistics the features of an image never change, so they are made once.
    Returns the history of `train_classifier`.

    Raises:
        ValueError: the loss diverges.
    """
    probe.to(device).eval()
    made_NF, apart_VF = (features_and_probabilities(probe, part)[0].clone() for part in (images_NCHW, validation[0]))
    head = _Head(probe.head, made_NF).to(device)  # type: ignore[arg-type]
    apart = apart_VF[:, None, None], validation[1]
    history = train_classifier(head, made_NF[:, None, None], labels_N, spec, seed, apart, device, callbacks)
    head.unstandardise()
    return history
