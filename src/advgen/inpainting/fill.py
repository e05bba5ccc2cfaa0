"""Missing pixels filled in without a generator: the baselines of inpainting with one."""

import torch
from torch import Tensor
from torch.nn.functional import pad

MAX_ITERATIONS = 8
"""Iterations per pixel of height plus width: several times the number that holes as large as the image need."""
CHECK_INTERVAL = 20  # iterations between checks for convergence
TOLERANCE = 1e-20  # squared norm of the residual, per channel and image, at which the iteration has converged


def fill_harmonic(x_NCHW: Tensor, known_NHW: Tensor) -> Tensor:
    """Images (N, C, H, W) in which each missing pixel is the mean of its neighbours.

    This is Laplace's equation on the grid with free borders, solved by conjugate gradients in float64, separately for
    each channel of each image. Values of `x_NCHW` at missing pixels are ignored. An image without known pixels stays
    black.
    """
    missing_N1HW = ~known_NHW[:, None]
    filled = torch.where(missing_N1HW, 0.0, x_NCHW).double()

    def inner(a_NCHW: Tensor, b_NCHW: Tensor) -> Tensor:
        return (a_NCHW * b_NCHW).sum((2, 3), keepdim=True)

    residual = -_laplacian(filled) * missing_N1HW
    direction, size = residual, inner(residual, residual)
    for number in range(MAX_ITERATIONS * sum(x_NCHW.shape[2:])):
        if number % CHECK_INTERVAL == 0 and bool((size <= TOLERANCE).all()):
            break
        curvature = _laplacian(direction) * missing_N1HW
        # both are 0 where the solution is exact
        step = size / inner(direction, curvature).clamp_min(torch.finfo(torch.float64).tiny)
        filled, residual = filled + step * direction, residual - step * curvature
        size, before = inner(residual, residual), size
        direction = residual + size / before.clamp_min(torch.finfo(torch.float64).tiny) * direction
    return filled.to(x_NCHW.dtype)


def fill_poisson(x_NCHW: Tensor, known_NHW: Tensor, train_MCHW: Tensor) -> Tensor:
    """Missing pixels from the training image that is nearest in the known pixels (L2), by Poisson blending.

    Scene completion (hays2007scene) without its choice of context. Training images are (M, C, H, W) in [0, 1].
    """
    train_MP = train_MCHW.flatten(1)
    known_NP = known_NHW[:, None].expand_as(x_NCHW).flatten(1)
    visible_NP = torch.where(known_NP, x_NCHW.flatten(1), 0.0)
    # squared distances over the known pixels, up to a constant per image
    distances_NM = known_NP.to(train_MP) @ train_MP.square().T - 2 * visible_NP @ train_MP.T
    return blend_poisson(x_NCHW, known_NHW, train_MCHW[distances_NM.argmin(1)])


def blend_poisson(x_NCHW: Tensor, known_NHW: Tensor, restored_NCHW: Tensor) -> Tensor:
    """Poisson blending: known pixels, and elsewhere the gradients of the restored image (perez2003poisson).

    The solution of Poisson's equation is the restored image plus a harmonic correction of its error at the borders of
    holes, so that there are no seams.
    """
    corrected = restored_NCHW + fill_harmonic(torch.where(known_NHW[:, None], x_NCHW - restored_NCHW, 0.0), known_NHW)
    return torch.where(known_NHW[:, None], x_NCHW, corrected.clamp(0, 1))


def _laplacian(x_NCHW: Tensor) -> Tensor:
    """Each pixel times its number of neighbours, minus their sum."""
    down, across = (pad(x_NCHW.diff(dim=dim), edges) for dim, edges in ((2, (0, 0, 1, 1)), (3, (1, 1))))
    return -down.diff(dim=2) - across.diff(dim=3)
