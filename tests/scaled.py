"""A model on another scale of its logits."""

import torch


class Scaled(torch.nn.Module):
    """A model whose logits are multiplied by a number, which changes no prediction."""

    def __init__(self, model, scale):
        super().__init__()
        self.model, self.scale = model, scale

    def forward(self, x_BCHW):
        return self.scale * self.model(x_BCHW)
