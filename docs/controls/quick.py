"""Compare `quick` and sets of APGD members with `standard`: accuracy under attack and share of the time.

python docs/controls/quick.py [--results FOLDER] [--images N] [--skip N]
after `make run STUDY=benchmarks/ensemble.yaml`
"""

import argparse
import time
from pathlib import Path

import torch

from advgen.attacks.apgd import apgd
from advgen.attacks.ensemble import ensemble
from advgen.data.images import load_subset
from advgen.io.checkpoints import load_model
from advgen.specs.attacks import ApgdAttack, EnsembleAttack

CASES = [
    *(("fc100", "linf", 0.1), ("fc100", "l2", 1.0), ("cnn", "linf", 0.1), ("cnn", "l2", 1.5)),
    *(("fc-pgd", "linf", 0.15), ("cnn-pgd", "linf", 0.2), ("cnn-fast", "linf", 0.3)),
]
# (loss, steps, targets) of each member
MEMBERS = [
    [("cross_entropy", 20, None), ("margin", 20, 2)],  # the former `quick`
    [("margin", 20, 2)],
    [("cross_entropy", 10, None), ("margin", 20, 1)],
    [("margin", 15, 2)],
    [("cross_entropy", 15, None), ("margin", 15, 1)],
    [("margin", 30, None)],
]


def attack_with_members(model, x, y, norm, eps, members):
    """Return which images stay correct under all members."""
    correct = model(x).argmax(1) == y
    for loss, steps, targets in members:
        remaining = correct.nonzero().flatten()
        if len(remaining) == 0:
            break
        spec = ApgdAttack(kind="apgd", norm=norm, eps=eps, loss=loss, steps=steps, targets=targets)
        found = apgd(model, x[remaining], y[remaining], spec, seed=0, indices=remaining.tolist())
        correct[remaining] = model(found).argmax(1) == y[remaining]
    return correct


def attack_with_ensemble(model, x, y, norm, eps, effort):
    """Return which images stay correct under an ensemble."""
    spec = EnsembleAttack(kind="ensemble", norm=norm, eps=eps, effort=effort)
    return model(ensemble(model, x, y, spec, seed=0, indices=list(range(len(y))))).argmax(1) == y


def time_attack(attack, *arguments):
    """Return the accuracy (%) and the process time in seconds, the shortest of three runs."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        correct = attack(*arguments)
        seconds.append(time.process_time() - start)
    return 100 * correct.double().mean().item(), min(seconds)


def main():
    """Print a line for each case and set of members."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--skip", type=int, default=0, help="images to skip: 600 for those used to choose `quick`")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    wanted = arguments.skip + arguments.images
    x, y, _ = load_subset(arguments.results / "datasets/mnist/test.parquet", wanted, 0)
    x, y = x[arguments.skip :], y[arguments.skip :]
    for name, norm, eps in CASES:
        path = arguments.results / f"classifiers/{name}/seed0/classifier.safetensors"
        model = load_model(path).eval().requires_grad_(False)
        accuracy, seconds = time_attack(attack_with_ensemble, model, x, y, norm, eps, "standard")
        print(f"{name} {norm} {eps}: standard {accuracy:.1f}")
        accuracy, spent = time_attack(attack_with_ensemble, model, x, y, norm, eps, "quick")
        print(f"  {accuracy:5.1f}  time {spent / seconds:.3f}  quick", flush=True)
        for members in MEMBERS:
            accuracy, spent = time_attack(attack_with_members, model, x, y, norm, eps, members)
            print(f"  {accuracy:5.1f}  time {spent / seconds:.3f}  {members}", flush=True)


if __name__ == "__main__":
    main()
