"""Training on noisy images, the control of adversarial training."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from advgen.training.defences.common import Defence, Varying


class Noise(Defence):
    """Cross-entropy of images with random noise of the adversary's size, clipped to [0, 1].

    The `sign` and `uniform` noises are the controls of goodfellow2015explaining.
    """

    def loss(self, x_BCHW: Tensor, y_B: Tensor, varying: Varying) -> Tensor:
        if self.spec.noise == "gaussian":
            noise_BCHW = torch.randn_like(x_BCHW)
        else:
            noise_BCHW = 2 * torch.rand_like(x_BCHW) - 1
            if self.spec.noise == "sign":
                noise_BCHW = noise_BCHW.sign()
        return cross_entropy(self.model((x_BCHW + self.spec.eps * noise_BCHW).clamp(0, 1)), y_B)
