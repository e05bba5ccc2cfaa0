"""Baselines without training, against their closed forms."""

import torch

from advgen.metrics.trivial import (
    nearest_training_images,
    reconstruct_by_pca,
    sample_fitted_gaussian,
)


def images(n, seed, rank=6):
    """uint8 images of 1×5×7 pixels in a subspace, but for rounding."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.randn(rank, 35, generator=torch.Generator().manual_seed(9)) * 2.0 ** -torch.arange(rank)[:, None]
    made = 128 + 20 * torch.randn(n, rank, generator=generator) @ basis
    return made.round().clamp(0, 255).to(torch.uint8).reshape(n, 1, 5, 7)


def test_principal_components_are_those_of_a_full_decomposition():
    train, x = images(80, 0), images(10, 1).float() / 255
    flat = train.flatten(1).double() / 255
    mean = flat.mean(0)
    directions = torch.linalg.svd(flat - mean, full_matrices=False).Vh
    for size in (1, 4):
        kept = directions[:size]
        expected = mean + (x.flatten(1).double() - mean) @ kept.T @ kept
        torch.testing.assert_close(reconstruct_by_pca(train, x, size).flatten(1), expected.float(), atol=1e-4, rtol=0)
    everything = train[:5].float() / 255
    torch.testing.assert_close(reconstruct_by_pca(train[:5], everything, 50), everything, atol=1e-5, rtol=0)


def test_the_nearest_training_image_is_found():
    train = images(80, 0)
    assert torch.equal(nearest_training_images(train, train[[7, 3]].float() / 255), train[[7, 3]].float() / 255)
    x = images(10, 1).float() / 255
    distances = ((x[:, None] - train[None].float() / 255) ** 2).sum((2, 3, 4))
    assert torch.equal(nearest_training_images(train, x), train[distances.argmin(1)].float() / 255)


def test_draws_have_the_moments_of_what_they_are_fitted_to():
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(500, 3, generator=generator) @ torch.tensor([[2.0, 1, 0], [0, 0.5, 0], [0, 0, 0]]) + 3
    normal = torch.randn(20_000, 3, generator=generator)
    drawn = sample_fitted_gaussian(mixed, normal)
    torch.testing.assert_close(drawn.mean(0), mixed.mean(0), atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), mixed.T.cov(), atol=0.12, rtol=0)
