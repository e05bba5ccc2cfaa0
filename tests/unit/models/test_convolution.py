"""The gradient of a loss by the filter of a convolution, as the report wrote it down, against autograd.

Two operators share the name. Deep learning's layer (torch's conv2d) is a cross-correlation, y[i, j] = sum over m, n of
x[i + m, j + n] w[m, n]; mathematics' convolution flips the filter, y[i, j] = sum of x[i + M - 1 - m, j + N - 1 - n]
w[m, n]. With g[i, j] the derivative of the loss by y[i, j], each has a formula of its own:

    cross-correlation   dL/dw[m, n] = sum over i, j of g[i, j] x[i + m, j + n]
    true convolution    dL/dw[m, n] = sum over i, j of g[i, j] x[i + M - 1 - m, j + N - 1 - n]

The second is the first turned by half a turn, so each is wrong for the other operator. The sums go over all of g and
hold for every m and n: index ranges up to half of the filter's sides would cover a quarter of its weights.
"""

from itertools import product

import pytest
import torch
from torch.nn.functional import conv2d


def convolve(x_HW, w_MN, turned):
    """The cross-correlation, or with a turned filter the true convolution."""
    return conv2d(x_HW[None, None], (w_MN.flip(0, 1) if turned else w_MN)[None, None])[0, 0]


def pair_up(x_HW, shape, other_shape, turned):
    """For each place [m, n] of a filter and [i, j] of the output, the pixel that both formulas multiply."""
    height, width = shape
    pixels = [
        x_HW[i + (height - 1 - m if turned else m), j + (width - 1 - n if turned else n)]
        for m, n, i, j in product(*map(range, (*shape, *other_shape)))
    ]
    return torch.stack(pixels).view(*shape, *other_shape)


@pytest.mark.parametrize("turned", [False, True], ids=["cross-correlation", "true convolution"])
@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (5, 1)], ids=str)
def test_each_operator_has_its_own_formula(shape, turned):
    torch.manual_seed(0)
    x_HW, w_MN = torch.randn(7, 6, dtype=torch.float64), torch.randn(*shape, dtype=torch.float64, requires_grad=True)
    y_IJ = convolve(x_HW, w_MN, turned)
    pixels_MNIJ, others_MNIJ = (pair_up(x_HW, shape, y_IJ.shape, one) for one in (turned, not turned))
    torch.testing.assert_close(y_IJ, (pixels_MNIJ * w_MN[:, :, None, None]).sum((0, 1)))
    g_IJ, gradient_MN = torch.autograd.grad(y_IJ.sin().sum() + y_IJ.square().sum(), [y_IJ, w_MN])
    torch.testing.assert_close(gradient_MN, (g_IJ * pixels_MNIJ).sum((2, 3)))
    assert not torch.allclose(gradient_MN, (g_IJ * others_MNIJ).sum((2, 3)))


def test_torchs_layer_is_the_cross_correlation():
    layer = torch.nn.Conv2d(1, 1, 3, bias=False, dtype=torch.float64)
    x_HW = torch.randn(6, 6, dtype=torch.float64)
    y_IJ = layer(x_HW[None, None])[0, 0]
    torch.testing.assert_close(y_IJ, convolve(x_HW, layer.weight[0, 0], False))
    assert not torch.allclose(y_IJ, convolve(x_HW, layer.weight[0, 0], True))
