"""Measures of single images: noise of the background, extent and ink, sharpness."""

import pytest
import torch

from advgen.metrics.image import extent, isolated_energy, laplacian_variance, ssim


def strokes(count=3, channels=1):
    """White bars on black."""
    x_NCHW = torch.zeros(count, channels, 28, 28)
    x_NCHW[:, :, 8:20, 12:15] = 1
    return x_NCHW


def test_single_bright_pixels_count_with_their_energy():
    x_NCHW = strokes()
    x_NCHW[0, 0, 2, 2] = 0.5
    x_NCHW[1, 0, 2, 2] = x_NCHW[1, 0, 24, 24] = 0.5
    assert isolated_energy(x_NCHW).tolist() == pytest.approx([0.25 / 784, 0.5 / 784, 0])


def test_holes_in_strokes_are_not_background():
    x_NCHW = torch.ones(1, 1, 28, 28)
    x_NCHW[0, 0, 5, 5] = 0
    assert isolated_energy(x_NCHW).item() == 0


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
