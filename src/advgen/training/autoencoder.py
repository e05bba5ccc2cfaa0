"""Training of an autoencoder with mean squared error, and moment matching that makes its latent vectors normal."""

import math

import torch
from torch import Tensor

from advgen.models.autoencoders import Autoencoder
from advgen.models.graphs import capture_step, uses_cuda_graphs
from advgen.models.predict import eval_mode, to_unit_range
from advgen.specs.training import AutoencoderTraining, MomentMatching
from advgen.training import loop
from advgen.training.state import Callbacks

LEVELS = [level / 100 for level in range(1, 100)]
"""Levels at which quantiles of the latent numbers are recorded."""
MAX_IMAGES = 2560
"""Training images whose latent vectors are recorded."""


def train_autoencoder(
    model: Autoencoder,
    images_NCHW: Tensor,
    spec: AutoencoderTraining,
    seed: int,
    device: str,
    callbacks: Callbacks,
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Train an autoencoder in place on uint8 images and leave it in eval mode.

    Returns:
        The history, a row per batch: `step` from 1, `epoch` as a fraction, `loss` (mean squared error on the [0, 1]
        scale), `moment_loss` (also if it is not minimised) and `moment_factor`, its weight.
        Snapshots, a row per epoch and level: the quantile of all latent numbers at this `level` (`pooled`), and the
        10th and 90th percentile of the quantiles of single dimensions (`dimension_low` and `dimension_high`).

    Raises:
        ValueError: the loss is no longer finite.
    """
    images_NCHW = images_NCHW.to(device)
    model.to(device).train()
    on_gpu = torch.device(device).type != "cpu"
    optimizer = torch.optim.Adam(model.parameters(), spec.lr, fused=on_gpu, capturable=uses_cuda_graphs(device))
    epochs = max(1, math.ceil(spec.epochs))
    snapshots = torch.zeros(epochs, len(LEVELS), 3)
    moments = spec.moments or MomentMatching()

    def update(rows_B: Tensor, factor: Tensor | float, is_matched: bool) -> tuple[Tensor, Tensor]:
        x_BCHW = to_unit_range(images_NCHW[rows_B])
        restored_BCHW, z_BD = model(x_BCHW)
        loss = (restored_BCHW - x_BCHW).square().mean()
        with torch.set_grad_enabled(spec.moments is not None):
            distance = moment_loss(z_BD, moments.kind) if len(z_BD) > 1 else loss.new_zeros(())
        optimizer.zero_grad()
        (loss + factor * distance if is_matched else loss).backward()
        optimizer.step()
        return loss.detach(), distance.detach()

    update = capture_step(update, device)

    def run_step(step: loop.Step) -> tuple[Tensor, Tensor, float]:
        factor = moment_factor(moments, step.epoch + 1) if spec.moments else 0.0
        loss, distance = update(step.rows_B, factor, factor != 0)
        if step.ends_epoch:
            with eval_mode(model), torch.no_grad():
                snapshots[step.epoch] = quantiles(model.encode(to_unit_range(images_NCHW[:MAX_IMAGES]))).cpu()
        return loss, distance, factor

    history = loop.run(
        run_step,
        examples=len(images_NCHW),
        batch=spec.batch,
        epochs=spec.epochs,
        seed=seed,
        device=device,
        parts={"model": model, "optimizer": optimizer},
        columns=("loss", "moment_loss", "moment_factor"),
        callbacks=callbacks,
        remedy="lower lr",
        extras={"snapshots": snapshots},
    )
    model.eval()
    rows = snapshots.flatten(0, 1)
    return history, {
        "epoch": [epoch for epoch in range(1, epochs + 1) for _ in LEVELS],
        "level": LEVELS * epochs,
        "pooled": rows[:, 0].tolist(),
        "dimension_low": rows[:, 1].tolist(),
        "dimension_high": rows[:, 2].tolist(),
    }


def moment_factor(spec: MomentMatching, epoch: int) -> float:
    """Weight of the moment loss in an epoch, from 1: it doubles every epoch until it stays constant."""
    return spec.first * 2.0 ** (min(epoch, spec.constant_from) - 1)


def moment_loss(z_BD: Tensor, kind: str) -> Tensor:
    """Distance of latent vectors from N(0, I), a scalar.

    `pooled`: mean squared error of the mean, variance and kurtosis of all numbers together against 0, 1 and 3, which
    dimensions with different distributions can also satisfy. `covariance`: the same per dimension, averaged, plus the
    squared distance of the covariance matrix from the identity, per dimension.
    """
    if kind == "pooled":
        return _moments(z_BD.flatten()[:, None]).mean()
    centred_BD = z_BD - z_BD.mean(0)
    covariance_DD = centred_BD.T @ centred_BD / len(z_BD)
    identity = torch.eye(len(covariance_DD), dtype=covariance_DD.dtype, device=covariance_DD.device)
    return _moments(z_BD).mean() + (covariance_DD - identity).square().sum() / len(covariance_DD)


def _moments(z_BD: Tensor) -> Tensor:
    """Mean squared error of the three moments of each column, (D,)."""
    mean_D = z_BD.mean(0)
    centred_BD = z_BD - mean_D
    variance_D = centred_BD.square().mean(0)
    kurtosis_D = centred_BD.pow(4).mean(0) / variance_D.square().clamp_min(1e-6)
    return (mean_D.square() + (variance_D - 1).square() + (kurtosis_D - 3).square()) / 3


def quantiles(z_BD: Tensor) -> Tensor:
    """Quantiles at LEVELS (levels, 3): of all numbers, and the 10th and 90th percentile over dimensions."""
    levels = z_BD.new_tensor(LEVELS)
    positions = (levels * (z_BD.numel() - 1)).round().long()
    pooled = z_BD.flatten().sort().values[positions]  # torch.quantile takes at most 16 million numbers
    per_dimension = z_BD.quantile(levels, dim=0)
    return torch.stack([pooled, per_dimension.quantile(0.1, dim=1), per_dimension.quantile(0.9, dim=1)], 1)
