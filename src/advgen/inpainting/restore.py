"""Inpainting with a generator: search for a latent vector that reproduces the known pixels."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from advgen.inversion.search import Loss, search
from advgen.models.generators import Generator
from advgen.specs.searches import LatentSearch

Prior = Callable[[Tensor], Tensor]  # from generated images (B, C, H, W) to penalties (B,)


def full_loss(masked_NCHW: Tensor, known_NHW: Tensor, prior: Prior | None) -> Loss:
    """The original report's loss: mean squared error over all pixels, with missing ones black."""
    return lambda x_BCHW, rows_B: (x_BCHW - masked_NCHW[rows_B]).square().mean((1, 2, 3))


def contextual_loss(masked_NCHW: Tensor, known_NHW: Tensor, prior: Prior | None) -> Loss:
    """Mean squared error over the known pixels, like the context loss of yeh2017semantic."""
    known_N1HW = known_NHW[:, None]
    pixels_N = known_NHW.sum((1, 2)) * masked_NCHW.shape[1]

    def loss(x_BCHW: Tensor, rows_B: Tensor) -> Tensor:
        error_BCHW = torch.where(known_N1HW[rows_B], x_BCHW - masked_NCHW[rows_B], 0.0)
        return error_BCHW.square().sum((1, 2, 3)) / pixels_N[rows_B]

    return loss


def contextual_prior_loss(masked_NCHW: Tensor, known_NHW: Tensor, prior: Prior | None) -> Loss:
    """The contextual loss plus the discriminator's loss of the whole generated image (yeh2017semantic).

    Their context loss is L1, with weights by the number of missing neighbours; here it is `contextual_loss`.
    """
    if prior is None:
        raise ValueError(
            "inpainting with method contextual_prior needs the discriminator that the generator was trained against"
        )
    context = contextual_loss(masked_NCHW, known_NHW, None)
    return lambda x_BCHW, rows_B: context(x_BCHW, rows_B) + prior(x_BCHW)


METHODS: dict[str, Callable[[Tensor, Tensor, Prior | None], Loss]] = {
    "full": full_loss,
    "contextual": contextual_loss,
    "contextual_prior": contextual_prior_loss,
}
"""Functions from masked images, known pixels and the prior to the loss of the search."""


def discriminator_prior(discriminator: nn.Module, weight: float) -> Prior:
    """The prior -`weight` · log D(x), by a frozen copy of the discriminator in eval mode."""
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
    """Generated images (N, C, H, W) that match the known pixels of `x_NCHW`; its other values are ignored.

    Args:
        generator: z (B, latent) to images in [0, 1]; the search runs on its device.
        x_NCHW: float32 images in [0, 1].
        known_NHW: bool, true where a pixel is known.
        method: one of METHODS.
        indices: positions in the data set, which seed the random starts, the same for every mask.
        discriminator: images to one logit each, on the generator's device; only for the method contextual_prior.
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
    result = search(generator, masked_NCHW, latent_search, seed=seed, indices=indices, loss=loss, progress=progress)
    return result.best()


def paste_known_pixels(x_NCHW: Tensor, known_NHW: Tensor, restored_NCHW: Tensor) -> Tensor:
    """The known pixels of the image, and the restored pixels elsewhere."""
    return torch.where(known_NHW[:, None], x_NCHW, restored_NCHW)
