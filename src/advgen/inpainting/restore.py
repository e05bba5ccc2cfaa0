"""Inpainting with a generator: search the latent vector that explains what is known, and read off the rest."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from advgen.inversion.search import Loss, search
from advgen.models.generators import Generator
from advgen.specs.searches import LatentSearch

Prior = Callable[[Tensor], Tensor]
"""From generated images (B, C, H, W) to a penalty each, (B,)."""


def full_loss(masked_NCHW: Tensor, known_NHW: Tensor, prior: Prior | None) -> Loss:
    """The report's loss: mean squared error over all pixels, where missing ones count as black."""

    def loss(x_BCHW: Tensor, rows_B: Tensor) -> Tensor:
        return (x_BCHW - masked_NCHW[rows_B]).square().mean((1, 2, 3))

    return loss


def contextual_loss(masked_NCHW: Tensor, known_NHW: Tensor, prior: Prior | None) -> Loss:
    """Mean squared error over the known pixels alone, as the context loss of yeh2017semantic."""
    known_N1HW = known_NHW[:, None]
    pixels_N = known_NHW.sum((1, 2)) * masked_NCHW.shape[1]

    def loss(x_BCHW: Tensor, rows_B: Tensor) -> Tensor:
        error_BCHW = torch.where(known_N1HW[rows_B], x_BCHW - masked_NCHW[rows_B], 0.0)
        return error_BCHW.square().sum((1, 2, 3)) / pixels_N[rows_B]

    return loss


def contextual_prior_loss(masked_NCHW: Tensor, known_NHW: Tensor, prior: Prior | None) -> Loss:
    """The contextual loss and the discriminator's opinion of the whole generated image (yeh2017semantic).

    Their context loss is absolute and weighs pixels by how many are missing around them; this one is `contextual`.
    """
    if prior is None:
        raise ValueError(
            "inpainting with method contextual_prior needs the discriminator that the generator was trained against"
        )
    context = contextual_loss(masked_NCHW, known_NHW, None)

    def loss(x_BCHW: Tensor, rows_B: Tensor) -> Tensor:
        return context(x_BCHW, rows_B) + prior(x_BCHW)

    return loss


METHODS: dict[str, Callable[[Tensor, Tensor, Prior | None], Loss]] = {
    "full": full_loss,
    "contextual": contextual_loss,
    "contextual_prior": contextual_prior_loss,
}
"""From masked images, known pixels and the discriminator's opinion to the loss that the search minimises."""


def discriminator_prior(discriminator: nn.Module, weight: float) -> Prior:
    """`weight` · -log D(x) for each image, by a frozen copy of the discriminator in eval mode."""
    frozen = copy.deepcopy(discriminator).eval().requires_grad_(False)
    return lambda x_BCHW: weight * softplus(-frozen(x_BCHW)).flatten()


def restore(
    generator: Generator,
    x_NCHW: Tensor,
    known_NHW: Tensor,
    method: str,
    latent_search: LatentSearch,
    *,
    seed: int,
    indices: list[int],
    discriminator: nn.Module | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Images (N, C, H, W) of the generator that explain what is known of `x_NCHW`; what it holds elsewhere is not used.

    Args:
        generator: z (B, latent) to images in [0, 1]; the search runs on its device.
        x_NCHW: float32 images in [0, 1].
        known_NHW: bool, true where a pixel is known.
        method: one of METHODS.
        indices: which example of the data set each image is; names its random starts, the same for every mask.
        discriminator: images to one logit each, on the generator's device; for the method prior alone.
        progress: called after every step with the steps done and their total.

    Raises:
        ValueError: `method` is unknown or lacks its discriminator, an image has no known pixel, or the search fails
            (see `search`).
    """
    if method not in METHODS:
        raise ValueError(f"inpainting method {method!r} is unknown; one of {', '.join(METHODS)}")
    if not known_NHW.flatten(1).any(1).all():
        raise ValueError("an image without a single known pixel cannot be restored")
    masked_NCHW = torch.where(known_NHW[:, None], x_NCHW, 0.0)
    device = next(generator.parameters()).device
    prior = discriminator_prior(discriminator, latent_search.prior) if discriminator is not None else None
    loss = METHODS[method](masked_NCHW.to(device), known_NHW.to(device), prior)
    found = search(generator, masked_NCHW, latent_search, seed=seed, indices=indices, loss=loss, progress=progress)
    return found.best()


def paste_known_pixels(x_NCHW: Tensor, known_NHW: Tensor, restored_NCHW: Tensor) -> Tensor:
    """The given image where it is known, the restored one elsewhere."""
    return torch.where(known_NHW[:, None], x_NCHW, restored_NCHW)
