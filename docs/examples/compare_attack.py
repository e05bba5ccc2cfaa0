"""Compare a custom attack with built-in attacks, on the same images and a small model.

The attack is docs/examples/plugin/momentum.py; importing it registers it under its kind.

    python docs/examples/compare_attack.py
"""

import sys
from pathlib import Path

import numpy as np
import torch

import advgen
from advgen.metrics.intervals import wilson

sys.path.insert(0, str(Path(__file__).parent / "plugin"))
import momentum  # noqa: F401

# three classes of noisy images, which differ in the position of the bright rows
random = np.random.default_rng(0)
labels = torch.from_numpy(random.integers(0, 3, 600))
images = torch.from_numpy(random.uniform(0, 0.6, (600, 1, 8, 8)).astype("float32"))
for image, label in zip(images, labels, strict=True):
    image[0, 2 * label : 2 * label + 2] += 0.3

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(200):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(images[:300]), labels[:300]).backward()
    optimizer.step()

test_images, test_labels = images[300:], labels[300:]
for kind in ("gaussian_noise", "fgsm", "momentum", "pgd", "apgd"):
    keys = {"sd": 0.12} if kind == "gaussian_noise" else {"eps": 0.12}
    predictions = model(advgen.attack(model, test_images, test_labels, kind, **keys)).argmax(1)
    correct, n = int((predictions == test_labels).sum()), len(test_labels)
    low, high = wilson(correct, n)
    print(f"{kind:15} {100 * correct / n:5.1f} % accuracy [{100 * low:.1f}, {100 * high:.1f}]")
