"""Missing pixels filled in without a generator: what every method with one has to beat."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

SWEEPS = 8
"""Most iterations, for each pixel along both sides together: several times what holes as large as the image take."""
LOOK = 20
"""After how many iterations the host looks whether all are done."""
DONE = 1e-20
"""Sum of squares of what is left of the equation in one channel of one image."""


def fill_harmonic(x_NCHW: Tensor, known_NHW: Tensor) -> Tensor:
    """Images (N, C, H, W) whose missing pixels are the mean of their neighbours, as a membrane between known ones.

    That is Laplace's equation on the grid, with nothing beyond its border, by conjugate gradients in float64, one
    channel of one image at a time. What `x_NCHW` holds where `known_NHW` is false is not used; an image without a
    known pixel stays black.
    """
    missing_N1HW = ~known_NHW[:, None]
    filled = torch.where(missing_N1HW, 0.0, x_NCHW).double()

    def inner(a_NCHW: Tensor, b_NCHW: Tensor) -> Tensor:
        return (a_NCHW * b_NCHW).sum((2, 3), keepdim=True)

    residual = -_laplacian(filled) * missing_N1HW
    direction, size = residual, inner(residual, residual)
    for number in range(SWEEPS * sum(x_NCHW.shape[2:])):
        if number % LOOK == 0 and bool((size <= DONE).all()):
            break
        bent = _laplacian(direction) * missing_N1HW
        # where nothing is left to do, both sides of the fraction are 0
        step = size / inner(direction, bent).clamp_min(torch.finfo(torch.float64).tiny)
        filled, residual = filled + step * direction, residual - step * bent
        size, before = inner(residual, residual), size
        direction = residual + size / before.clamp_min(torch.finfo(torch.float64).tiny) * direction
    return filled.to(x_NCHW.dtype)


def fill_poisson(x_NCHW: Tensor, known_NHW: Tensor, train_MCHW: Tensor) -> Tensor:
    """Images whose missing pixels have the gradients of the training image that is nearest in the known ones, in L2.

    Scene completion (hays2007scene) without its choice of context: found among training images (M, C, H, W) in [0, 1],
    put in by Poisson's equation.
    """
    train_MP = train_MCHW.flatten(1)
    known_NP = known_NHW[:, None].expand_as(x_NCHW).flatten(1)
    seen_NP = torch.where(known_NP, x_NCHW.flatten(1), 0.0)
    # squared distances over the known pixels, but for what all training images have in common
    distances_NM = known_NP.to(train_MP) @ train_MP.square().T - 2 * seen_NP @ train_MP.T
    return blend_poisson(x_NCHW, known_NHW, train_MCHW[distances_NM.argmin(1)])


def blend_poisson(x_NCHW: Tensor, known_NHW: Tensor, restored_NCHW: Tensor) -> Tensor:
    """Poisson blending: the given image where it is known, elsewhere the restored one's gradients (perez2003poisson).

    There is no seam. The solution of Poisson's equation is the restored image and a harmonic correction of what it
    misses around holes.
    """
    corrected = restored_NCHW + fill_harmonic(torch.where(known_NHW[:, None], x_NCHW - restored_NCHW, 0.0), known_NHW)
    return torch.where(known_NHW[:, None], x_NCHW, corrected.clamp(0, 1))


def _laplacian(x_NCHW: Tensor) -> Tensor:
    """Each pixel's number of neighbours times itself, less their sum."""
    down, across = (pad(x_NCHW.diff(dim=dim), edges) for dim, edges in ((2, (0, 0, 1, 1)), (3, (1, 1))))
    return -down.diff(dim=2) - across.diff(dim=3)
