"""Test the glasses of the evening study on rotated and shifted images: for one pose, for many poses, not optimised.

python docs/controls/glasses.py [--results FOLDER] [--poses N]
after `snakemake --cores 2 --config study=config/evening.yaml -- results/tables/robustness.parquet`
"""

import argparse
from pathlib import Path

import torch

from advgen.attacks.controls import make_controls
from advgen.attacks.expectation import sample_poses
from advgen.attacks.spatial import warp
from advgen.io.checkpoints import load_model
from advgen.io.tables import read_images, read_table
from advgen.metrics.intervals import bootstrap_mean
from advgen.specs.attacks import Expectation, RegionAttack


def main():
    """Print success rates on images that are correct in a pose: mean over poses, interval over images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--poses", type=int, default=20, help="new poses of each image, which the attack has not used")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    spec = RegionAttack(kind="region", region={"kind": "glasses"})
    for classifier in ("cnn-plain", "robust-cnn"):
        model = load_model(arguments.results / f"classifiers/{classifier}/seed0/classifier.safetensors").eval()
        images = {}
        for attack in ("glasses", "glasses-turned"):
            table = read_table(arguments.results / f"attacks/{classifier}/seed0/{attack}.parquet")
            images[attack] = torch.from_numpy(read_images(table, "adversarial").copy())
        x = torch.from_numpy(read_images(table, "image").copy())
        y, indices = torch.from_numpy(table["label"].to_numpy().copy()), table["index"].to_pylist()
        frames = make_controls(x, images["glasses"], spec, seed=0, indices=indices)
        images |= {f"plain frame {number}": frame for number, frame in enumerate(frames, 1)}
        pose_NS3 = sample_poses(Expectation(samples=arguments.poses), 1, 1, "control", indices, x)[:, 0]
        with torch.no_grad():
            correct_NS = torch.stack([model(warp(x, pose)).argmax(1) == y for pose in pose_NS3.unbind(1)], 1)
            print(f"{classifier}: {100 * correct_NS.double().mean():.1f} % accuracy without glasses")
            for name, framed in images.items():
                fooled_NS = torch.stack([model(warp(framed, pose)).argmax(1) != y for pose in pose_NS3.unbind(1)], 1)
                any_N = correct_NS.any(1)
                share_N = (fooled_NS & correct_NS).sum(1)[any_N] / correct_NS.sum(1)[any_N]
                mean, low, high = (100 * one for one in bootstrap_mean(share_N, 0))
                print(f"  {name}: {mean:.1f} % [{low:.1f}, {high:.1f}]", flush=True)


if __name__ == "__main__":
    main()
