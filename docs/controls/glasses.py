"""How much of what glasses do is the attack's? The frame painted white or black, not optimised, beside the attack.

    python docs/controls/glasses.py

reads results/classifiers/cnn/seed0/classifier.safetensors and the test images of results/datasets/mnist (`make run`
makes them) and prints how many of 500 test images that were right each frame turns wrong. Half a minute on one core.
"""

from pathlib import Path

import torch

from advgen import load, registry
from advgen.attacks.common import changeable
from advgen.attacks.run import craft
from advgen.data.images import load_choice
from advgen.metrics.intervals import wilson
from advgen.models.predict import predict


def main() -> None:
    """Print a row for each frame."""
    torch.set_num_threads(1)
    model = load("results/classifiers/cnn/seed0/classifier.safetensors")
    x, y, indices = load_choice(Path("results/datasets/mnist/test.parquet"), 500, 0)
    spec = registry.parse("attacks", {"kind": "region", "region": {"kind": "glasses"}})
    frame = changeable(spec, x, 0, indices)
    found = craft(registry.resolve(spec), model, x, y, spec, seed=0, indices=indices)
    framed = {"white": torch.where(frame, 1.0, x), "black": torch.where(frame, 0.0, x)}
    framed["optimised"] = torch.from_numpy(found["x_adv"])
    right = predict(model, x)[0] == y
    for name, images in framed.items():
        fooled = int((right & (predict(model, images)[0] != y)).sum())
        low, high = wilson(fooled, int(right.sum()))
        share = fooled / int(right.sum())
        print(
            f"{name:10} {share:6.1%} [{100 * low:.1f}, {100 * high:.1f}] of {int(right.sum())} images that were right"
        )


if __name__ == "__main__":
    main()
