"""GAN inversion: gradient search for the latent vectors whose images are nearest to target images."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from advgen import seeds
from advgen.models.few_channels import accelerate_convolutions
from advgen.models.generators import Generator
from advgen.models.graphs import capture_step, uses_cuda_graphs
from advgen.models.predict import eval_mode, scale_batch_size
from advgen.specs.base import format_shape
from advgen.specs.searches import LatentSearch

ROWS = 512
"""Rows per batch on the CPU: enough to use it fully, with less than 500 MB of activations for the generator M1."""
ENCODER_SPREAD = 0.5  # standard deviation of the other starts around that of an encoder

Loss = Callable[[Tensor, Tensor], Tensor]
"""From generated images (B, C, H, W) and the indices of their targets (B,) to losses (B,)."""


@dataclass(frozen=True)
class SearchResult:
    """The result for N targets with S starts each, on the CPU."""

    z: Tensor
    """Latent vectors (N, S, D)."""
    mse: Tensor
    """Their final loss (N, S): the mean squared error, or the `loss` of the search."""
    images: Tensor
    """Their images (N, S, C, H, W)."""
    history: Tensor
    """The loss (N, S, T) after each number of steps in `steps`."""
    steps: Tensor
    """Integers (T,) from 0 to the last step."""

    def best(self) -> Tensor:
        """Images of the starts with the lowest loss (N, C, H, W)."""
        return self.images[torch.arange(len(self.images)), self.mse.argmin(1)]


def search(
    generator: Generator,
    targets_NCHW: Tensor,
    spec: LatentSearch,
    *,
    seed: int,
    indices: list[int],
    loss: Loss | None = None,
    encoder: nn.Module | None = None,
    record_every: int = 10,
    progress: Callable[[int, int], None] | None = None,
) -> SearchResult:
    """Search a latent vector for each target from several starts, all as rows of one tensor.

    Rows are independent: the generator is in eval mode, losses are summed over rows, and starts are drawn per seed,
    index and start. So the result of a target depends on its batch only by rounding. `generator` is not changed.

    Args:
        generator: z (B, latent) to images (B, C, H, W) in [0, 1]; the search runs on its device.
        targets_NCHW: float32 images in [0, 1].
        indices: positions of the targets in the data set, which seed the random starts.
        loss: the loss to minimise; None for the mean squared error over all pixels.
        encoder: targets to latent vectors (N, latent), which are the first starts; the others are drawn around them.
            None: all starts are drawn from N(0, I).
        record_every: steps between two entries of the history, which always has the first and last step.
        progress: called after every step with the steps done and their total.

    Raises:
        ValueError: targets and generator differ in shape, or the search diverges.
    """
    if tuple(targets_NCHW.shape[1:]) != tuple(generator.image):
        raise ValueError(
            f"the generator makes {format_shape(generator.image)} images, "
            f"but those to invert are {format_shape(targets_NCHW[0].shape)}"  # type: ignore[arg-type]
        )
    weight = next(generator.parameters())  # the search uses its device and precision
    frozen = accelerate_convolutions(_fold_batch_norms(generator).to(memory_format=torch.channels_last))
    targets_NCHW = targets_NCHW.to(weight)
    if loss is None:

        def loss(x_BCHW: Tensor, rows_B: Tensor) -> Tensor:
            return (x_BCHW - targets_NCHW[rows_B]).square().mean((1, 2, 3))

    starts_NSD = torch.stack(
        [seeds.normal(seed, f"start {start}", indices, generator.latent) for start in range(spec.starts)], 1
    )
    if encoder is not None:
        starts_NSD[:, 0] = 0
        with eval_mode(encoder), torch.no_grad():
            encoded_ND = torch.cat([encoder(part_BCHW) for part_BCHW in targets_NCHW.split(ROWS)]).cpu()
        starts_NSD = encoded_ND[:, None] + ENCODER_SPREAD * starts_NSD
    rows_R = torch.arange(len(indices), device=weight.device).repeat_interleave(spec.starts)
    rows = scale_batch_size(ROWS, weight.device)
    chunks = list(zip(starts_NSD.flatten(0, 1).to(weight).split(rows), rows_R.split(rows), strict=True))
    steps = sorted({*range(0, spec.steps, record_every), spec.steps})
    results = []
    for number, (start_BD, rows_B) in enumerate(chunks):

        def advance(step: int, before: int = number * spec.steps) -> None:
            if progress is not None:
                progress(before + step, len(chunks) * spec.steps)

        results.append(_descend(frozen, start_BD, rows_B, spec, loss, steps, advance))
    z_RD, images_RCHW, history_RT = (torch.cat(parts).cpu() for parts in zip(*results, strict=True))
    if not history_RT[:, -1].isfinite().all():
        raise ValueError(f"the latent search diverges with {spec.optimizer} at lr {spec.lr:g}: lower lr")
    per_target = (len(indices), spec.starts)
    z, images, history = (part.unflatten(0, per_target) for part in (z_RD, images_RCHW, history_RT))
    return SearchResult(z, history[..., -1], images, history, torch.tensor(steps))


def _fold_batch_norms(generator: Generator) -> Generator:
    """A frozen copy in eval mode with batch norms folded into the transposed convolutions before them."""
    folded = copy.deepcopy(generator).eval().requires_grad_(False)
    layers: list[nn.Module] = []
    for layer in folded.layers:
        if isinstance(layer, nn.BatchNorm2d) and layers and isinstance(layers[-1], nn.ConvTranspose2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer, transpose=True)
        else:
            layers.append(layer)
    folded.layers = nn.Sequential(*layers)
    return folded


def _descend(
    generator: nn.Module,
    start_BD: Tensor,
    rows_B: Tensor,
    spec: LatentSearch,
    loss: Loss,
    steps: list[int],
    advance: Callable[[int], None],
) -> tuple[Tensor, Tensor, Tensor]:
    """Final z, its images, and the loss at `steps` (B, T)."""
    z_BD = start_BD.clone().requires_grad_()
    optimizer: torch.optim.Optimizer = torch.optim.SGD([z_BD], lr=spec.lr)
    if spec.optimizer == "adam":
        on_gpu = z_BD.device.type != "cpu"
        optimizer = torch.optim.Adam([z_BD], lr=spec.lr, fused=on_gpu, capturable=uses_cuda_graphs(z_BD.device))

    def descend() -> Tensor:
        loss_B = loss(generator(z_BD), rows_B)
        optimizer.zero_grad()
        # summed over rows, so that the step of each z does not depend on the batch
        loss_B.sum().backward()
        optimizer.step()
        return loss_B.detach()

    descend = capture_step(descend, z_BD.device)
    history: list[Tensor] = []
    for step in range(spec.steps):
        loss_B = descend()
        if step in steps:
            history.append(loss_B)
        advance(step + 1)
    with torch.no_grad():
        x_BCHW = generator(z_BD)
        history.append(loss(x_BCHW, rows_B))
    return z_BD.detach(), x_BCHW, torch.stack(history, 1)
