"""Our attack ensembles beside AutoAttack's standard one: same process, nets, images and balls, one thread.

    python benchmarks/ensemble.py [--results FOLDER] [--images N] [--only WORDS]

Prints a row per net and ball: accuracy left under each, and how many times faster than AutoAttack ours are. All three
are run one after the other on one part of the images after the other, so that a slower hour hits all alike; times are
of the process (CPU). AutoAttack is that of its authors (PyPI: pyautoattack, version 0.2.0), as it is: it drops what has
fallen after each of its attacks (`pip install --no-deps pyautoattack==0.2.0`). The nets are those of the study
benchmarks/ensemble.yaml.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from pyautoattack import AutoAttack
from torch import Tensor, nn

from advgen.attacks.ensemble import ensemble
from advgen.data.images import load_subset
from advgen.io.checkpoints import load_model
from advgen.models.predict import predict, to_unit_range
from advgen.specs.attacks import EnsembleAttack

PART = 250
"""Images attacked at once, by all."""
CASES = [
    ("fc100", "linf", 0.05),
    ("fc100", "linf", 0.1),
    ("fc100", "l2", 1.0),
    ("fc-pgd", "linf", 0.1),
    ("fc-pgd", "linf", 0.15),
    ("fc-fast", "linf", 0.05),
    ("fc-fast", "linf", 0.1),
    ("cnn", "linf", 0.05),
    ("cnn", "linf", 0.1),
    ("cnn", "l2", 1.5),
    ("cnn-fgsm", "linf", 0.1),
    ("cnn-fgsm", "linf", 0.25),
    ("cnn-pgd", "linf", 0.1),
    ("cnn-pgd", "linf", 0.2),
    ("cnn-pgd-l2", "l2", 1.0),
    ("cnn-pgd-l2", "l2", 2.0),
    ("cnn-fast", "linf", 0.2),
    ("cnn-fast", "linf", 0.3),
]
Attack = Callable[[nn.Module, Tensor, Tensor, str, float], Tensor]


class Found(NamedTuple):
    """Images left right, and seconds spent."""

    left: int
    seconds: float


def autoattack(model: nn.Module, x: Tensor, y: Tensor, norm: str, eps: float) -> Tensor:
    """The reference."""
    names = {"linf": "Linf", "l2": "L2"}
    attack = AutoAttack(model, norm=names[norm], eps=eps, version="standard", seed=0)
    found: Tensor = attack.run_standard_evaluation(x, y, batch_size=len(x))[0]
    return found


def ours(effort: str) -> Attack:
    """One of our ensembles."""

    def run(model: nn.Module, x: Tensor, y: Tensor, norm: str, eps: float) -> Tensor:
        spec = EnsembleAttack(kind="ensemble", effort=effort, norm=norm, eps=eps)
        return ensemble(model, x, y, spec, seed=0, indices=list(range(len(y))))

    return run


ATTACKS: Mapping[str, Attack] = {"AutoAttack": autoattack, "standard": ours("standard"), "quick": ours("quick")}


def compare(model: nn.Module, x: Tensor, y: Tensor, norm: str, eps: float) -> dict[str, Found]:
    """What each leaves of the images, and in which time."""
    found = dict.fromkeys(ATTACKS, Found(0, 0.0))
    for part_x, part_y in zip(x.split(PART), y.split(PART), strict=True):
        for name, attack in ATTACKS.items():
            start = time.process_time()
            attacked = attack(model, part_x, part_y, norm, eps)
            spent = time.process_time() - start
            change = (attacked - part_x).flatten(1).double()
            size = change.norm(dim=1) if norm == "l2" else change.abs().amax(1)
            assert size.max() <= eps + 1e-5, f"{name} left the ball"
            left = int((predict(model, attacked)[0] == part_y).sum())
            found[name] = Found(found[name].left + left, found[name].seconds + spent)
    return found


def row(net: str, norm: str, eps: float, clean: float, found: Mapping[str, Found], n: int) -> str:
    """A line of the table."""
    left = [f"{100 * found[name].left / n:.1f}" for name in ATTACKS]
    times = [f"{found['AutoAttack'].seconds / found[name].seconds:.1f}" for name in ("standard", "quick")]
    share = f"{found['quick'].seconds / found['standard'].seconds:.2f}"
    ball = f"{'L∞' if norm == 'linf' else 'L2'} {eps:g}"
    return f"| {net} | {ball} | {100 * clean:.1f} | {' | '.join(left)} | {' | '.join(times)} | {share} |"


def main() -> None:
    """Run all cases whose line holds some words."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--only", default="", metavar="WORDS", help="cases that hold this: cnn-pgd, linf, 0.1")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images, y, _ = load_subset(arguments.results / "datasets/mnist/test.parquet", arguments.images, 0)
    x = to_unit_range(images)
    print("| net | ball | clean | AutoAttack | standard | quick | standard: times faster | quick | quick / standard |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for net, norm, eps in CASES:
        if arguments.only in f"{net} {norm} {eps}":
            path = arguments.results / f"classifiers/{net}/seed0/classifier.safetensors"
            model = load_model(path).eval().requires_grad_(False)
            clean = (predict(model, x)[0] == y).double().mean().item()
            print(row(net, norm, eps, clean, compare(model, x, y, norm, eps), len(y)), flush=True)


if __name__ == "__main__":
    main()
