"""Classifiers from other models: a discriminator's decision, or a linear head on frozen features."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from advgen.models.autoencoders import Autoencoder
from advgen.models.layers import copy_without_spectral_norm
from advgen.models.networks import Network
from advgen.models.predict import features_and_probabilities, predict
from advgen.specs.autoencoders import FcAutoencoder
from advgen.specs.networks import FcNetwork, NetworkSpec
from advgen.specs.training import ClassifierTraining
from advgen.training.classifier import accuracy, train_classifier
from advgen.training.state import Callbacks

History = dict[str, list[float]]


def body_spec(model: Network | Autoencoder) -> NetworkSpec:
    """The spec of a network whose body is that of a discriminator, or the encoder of an autoencoder of kind fc."""
    spec: Any = model.spec
    if isinstance(spec, FcAutoencoder):
        return FcNetwork(kind="fc", image=spec.image, hidden=(spec.latent,), activation=spec.activation)
    network: NetworkSpec = spec
    is_normalised = getattr(network, "spectral_norm", False)
    return network.model_copy(update={"spectral_norm": False}) if is_normalised else network


def copy_body(probe: Network, model: Network | Autoencoder) -> None:
    """Copy the weights of the model's body into `probe`, a network of `body_spec`."""
    body = model.encoder if isinstance(model, Autoencoder) else model.body
    probe.body.load_state_dict(copy_without_spectral_norm(body).state_dict())


def copy_decision(
    probe: Network,
    discriminator: Network,
    validation: tuple[Tensor, Tensor],
    fitted_on: tuple[Tensor, Tensor] | None = None,
) -> History:
    """Make `probe`, with two outputs, decide like a discriminator with logit l: its logits are (t - l)/2 and (l - t)/2.

    So the probability of class 1, a real image, is sigmoid(l - t). The threshold t is 0, for which this is the
    discriminator's output, or the `best_threshold` on the images `fitted_on`. No weight is trained. The history has a
    row for 0, then one for the fitted t, each with the accuracy on `validation`.
    """
    copy_body(probe, discriminator)
    with torch.no_grad():
        for name, weight in copy_without_spectral_norm(discriminator.head).named_parameters():
            probe.head.get_parameter(name).copy_(torch.cat([-weight, weight]) / 2)
    probe.eval()
    thresholds, accuracies = [0.0], [accuracy(probe, *validation)]
    if fitted_on is not None:
        _, logits_N2 = predict(probe, fitted_on[0])
        thresholds.append(best_threshold(logits_N2[:, 1] - logits_N2[:, 0], fitted_on[1]))
        with torch.no_grad():
            for logit, share in zip(probe.head.get_parameter("bias"), (0.5, -0.5), strict=True):
                logit.add_(share * thresholds[-1])
        accuracies.append(accuracy(probe, *validation))
    steps = len(thresholds)
    return {
        "step": [*range(steps)],
        "epoch": [0.0] * steps,
        "loss": [math.nan] * steps,
        "accuracy": accuracies,
        "threshold": thresholds,
    }


def best_threshold(logits_N: Tensor, labels_N: Tensor) -> float:
    """The threshold t for which `logit > t` agrees with label 1 on most images.

    It is midway between two neighbouring logits, or .5 beyond the outermost one. Ties go to the threshold nearest to
    0, then to the lower one.
    """
    sorted_N, order_N = logits_N.double().cpu().sort()
    real_N = labels_N.cpu()[order_N].long()
    # the i lowest are classified as fake: correct are the fakes among them and the real ones among the others
    correct_M = torch.cat([real_N.sum()[None], real_N.sum() + (1 - 2 * real_N).cumsum(0)])
    edges = torch.cat([sorted_N[:1] - 1, sorted_N, sorted_N[-1:] + 1])
    distinct_M = edges[1:] > edges[:-1]  # equal logits are on one side
    middle_M, correct_M = ((edges[1:] + edges[:-1]) / 2)[distinct_M], correct_M[distinct_M]
    best = middle_M[correct_M == correct_M.max()]
    return float(best[best.abs().argmin()])


class _Head(nn.Module):
    """A linear head on standardised features, which have the shape of images (B, 1, 1, F) since training takes images.

    A discriminator's features differ in scale and have means far from zero, for which no single learning rate works.
    """

    scale_F: Tensor
    mean_F: Tensor

    def __init__(self, head: nn.Linear, features_NF: Tensor):
        super().__init__()
        self.head = head
        deviation_F = features_NF.std(0)
        # a rarely active unit must not get weights so large that it dominates under an attack
        self.register_buffer("scale_F", 1 / deviation_F.clamp_min(0.01 * deviation_F.max()))
        self.register_buffer("mean_F", features_NF.mean(0))

    def forward(self, features_B11F: Tensor) -> Tensor:
        logits_BK: Tensor = self.head((features_B11F.flatten(1) - self.mean_F) * self.scale_F)
        return logits_BK

    @torch.no_grad()
    def unstandardise(self) -> None:
        """Change the weights so that the head takes features that are not standardised."""
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
    """Train the head of `probe` on standardised features of its body, which is not changed and in eval mode.

    Without dropout and with fixed batch statistics, the features of an image are constant and computed once.
    Returns the history of `train_classifier`.

    Raises:
        ValueError: the loss diverges.
    """
    probe.to(device).eval()
    train_NF, held_out_VF = (
        features_and_probabilities(probe, part)[0].clone() for part in (images_NCHW, validation[0])
    )
    head = _Head(probe.head, train_NF).to(device)  # type: ignore[arg-type]
    held_out = held_out_VF[:, None, None], validation[1]
    history = train_classifier(head, train_NF[:, None, None], labels_N, spec, seed, held_out, device, callbacks)
    head.unstandardise()
    return history
