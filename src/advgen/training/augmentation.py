"""Random changes of training images that do not change their class."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def augment(x_BCHW: Tensor, shift: int, flip: bool) -> Tensor:
    """Images shifted at random by up to `shift` pixels over zeros, and with `flip` mirrored with probability 1/2."""
    count, _, height, width = x_BCHW.shape
    if shift:
        start_B2 = torch.randint(0, 2 * shift + 1, (count, 2), device=x_BCHW.device)
        rows_BH = start_B2[:, :1] + torch.arange(height, device=x_BCHW.device)
        columns_BW = start_B2[:, 1:] + torch.arange(width, device=x_BCHW.device)
        images_B11 = torch.arange(count, device=x_BCHW.device)[:, None, None]
        shifted_BHWC = pad(x_BCHW, [shift] * 4)[images_B11, :, rows_BH[:, :, None], columns_BW[:, None]]
        x_BCHW = shifted_BHWC.permute(0, 3, 1, 2).contiguous()
    if flip:
        mirrored_B = torch.rand(count, device=x_BCHW.device) < 0.5
        x_BCHW = torch.where(mirrored_B[:, None, None, None], x_BCHW.flip(3), x_BCHW)
    return x_BCHW
