"""Adversarial spheres: the distance to the nearest error when errors are rare [gilmer2018adversarial]."""

import math
from collections.abc import Sequence

import torch
from scipy.special import ndtri
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from advgen.seeds import derive, seed_global
from advgen.simulations.common import Point, Progress, point
from advgen.specs.simulations import Spheres

ATTACK_STEPS, STEP_SIZE = 200, 0.01


def spheres(spec: Spheres, *, seeds: Sequence[int], progress: Progress) -> list[Point]:
    """For each dimension, the error rate on the inner of two concentric spheres that a network is trained to classify.

    If there are errors, also the mean distance from correctly classified points to the nearest error found, and that
    distance for the best possible error set of the same measure, a cap.
    """
    measured: dict[tuple[str, str, int], list[float]] = {}
    total, done = len(seeds) * len(spec.dimensions) * spec.steps, 0
    for seed in seeds:
        for dimension in spec.dimensions:
            seed_global(derive(seed, "spheres", dimension))
            model = nn.Sequential(
                nn.Linear(dimension, spec.hidden), nn.ReLU(), nn.Linear(spec.hidden, spec.hidden), nn.ReLU(),
                nn.Linear(spec.hidden, 1),
            )  # fmt: skip
            optimizer = torch.optim.Adam(model.parameters(), 1e-3)
            for _ in range(spec.steps):
                outer_B = (torch.rand(spec.batch) < 0.5).float()
                x_BD = _sphere(spec.batch, dimension) * (1 + (spec.radius - 1) * outer_B)[:, None]
                loss = binary_cross_entropy_with_logits(model(x_BD).squeeze(1), outer_B)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                done += 1
                progress(done, total, {"dimension": dimension, "loss": loss.item()})
            model.requires_grad_(False)
            x_ND = _sphere(spec.points, dimension)
            wrong_N = model(x_ND).squeeze(1) > 0
            error = wrong_N.double().mean().item()
            measured.setdefault(("error rate", "share of points", dimension), []).append(error)
            nearest_M = _nearest_error(model, x_ND[~wrong_N][: spec.points // 10])
            if error and nearest_M.isfinite().any():
                distance = nearest_M[nearest_M.isfinite()].mean().item()
                measured.setdefault(("nearest error found", "distance", dimension), []).append(distance)
                best = best_distance(error, dimension)
                measured.setdefault(("best possible", "distance", dimension), []).append(best)
    return [
        point(series, "dimension", y_name, dimension, values)
        for (series, y_name, dimension), values in measured.items()
    ]


def best_distance(error: float, dimension: int) -> float:
    """Mean distance from random points of the unit sphere to a cap of measure `error`.

    In high dimensions a coordinate of a random point is nearly normal with standard deviation 1/√d, so the cap begins
    at Φ⁻¹(1 − error)/√d, which is also about the mean distance to it.
    """
    return float(-ndtri(error) / dimension**0.5)


def _sphere(count: int, dimension: int) -> Tensor:
    """Uniform points of the unit sphere (count, dimension)."""
    x_ND = torch.randn(count, dimension)
    return x_ND / x_ND.norm(dim=1, keepdim=True)


def _nearest_error(model: nn.Module, x_MD: Tensor) -> Tensor:
    """Distance from each point to the first error that ascent along the sphere reaches (M,); infinite if none."""
    moved_MD = x_MD.clone()
    distance_M = torch.full((len(x_MD),), math.inf)
    for _ in range(ATTACK_STEPS):
        moved_MD.requires_grad_()
        (gradient_MD,) = torch.autograd.grad(model(moved_MD).sum(), moved_MD)
        moved_MD = moved_MD.detach() + STEP_SIZE * gradient_MD / gradient_MD.norm(dim=1, keepdim=True).clamp_min(1e-12)
        moved_MD = moved_MD / moved_MD.norm(dim=1, keepdim=True)
        reached_M = (model(moved_MD).squeeze(1) > 0) & distance_M.isinf()
        distance_M[reached_M] = (moved_MD - x_MD).norm(dim=1)[reached_M]
    return distance_M
