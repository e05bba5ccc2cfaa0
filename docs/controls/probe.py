"""Are linear probes robust? A head on a discriminator's features beside one on a body with random weights.

    python docs/controls/probe.py [DISCRIMINATOR]

reads results/gans/dcgan/seed0/discriminator.safetensors, or another one, and the images of results/datasets/mnist
(`make run` makes them), trains the head on its features and those on three bodies of random weights alike, and prints
the accuracy of each on 500 test images, clean and under PGD-20 at two eps. Two minutes on one core. One
discriminator: a control of a claim, not a measurement of its own.
"""

import sys
from pathlib import Path

import torch

from advgen import load, registry
from advgen.attacks.run import craft
from advgen.data.choice import split
from advgen.data.images import load as load_images
from advgen.data.images import load_choice
from advgen.io.checkpoints import build
from advgen.specs.training import ClassifierTraining
from advgen.training.initial import fresh
from advgen.training.probe import body_spec, train_head
from advgen.training.state import Callbacks

DATA = Path("results/datasets/mnist")
EPS = (0.02, 0.05)


def main() -> None:
    """Train, attack, print a row for each body."""
    torch.set_num_threads(1)
    (images, labels), validation = split(*load_images(DATA / "train.parquet"), 5000)
    x, y, indices = load_choice(DATA / "test.parquet", 500, 0)
    trained = load(sys.argv[1] if len(sys.argv) > 1 else "results/gans/dcgan/seed0/discriminator.safetensors")
    bodies = {"discriminator": trained}
    for seed in (1, 2, 3):
        bodies[f"random weights, seed {seed}"] = fresh(build, "networks", trained.spec, 1, seed=seed).eval()
    spec = ClassifierTraining(epochs=3, batch=100, lr=3e-3)
    print(f"{'accuracy (%) of a linear head on':34}{'clean':>12}" + "".join(f"{f'eps {eps:g}':>12}" for eps in EPS))
    for name, body in bodies.items():
        head = fresh(build, "networks", body_spec(body), 10, seed=0)
        train_head(head, body, images, labels, spec, 0, validation, "cpu", Callbacks())
        head.eval()
        numbers = []
        for eps in EPS:
            attack = registry.parse("attacks", {"kind": "pgd", "eps": eps, "steps": 20})
            found = craft(registry.resolve(attack), head, x, y, attack, seed=0, indices=indices)
            clean = found["predicted_clean"] == y.numpy()
            numbers.append((clean & (found["predicted"] == y.numpy())).mean())
        print(f"{name:34}" + "".join(f"{100 * number:12.1f}" for number in (clean.mean(), *numbers)), flush=True)


if __name__ == "__main__":
    main()
