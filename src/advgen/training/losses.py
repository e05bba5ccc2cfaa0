"""Objectives and gradient penalties of generative adversarial networks, from logits.

`non_saturating` and `cross_entropy` share the discriminator's loss, the cross-entropy of real against generated images.
The generator maximises log D(G(z)) in the first and minimises log(1 - D(G(z))), the minimax game, in the second
(goodfellow2014generative).

`mse` is the squared error of the *probability* D = sigmoid(logit) against 1 and 0. It results from exchanging the loss
and keeping the discriminator's sigmoid, as the original report did. Its gradient vanishes on both sides, which is part
of what that report observed; least-squares GANs (mao2017least) use the logit itself.

`wasserstein` uses the logits directly: the difference of their means is at most the Wasserstein distance if the
discriminator is 1-Lipschitz, which a gradient penalty or spectral normalisation must ensure (arjovsky2017wasserstein).

Each discriminator loss is the mean over real images plus the mean over generated ones. Label smoothing is one-sided:
only the target of real images changes, and the generator's target stays 1.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from advgen.specs.training import GanTraining


def generator_loss(name: str, fake_logits: Tensor) -> Tensor:
    """Scalar loss of the generator from the logits of its images; ValueError if `name` is unknown."""
    if name == "non_saturating":
        return softplus(-fake_logits).mean()
    if name == "cross_entropy":
        return -softplus(fake_logits).mean()
    if name == "mse":
        return (fake_logits.sigmoid() - 1).square().mean()
    if name == "wasserstein":
        return -fake_logits.mean()
    raise ValueError(_unknown(name))


def discriminator_loss(name: str, real_logits: Tensor, fake_logits: Tensor, real_label: float = 1.0) -> Tensor:
    """Scalar loss of the discriminator; `real_label` is the target of real images; ValueError if `name` is unknown."""
    if name in ("non_saturating", "cross_entropy"):
        # label · softplus(-l) + (1 - label) · softplus(l), in one softplus
        real = softplus(-real_logits) + (1 - real_label) * real_logits
        return real.mean() + softplus(fake_logits).mean()
    if name == "mse":
        return (real_logits.sigmoid() - real_label).square().mean() + fake_logits.sigmoid().square().mean()
    if name == "wasserstein":
        return fake_logits.mean() - real_logits.mean()
    raise ValueError(_unknown(name))


def _unknown(name: str) -> str:
    allowed = GanTraining.model_fields["loss"].annotation.__args__  # type: ignore[union-attr]
    return f"GAN loss {name!r} is unknown; one of {', '.join(allowed)}"


def r1(discriminator: nn.Module, real_BCHW: Tensor) -> Tensor:
    """Half the mean squared norm of the discriminator's gradient at real images (mescheder2018training, eq. 9)."""
    real_BCHW = real_BCHW.detach().requires_grad_()
    (gradient_BCHW,) = torch.autograd.grad(discriminator(real_BCHW).sum(), real_BCHW, create_graph=True)
    return gradient_BCHW.square().flatten(1).sum(1).mean() / 2


def gradient_penalty(discriminate: Callable[[Tensor], Tensor], x_BCHW: Tensor) -> Tensor:
    """Mean of (|g| - 1)² for the discriminator's gradients g at some images (gulrajani2017improved, eq. 3)."""
    # exact unrolling differentiates through generated images
    x_BCHW = x_BCHW if x_BCHW.requires_grad else x_BCHW.detach().requires_grad_()
    (gradient_BCHW,) = torch.autograd.grad(discriminate(x_BCHW).sum(), x_BCHW, create_graph=True)
    return (gradient_BCHW.square().flatten(1).sum(1).clamp_min(1e-24).sqrt() - 1).square().mean()
