"""Does a fixed layer of thresholds hide gradients? Attacked with gradients that pass it where eps reaches over it.

python docs/controls/thresholds.py [--results FOLDER] [--images N] [--eps EPS]
after `snakemake --cores 2 --config study=config/evening.yaml -- results/comparisons/thresholds.parquet`
"""

import argparse
from pathlib import Path

import torch
from torch import nn

from advgen.attacks.ensemble import ensemble
from advgen.data.images import load_choice
from advgen.io.checkpoints import load_model
from advgen.metrics.intervals import share_over_runs
from advgen.specs.attacks import EnsembleAttack


class Reached(torch.autograd.Function):
    """ReLU, with a gradient of 1 as far as `eps` below zero, too (BPDA of Athalye, Carlini and Wagner, 2018)."""

    @staticmethod
    def forward(ctx, x, eps):
        ctx.save_for_backward(x > -eps)
        return x.relu()

    @staticmethod
    def backward(ctx, gradient):
        (reached,) = ctx.saved_tensors
        return gradient * reached, None


class Passed(nn.Module):
    """The first activation of a net with thresholds, its gradient as above."""

    def __init__(self, eps):
        super().__init__()
        self.eps = eps

    def forward(self, x):
        return Reached.apply(x, self.eps)


def main():
    """Accuracy left by `standard` with the net's own gradients, with the others, under both: each seed and means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--eps", type=float, default=0.1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    x, y, _ = load_choice(arguments.results / "datasets/mnist/test.parquet", arguments.images, 0)
    spec = EnsembleAttack(kind="ensemble", effort="standard", eps=arguments.eps)
    names = ("its gradients", "gradients passed", "the worst of both")
    shares = {name: [] for name in names}
    for path in sorted(arguments.results.glob("classifiers/thresholded-fixed/seed*/classifier.safetensors")):
        right = []
        for passed in (False, True):
            model = load_model(path).eval().requires_grad_(False)
            if passed:
                model.body[1] = Passed(arguments.eps)
            found = ensemble(model, x, y, spec, seed=0, indices=list(range(len(y))))
            right.append(model(found).argmax(1) == y)
        for name, left in zip(names, (*right, right[0] & right[1]), strict=True):
            shares[name].append(left.double().mean().item())
        print(path.parent.name, *(f"{name} {100 * shares[name][-1]:.1f} %" for name in names), sep="; ", flush=True)
    for name, each in shares.items():
        mean, low, high = (100 * one for one in share_over_runs(each, len(y)))
        print(f"{name}: {mean:.1f} % [{low:.1f}, {high:.1f}]")


if __name__ == "__main__":
    main()
