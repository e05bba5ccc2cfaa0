"""Audit a torchvision ResNet-18 on a folder of colour images.

The weights and the images are random, so that the script runs anywhere; replace them by yours. The accuracy is
therefore at chance, and the audit reports that the evaluation is unsound.

    python docs/examples/audit_resnet18.py
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.models import resnet18

from advgen.cli import main

MEAN, STD = "0.485,0.456,0.406", "0.229,0.224,0.225"
COLOURS = {"blue": (60, 90, 200), "green": (60, 170, 80), "red": (200, 60, 60)}

# a folder with a folder of images for each class
random = np.random.default_rng(0)
for name, colour in COLOURS.items():
    folder = Path("photos") / name
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(8):
        image = np.clip(random.normal(colour, 40, (32, 32, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / f"{number}.png")

# an exported program: it is not a pickle and can be loaded without the code of the model
torch.manual_seed(0)
model = resnet18(weights=None, num_classes=len(COLOURS)).eval()
some = torch.rand(2, 3, 32, 32)
torch.export.save(torch.export.export(model, (some,), dynamic_shapes=({0: torch.export.Dim("batch")},)), "resnet18.pt2")

main(["audit", "resnet18.pt2", "--data", "photos", "--eps", "2/255", "--mean", MEAN, "--std", STD])
