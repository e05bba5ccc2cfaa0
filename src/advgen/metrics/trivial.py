"""Trivial baselines, without gradient-based training, of reconstructions and of latent samples."""

import torch
from torch import Tensor

from advgen import seeds
from advgen.models.predict import to_unit_range

MAX_TRAINING_IMAGES = 10_000
"""Training images, in a seeded order, that baselines use at most."""
EXTRA_DIRECTIONS, ITERATIONS = 10, 6
"""Additional directions, and iterations, of the subspace iteration."""
ROWS = 1000  # of a distance matrix in memory


def reconstruct_by_pca(train_NCHW: Tensor, x_BCHW: Tensor, size: int) -> Tensor:
    """Reconstructions (B, C, H, W) from the first `size` principal components of training images, clipped to [0, 1].

    Computed by subspace iteration from a seeded start (halko2011finding), on the device of `x_BCHW`. No linear
    autoencoder of the same latent size has a smaller squared error on the training images.
    """
    train_ND = to_unit_range(train_NCHW.to(x_BCHW.device)).flatten(1)
    mean_D = train_ND.mean(0)
    centred_ND = train_ND - mean_D
    rank = min(centred_ND.shape)
    wide = min(size + EXTRA_DIRECTIONS, rank)
    basis_DQ = seeds.normal(0, "principal", list(range(wide)), centred_ND.shape[1]).T.to(centred_ND)
    for _ in range(ITERATIONS):
        basis_DQ = torch.linalg.qr(centred_ND.T @ (centred_ND @ basis_DQ)).Q
    rotation_QQ = torch.linalg.svd(centred_ND @ basis_DQ, full_matrices=False).Vh
    basis_DK = basis_DQ @ rotation_QQ[: min(size, rank)].T
    restored_BD = mean_D + (x_BCHW.flatten(1) - mean_D) @ basis_DK @ basis_DK.T
    return restored_BD.reshape(x_BCHW.shape).clamp(0, 1)


def nearest_training_images(train_NCHW: Tensor, x_BCHW: Tensor) -> Tensor:
    """The training image nearest to each image in L2, float32 (B, C, H, W), on the device of `x_BCHW`."""
    train_NCHW = train_NCHW.to(x_BCHW.device)
    train_ND = to_unit_range(train_NCHW).flatten(1)
    rows = [torch.cdist(rows_RD, train_ND).argmin(1) for rows_RD in x_BCHW.flatten(1).split(ROWS)]
    return to_unit_range(train_NCHW[torch.cat(rows)])


def sample_fitted_gaussian(z_ND: Tensor, normal_MD: Tensor) -> Tensor:
    """Samples from the Gaussian fitted to latent vectors (N, D), made from standard normal vectors (M, D)."""
    values_D, vectors_DD = torch.linalg.eigh(z_ND.double().T.cov())
    root_DD = (vectors_DD * values_D.clamp_min(0).sqrt()) @ vectors_DD.T
    return (z_ND.double().mean(0) + normal_MD.double() @ root_DD).to(normal_MD)
