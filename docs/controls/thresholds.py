"""Test whether a fixed threshold layer masks gradients, with a straight-through attack within reach of eps.

python docs/controls/thresholds.py [--results FOLDER] [--images N] [--eps EPS]
after `snakemake --cores 2 --config study=config/evening.yaml -- results/comparisons/thresholds.parquet`
"""

import argparse
from pathlib import Path

import torch
from torch import nn

from advgen.attacks.ensemble import ensemble
from advgen.data.images import load_subset
from advgen.io.checkpoints import load_model
from advgen.metrics.intervals import rate_over_runs
from advgen.specs.attacks import EnsembleAttack


class StraightThroughReLU(torch.autograd.Function):
    """ReLU with a gradient of 1 from `-eps` on (BPDA of Athalye, Carlini and Wagner, 2018)."""

    @staticmethod
    def forward(ctx, x, eps):
        ctx.save_for_backward(x > -eps)
        return x.relu()

    @staticmethod
    def backward(ctx, gradient):
        (passes,) = ctx.saved_tensors
        return gradient * passes, None


class StraightThroughThreshold(nn.Module):
    """The threshold activation with the straight-through gradient."""

    def __init__(self, eps):
        super().__init__()
        self.eps = eps

    def forward(self, x):
        return StraightThroughReLU.apply(x, self.eps)


def main():
    """Print the accuracy under `standard` with original gradients, straight-through gradients and both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--eps", type=float, default=0.1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    x, y, _ = load_subset(arguments.results / "datasets/mnist/test.parquet", arguments.images, 0)
    spec = EnsembleAttack(kind="ensemble", effort="standard", eps=arguments.eps)
    names = ("original gradients", "straight-through gradients", "worst case of both")
    shares = {name: [] for name in names}
    for path in sorted(arguments.results.glob("classifiers/thresholded-fixed/seed*/classifier.safetensors")):
        correct = []
        for straight_through in (False, True):
            model = load_model(path).eval().requires_grad_(False)
            if straight_through:
                model.body[1] = StraightThroughThreshold(arguments.eps)
            found = ensemble(model, x, y, spec, seed=0, indices=list(range(len(y))))
            correct.append(model(found).argmax(1) == y)
        for name, robust in zip(names, (*correct, correct[0] & correct[1]), strict=True):
            shares[name].append(robust.double().mean().item())
        print(path.parent.name, *(f"{name} {100 * shares[name][-1]:.1f} %" for name in names), sep="; ", flush=True)
    for name, each in shares.items():
        mean, low, high = (100 * one for one in rate_over_runs(each, len(y)))
        print(f"{name}: {mean:.1f} % [{low:.1f}, {high:.1f}]")


if __name__ == "__main__":
    main()
