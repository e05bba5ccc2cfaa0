"""The best example of each image so far, and the selection of rows that it needs."""

import math

import torch
from torch import Tensor


def where(condition_B: Tensor, yes_BCHW: Tensor, no_BCHW: Tensor) -> Tensor:
    """`torch.where` for whole rows: each image from one of two batches."""
    return replace(no_BCHW.clone(), condition_B, yes_BCHW)


def replace(batch_BX: Tensor, condition_B: Tensor, by_BX: Tensor) -> Tensor:
    """Overwrite some rows of a batch with those of another one, in place.

    A CPU copies rows faster than it selects single numbers.
    """
    if batch_BX.device.type == "cpu":
        rows = condition_B.nonzero().flatten()
        return batch_BX.index_copy_(0, rows, by_BX.index_select(0, rows))
    condition_BX = condition_B.view(-1, *[1] * (batch_BX.dim() - 1))
    return torch.where(condition_BX, by_BX, batch_BX, out=batch_BX)


def _put_rows(batch_BX: Tensor, rows: Tensor, condition_R: Tensor, by_RX: Tensor) -> None:
    """Overwrite those of the given rows for which the condition holds, in place."""
    if batch_BX.device.type == "cpu":
        chosen = condition_R.nonzero().flatten()
        batch_BX.index_copy_(0, rows[chosen], by_RX.index_select(0, chosen))
    else:
        batch_BX[rows] = where(condition_R, by_RX, batch_BX[rows])


class BestExamples:
    """For each image, the first example that reaches the goal; before that, the example with the highest loss."""

    def __init__(self, x_BCHW: Tensor, loss_B: Tensor | None = None, success_B: Tensor | None = None):
        first_B = x_BCHW[:, 0, 0, 0]
        self.x_BCHW = x_BCHW.clone()
        self.loss_B = torch.full_like(first_B, -math.inf) if loss_B is None else loss_B
        self.success_B = torch.zeros_like(first_B, dtype=torch.bool) if success_B is None else success_B

    def unfinished(self) -> Tensor:
        """The rows of the images without a successful example."""
        return (~self.success_B).nonzero().flatten()

    def offer(self, rows: Tensor, x_RCHW: Tensor, loss_R: Tensor, success_R: Tensor) -> None:
        """Keep the examples of some rows where they are better than the best so far."""
        better_R = ~self.success_B[rows] & (success_R | (loss_R > self.loss_B[rows]))
        _put_rows(self.x_BCHW, rows, better_R, x_RCHW)
        _put_rows(self.loss_B, rows, better_R, loss_R)
        self.success_B[rows] |= success_R


class SmallestExamples:
    """For each image, the successful example with the smallest change, and the size of that change (inf: none)."""

    def __init__(self, x_BCHW: Tensor):
        self.x_BCHW = x_BCHW.clone()
        self.size_B = torch.full_like(x_BCHW[:, 0, 0, 0], math.inf)

    def offer(self, rows: Tensor, x_RCHW: Tensor, size_R: Tensor, success_R: Tensor) -> None:
        """Keep the examples of some rows where they succeed with a smaller change."""
        better_R = success_R & (size_R < self.size_B[rows])
        _put_rows(self.x_BCHW, rows, better_R, x_RCHW)
        _put_rows(self.size_B, rows, better_R, size_R)
