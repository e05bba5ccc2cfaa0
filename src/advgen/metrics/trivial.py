"""What needs no training by gradients: the baselines of reconstructions and of draws from a latent space."""

from __future__ import annotations

import torch
from torch import Tensor

from advgen import seeds
from advgen.models.predict import to_unit_range

MAX_TRAINING_IMAGES = 10_000
"""Training images, in a seeded order, that baselines are fitted to at most."""
SPARE, TURNS = 10, 6
"""Directions searched beside those wanted, and how often they are turned towards the data."""
ROWS = 1000  # of a matrix of distances held at once


def reconstruct_by_pca(train_NCHW: Tensor, x_BCHW: Tensor, size: int) -> Tensor:
    """Images (B, C, H, W) as the first `size` principal components of training images tell them, cut to the box.

    By subspace iteration from a seeded start (halko2011finding), on the device of `x_BCHW`. No autoencoder that is
    linear, of so many latent numbers, has a smaller squared error on those training images.
    """
    train_ND = to_unit_range(train_NCHW.to(x_BCHW.device)).flatten(1)
    mean_D = train_ND.mean(0)
    apart_ND = train_ND - mean_D
    least = min(apart_ND.shape)
    wide = min(size + SPARE, least)
    basis_DQ = seeds.normal(0, "principal", list(range(wide)), apart_ND.shape[1]).T.to(apart_ND)
    for _ in range(TURNS):
        basis_DQ = torch.linalg.qr(apart_ND.T @ (apart_ND @ basis_DQ)).Q
    turned_QQ = torch.linalg.svd(apart_ND @ basis_DQ, full_matrices=False).Vh
    basis_DK = basis_DQ @ turned_QQ[: min(size, least)].T
    told_BD = mean_D + (x_BCHW.flatten(1) - mean_D) @ basis_DK @ basis_DK.T
    return told_BD.reshape(x_BCHW.shape).clamp(0, 1)


def nearest_training_images(train_NCHW: Tensor, x_BCHW: Tensor) -> Tensor:
    """The training images nearest to some images in L2, float32 (B, C, H, W), on the device of `x_BCHW`."""
    train_NCHW = train_NCHW.to(x_BCHW.device)
    train_ND = to_unit_range(train_NCHW).flatten(1)
    places = [torch.cdist(rows_RD, train_ND).argmin(1) for rows_RD in x_BCHW.flatten(1).split(ROWS)]
    return to_unit_range(train_NCHW[torch.cat(places)])


def sample_fitted_gaussian(z_ND: Tensor, normal_MD: Tensor) -> Tensor:
    """Standard normal vectors (M, D) as draws from the Gaussian fitted to latent vectors (N, D)."""
    values_D, vectors_DD = torch.linalg.eigh(z_ND.double().T.cov())
    root_DD = (vectors_DD * values_D.clamp_min(0).sqrt()) @ vectors_DD.T
    return (z_ND.double().mean(0) + normal_MD.double() @ root_DD).to(normal_MD)
