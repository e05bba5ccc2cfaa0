"""Write a CV that quotes the robust accuracy of a model.

The evaluation writes tables; the text of the CV refers to a cell of a table. A reference to a missing cell is an error.

    python docs/examples/cv_of_a_model.py
"""

from pathlib import Path

import numpy as np
import torch

import advgen
from advgen.cli import main

random = np.random.default_rng(0)
labels = torch.from_numpy(random.integers(0, 3, 400))
images = torch.from_numpy(random.uniform(0, 0.6, (400, 1, 8, 8)).astype("float32"))
for image, label in zip(images, labels, strict=True):
    image[0, 2 * label : 2 * label + 2] += 0.3

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(200):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(images[:200]), labels[:200]).backward()
    optimizer.step()

advgen.evaluate(model, images[200:], labels[200:], eps=0.12).save("my-model")

Path("profile.yaml").write_text("""\
name: Zoë Quillåker
updated: 2025-10-15
order: [models]
sections:
  models:
    title: Models
    type: entries
    items:
      - title: A classifier of three classes
        details:
          - "Robust accuracy {{ result('robustness', 'accuracy', attack='worst linf 0.12') | .1% }} on
            {{ result('robustness', 'n', attack='worst linf 0.12') }} images under an ensemble of attacks,
            L∞ at most .12"
""")
main(["cv", "--profile", "profile.yaml", "--tables", "my-model", "--out", "my-cv", "--formats", "md", "pdf"])
