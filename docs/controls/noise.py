"""Show why the noise rows of the published transfer table use unclipped noise: errors under noise and under its shift.

python docs/controls/noise.py [--results FOLDER] [--sd SD]
after `snakemake --cores 2 --config study=config/evening.yaml -- results/tables/between-nets.parquet`

Clipping brightens a black pixel by sd / √(2π), 0.4 sd, on average. "shift" adds that to black pixels, subtracts it from
white ones, and adds no noise.
"""

import argparse
import math
from pathlib import Path

import torch

from advgen.attacks.gaussian_noise import gaussian_noise
from advgen.data.images import load_subset
from advgen.io.checkpoints import load_model
from advgen.metrics.intervals import combine_intervals, wilson
from advgen.models.predict import predict
from advgen.specs.attacks import GaussianNoise

CLASSIFIERS = ("fc10-light", "fc10-middle", "fc10-heavy", "fc-100", "fc-200")
SEEDS = (0, 1, 2)
IMAGES = 10_000


def main():
    """Print the error (%) of each classifier: the mean over seeds with its interval over seeds and images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--sd", type=float, default=0.3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    x, y, indices = load_subset(arguments.results / "datasets/mnist/test.parquet", IMAGES, 0)
    shift = arguments.sd / math.sqrt(2 * math.pi)
    images = {"clean": x}
    for name, clipped in (("clipped", True), ("unclipped", False)):
        spec = GaussianNoise(kind="gaussian_noise", sd=arguments.sd, clipped=clipped)
        images[name] = gaussian_noise(None, x, y, spec, seed=0, indices=indices)
    images["shift"] = torch.where(x == 0, shift, torch.where(x == 1, 1 - shift, x))
    print(f"error (%), noise of sd {arguments.sd:g}, n = {len(y):,}, {len(SEEDS)} seeds; black pixels + {shift:.3f}")
    for classifier in CLASSIFIERS:
        models = [
            load_model(arguments.results / f"classifiers/{classifier}/seed{s}/classifier.safetensors") for s in SEEDS
        ]
        cells = []
        for name, variant in images.items():
            wrong = [int((predict(model, variant)[0] != y).sum()) for model in models]
            errors = [count / len(y) for count in wrong]
            mean = sum(errors) / len(errors)
            low, high = wilson(round(mean * len(y)), len(y))
            middle, low, high = combine_intervals(mean, [errors], (mean - low, high - mean), share=True)
            cells.append(f"{name} {100 * middle:.1f} [{100 * low:.1f}, {100 * high:.1f}]")
        print(f"{classifier}: {', '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
