"""Measures of single images: noise of the background, extent and ink, sharpness."""

import pytest
import torch

from advgen.metrics.image import extent, isolated_energy, laplacian_variance, ssim


def strokes(count=3, channels=1):
    """White bars on black."""
    x_NCHW = torch.zeros(count, channels, 28, 28)
    x_NCHW[:, :, 8:20, 12:15] = 1
    return x_NCHW


def test_clean_strokes_have_no_isolated_energy():
    assert isolated_energy(strokes()).tolist() == [0, 0, 0]


def test_single_bright_pixels_count_with_their_energy():
    x_NCHW = strokes()
    x_NCHW[0, 0, 2, 2] = 0.5
    x_NCHW[1, 0, 2, 2] = x_NCHW[1, 0, 24, 24] = 0.5
    assert isolated_energy(x_NCHW).tolist() == pytest.approx([0.25 / 784, 0.5 / 784, 0])


def test_salt_and_pepper_is_told_from_a_smooth_blob_of_the_same_energy():
    generator = torch.Generator().manual_seed(0)
    salt = (torch.rand(1, 1, 28, 28, generator=generator) < 0.03).float()
    blob = torch.zeros(1, 1, 28, 28)
    blob[0, 0, 10:15, 10:15] = 1
    assert blob.sum() >= salt.sum()
    assert isolated_energy(salt) > 5 * isolated_energy(blob)


def test_holes_in_strokes_are_not_background():
    x_NCHW = torch.ones(1, 1, 28, 28)
    x_NCHW[0, 0, 5, 5] = 0
    assert isolated_energy(x_NCHW).item() == 0


def test_energy_of_many_images_is_that_of_each():
    x_NCHW = torch.rand(1203, 2, 6, 6, generator=torch.Generator().manual_seed(0)) ** 4
    whole = isolated_energy(x_NCHW)
    assert whole.shape == (1203,)
    for row in (0, 499, 500, 1202):
        torch.testing.assert_close(whole[row], isolated_energy(x_NCHW[row : row + 1])[0])


def test_extent_of_a_bar():
    ink, width, height = extent(strokes())
    assert ink.tolist() == pytest.approx([36 / 784] * 3)
    assert width.tolist() == [3] * 3
    assert height.tolist() == [12] * 3


def test_extent_ignores_what_is_faint_and_gives_0_for_nothing():
    x_NCHW = strokes(2)
    x_NCHW[0, 0, 0, 0] = 0.4
    x_NCHW[1] = 0.3
    _, width, height = extent(x_NCHW)
    assert (width.tolist(), height.tolist()) == ([3, 0], [12, 0])


def test_extent_of_colour_is_that_of_the_brightest_channel():
    x_NCHW = torch.zeros(1, 3, 10, 10)
    x_NCHW[0, 0, 2, 3], x_NCHW[0, 2, 7, 4] = 1, 1
    ink, width, height = extent(x_NCHW)
    assert (width.item(), height.item()) == (2, 6)
    assert ink.item() == pytest.approx(2 / 300)


def test_blur_takes_sharpness_away():
    sharp = strokes()
    blurred = torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)
    assert (laplacian_variance(blurred) < 0.5 * laplacian_variance(sharp)).all()
    slope = torch.arange(20.0).view(1, 1, 1, 20).expand(1, 3, 20, 20) / 20
    assert laplacian_variance(slope).item() == pytest.approx(0, abs=1e-10)


def test_ssim_of_colour_images_does_not_depend_on_their_layout_in_memory():
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.rand(2, 3, 16, 16, generator=generator) for _ in range(2))
    expected = ssim(one, other)
    torch.testing.assert_close(ssim(one.to(memory_format=torch.channels_last), other), expected)
    per_channel = torch.stack([ssim(one[:, [c]], other[:, [c]]) for c in range(3)]).mean(0)
    torch.testing.assert_close(expected, per_channel)


def test_a_laplacian_by_hand():
    """One bright pixel in a picture of 4×4: its Laplacian in the inner 2×2 is -4, 1, 1 and 0, of mean -1/2."""
    x_NCHW = torch.zeros(1, 1, 4, 4)
    x_NCHW[0, 0, 1, 1] = 1
    assert laplacian_variance(x_NCHW).item() == pytest.approx((3.5**2 + 1.5**2 + 1.5**2 + 0.5**2) / 4)


def test_a_grey_background_is_not_noise():
    """The limit of what is dark is 0.1; it may stand beside a bright pixel."""
    for level, counted in ((0.09, True), (0.1, False), (0.11, False)):
        x_NCHW = torch.full((1, 1, 9, 9), level, dtype=torch.float64)
        x_NCHW[0, 0, 4, 4] = 1
        assert isolated_energy(x_NCHW).item() == pytest.approx((1 - level) ** 2 / 81 if counted else 0)


def test_the_limit_of_what_is_bright():
    x_NCHW = torch.zeros(1, 1, 6, 9)
    x_NCHW[0, 0, 1, 2], x_NCHW[0, 0, 1, 3], x_NCHW[0, 0, 4, 6] = 0.5, 0.51, 0.51
    _, width, height = extent(x_NCHW)
    assert (width.item(), height.item()) == (4, 4)
