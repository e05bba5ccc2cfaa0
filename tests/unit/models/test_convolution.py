"""The gradient of a loss by the filter of a convolution, as the report wrote it down, against autograd.

Two operators share the name. Deep learning's layer (torch's conv2d) is a cross-correlation, y[i, j] = sum over m, n of
x[i + m, j + n] w[m, n]; mathematics' convolution flips the filter, y[i, j] = sum of x[i + M - 1 - m, j + N - 1 - n]
w[m, n]. With g[i, j] the derivative of the loss by y[i, j], each has a formula of its own:

    cross-correlation   dL/dw[m, n] = sum over i, j of g[i, j] x[i + m, j + n]
    true convolution    dL/dw[m, n] = sum over i, j of g[i, j] x[i + M - 1 - m, j + N - 1 - n]

The second is the first turned by half a turn, so each is wrong for the other operator. The sums go over all of g and
hold for every m and n: index ranges up to half of the filter's sides would cover a quarter of its weights.
"""

import pytest
import torch
from torch.nn.functional import conv2d


def cross_correlation(x_HW, w_MN):
    """y[i, j] = sum of x[i + m, j + n] w[m, n]."""
    return conv2d(x_HW[None, None], w_MN[None, None])[0, 0]


def true_convolution(x_HW, w_MN):
    """y[i, j] = sum of x[i + M - 1 - m, j + N - 1 - n] w[m, n]."""
    return conv2d(x_HW[None, None], w_MN.flip(0, 1)[None, None])[0, 0]


def gradient_of_cross_correlation(x_HW, g_IJ, m, n):
    rows, columns = g_IJ.shape
    return sum(g_IJ[i, j] * x_HW[i + m, j + n] for i in range(rows) for j in range(columns))


def gradient_of_true_convolution(x_HW, g_IJ, m, n, shape):
    rows, columns = g_IJ.shape
    up, left = shape[0] - 1 - m, shape[1] - 1 - n
    return sum(g_IJ[i, j] * x_HW[i + up, j + left] for i in range(rows) for j in range(columns))


@pytest.fixture(params=[(3, 3), (2, 4), (5, 1)], ids=str)
def problem(request):
    torch.manual_seed(0)
    x_HW = torch.randn(7, 6, dtype=torch.float64)
    return x_HW, torch.randn(*request.param, dtype=torch.float64, requires_grad=True)


def autograd(operator, x_HW, w_MN):
    """The derivatives of a nonlinear loss by y and by w."""
    y_IJ = operator(x_HW, w_MN)
    return torch.autograd.grad(y_IJ.sin().sum() + y_IJ.square().sum(), [y_IJ, w_MN])


def places(w_MN):
    return [(m, n) for m in range(w_MN.shape[0]) for n in range(w_MN.shape[1])]


def test_the_operators_are_what_their_formulas_say(problem):
    x_HW, w_MN = problem
    height, width = w_MN.shape
    for operator, turned in ((cross_correlation, False), (true_convolution, True)):
        y_IJ = operator(x_HW, w_MN)
        assert y_IJ.shape == (7 - height + 1, 6 - width + 1)
        for i, j in ((0, 0), (1, 2)):
            expected = sum(
                w_MN[m, n] * (x_HW[i + height - 1 - m, j + width - 1 - n] if turned else x_HW[i + m, j + n])
                for m, n in places(w_MN)
            )
            torch.testing.assert_close(y_IJ[i, j], expected)


def test_cross_correlation_has_the_formula_of_cross_correlation(problem):
    x_HW, w_MN = problem
    g_IJ, gradient_MN = autograd(cross_correlation, x_HW, w_MN)
    for m, n in places(w_MN):
        torch.testing.assert_close(gradient_MN[m, n], gradient_of_cross_correlation(x_HW, g_IJ, m, n))


def test_true_convolution_has_the_formula_of_true_convolution(problem):
    x_HW, w_MN = problem
    g_IJ, gradient_MN = autograd(true_convolution, x_HW, w_MN)
    for m, n in places(w_MN):
        torch.testing.assert_close(gradient_MN[m, n], gradient_of_true_convolution(x_HW, g_IJ, m, n, w_MN.shape))


def test_each_formula_is_wrong_for_the_other_operator(problem):
    x_HW, w_MN = problem
    g_IJ, gradient_MN = autograd(cross_correlation, x_HW, w_MN)
    other = [gradient_of_true_convolution(x_HW, g_IJ, m, n, w_MN.shape) for m, n in places(w_MN)]
    assert not torch.allclose(gradient_MN.flatten(), torch.stack(other))


def test_torchs_layer_is_the_cross_correlation():
    layer = torch.nn.Conv2d(1, 1, 3, bias=False, dtype=torch.float64)
    x_HW = torch.randn(6, 6, dtype=torch.float64)
    y_IJ = layer(x_HW[None, None])[0, 0]
    torch.testing.assert_close(y_IJ, cross_correlation(x_HW, layer.weight[0, 0]))
    assert not torch.allclose(y_IJ, true_convolution(x_HW, layer.weight[0, 0]))
