"""Filling holes without a generator, against the linear equations solved at once."""

import pytest
import torch

from advgen.inpainting.fill import blend_poisson, fill_harmonic, fill_poisson


def holes(height, width):
    """Random pixels, a square in a corner, all but one pixel, none."""
    known_NHW = torch.rand(4, height, width, generator=torch.Generator().manual_seed(0)) > 0.5
    known_NHW[1, :5, :5] = False
    known_NHW[2], known_NHW[3] = False, True
    known_NHW[2, 1, 2] = True
    return known_NHW


def solved(x_HW, known_HW):
    """Each missing pixel is the mean of its neighbours within the image."""
    height, width = x_HW.shape
    matrix, right = torch.zeros(2 * (height * width,)).double(), torch.zeros(height * width).double()
    for place in range(height * width):
        i, j = divmod(place, width)
        if known_HW[i, j]:
            matrix[place, place], right[place] = 1, x_HW[i, j]
            continue
        for k, m in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
            if 0 <= k < height and 0 <= m < width:
                matrix[place, place] += 1
                matrix[place, k * width + m] -= 1
    return torch.linalg.solve(matrix, right).reshape(height, width).float()


def test_missing_pixels_are_the_mean_of_their_neighbours():
    known_NHW, x_NCHW = holes(9, 12), torch.rand(4, 2, 9, 12)
    filled_NCHW = fill_harmonic(torch.where(known_NHW[:, None], x_NCHW, torch.nan), known_NHW)
    for n in range(4):
        for c in range(2):
            torch.testing.assert_close(filled_NCHW[n, c], solved(x_NCHW[n, c], known_NHW[n]))
    torch.testing.assert_close(filled_NCHW[2], x_NCHW[2, :, 1:2, 2:3].expand(2, 9, 12))
    assert torch.equal(filled_NCHW[3], x_NCHW[3])
    assert (fill_harmonic(x_NCHW, torch.zeros_like(known_NHW)) == 0).all()


def test_blending_keeps_the_gradients_of_what_is_blended_in():
    known_NHW, x_NCHW = holes(9, 12), 0.2 + 0.5 * torch.rand(4, 2, 9, 12)
    shifted = blend_poisson(torch.where(known_NHW[:, None], x_NCHW, torch.nan), known_NHW, x_NCHW - 0.1)
    torch.testing.assert_close(shifted, x_NCHW)
    flat = blend_poisson(x_NCHW, known_NHW, torch.full_like(x_NCHW, 0.4))
    torch.testing.assert_close(flat, fill_harmonic(x_NCHW, known_NHW))
    torch.testing.assert_close(flat[:, 0][known_NHW], x_NCHW[:, 0][known_NHW])


def test_poisson_fill_takes_the_gradients_of_the_training_image_nearest_in_known_pixels():
    random = torch.Generator().manual_seed(0)
    train_MCHW = torch.rand(30, 2, 9, 12, generator=random)
    known_NHW = holes(9, 12)[:2]
    x_NCHW = 0.8 * train_MCHW[[3, 20]] + 0.1  # paler than any, and nearest to those
    x_NCHW = torch.where(known_NHW[:, None], x_NCHW, torch.nan)
    filled = fill_poisson(x_NCHW, known_NHW, train_MCHW)
    torch.testing.assert_close(filled, blend_poisson(x_NCHW, known_NHW, train_MCHW[[3, 20]]))
    exact = torch.where(known_NHW[:, None], train_MCHW[[3, 20]], 0.0)
    torch.testing.assert_close(fill_poisson(exact, known_NHW, train_MCHW), train_MCHW[[3, 20]])


@pytest.mark.parametrize("size", [28, 64])
def test_as_many_steps_are_made_as_large_holes_take(size):
    known_NHW = torch.zeros(1, size, size, dtype=torch.bool)
    known_NHW[0, 0, 0] = known_NHW[0, -1, -1] = True
    x_NCHW = torch.zeros(1, 1, size, size)
    x_NCHW[..., -1, -1] = 1
    filled = fill_harmonic(x_NCHW, known_NHW)[0, 0]
    torch.testing.assert_close(filled + filled.flip(0, 1), torch.ones_like(filled))  # by symmetry
    assert filled[1, 1] < filled[size // 2, size // 2] < filled[-2, -2]
