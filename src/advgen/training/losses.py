"""The objectives of a generative adversarial network, from logits.

`non_saturating` and `cross_entropy` share the discriminator's loss, the cross-entropy of real against fake; the
generator maximises log D(G(z)) in the first and minimises log(1 - D(G(z))), the minimax game itself, in the second
(goodfellow2014generative).

`mse` is the squared error of the *probability* D = sigmoid(logit) against 1 and 0: what comes of exchanging the loss
and leaving the discriminator's sigmoid in place, as the report did. Its gradient vanishes on both sides, which is part
of what the report observed; least-squares GANs (mao2017least) score the logit itself.

`wasserstein` takes the logits as they are: their means differ by at most the Wasserstein distance, if the discriminator
is 1-Lipschitz, which a gradient penalty or spectral norms have to see to (arjovsky2017wasserstein).

Every discriminator loss is the mean over real images plus the mean over fakes. Smoothing is one-sided: only the target
of real images moves, and the generator still aims at 1.
"""

from __future__ import annotations

from torch import Tensor
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
