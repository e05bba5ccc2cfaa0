"""How few steps `quick` may have: it and plain members of APGD beside `standard`, accuracy left and share of its time.

python docs/controls/quick.py [--results FOLDER] [--images N] [--skip N]
after `make run STUDY=benchmarks/ensemble.yaml`
"""

import argparse
import time
from pathlib import Path

import torch

from advgen.attacks.apgd import apgd
from advgen.attacks.ensemble import ensemble
from advgen.data.images import load_choice
from advgen.io.checkpoints import load_model
from advgen.specs.attacks import ApgdAttack, EnsembleAttack

CASES = [
    *(("fc100", "linf", 0.1), ("fc100", "l2", 1.0), ("cnn", "linf", 0.1), ("cnn", "l2", 1.5)),
    *(("fc-pgd", "linf", 0.15), ("cnn-pgd", "linf", 0.2), ("cnn-fast", "linf", 0.3)),
]
# (loss, steps, targets) of each member
MEMBERS = [
    [("cross_entropy", 20, None), ("margin", 20, 2)],  # what `quick` was before
    [("margin", 20, 2)],
    [("cross_entropy", 10, None), ("margin", 20, 1)],
    [("margin", 15, 2)],
    [("cross_entropy", 15, None), ("margin", 15, 1)],
    [("margin", 30, None)],
]


def members(model, x, y, norm, eps, some):
    """Images of which no member fools the model are left right."""
    right = model(x).argmax(1) == y
    for loss, steps, targets in some:
        left = right.nonzero().flatten()
        if len(left) == 0:
            break
        spec = ApgdAttack(kind="apgd", norm=norm, eps=eps, loss=loss, steps=steps, targets=targets)
        found = apgd(model, x[left], y[left], spec, seed=0, indices=left.tolist())
        right[left] = model(found).argmax(1) == y[left]
    return right


def of_effort(model, x, y, norm, eps, effort):
    """One of the ensembles."""
    spec = EnsembleAttack(kind="ensemble", norm=norm, eps=eps, effort=effort)
    return model(ensemble(model, x, y, spec, seed=0, indices=list(range(len(y))))).argmax(1) == y


def timed(attack, *arguments):
    """Percent left right, and seconds of the process, the least of three."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        right = attack(*arguments)
        seconds.append(time.process_time() - start)
    return 100 * right.double().mean().item(), min(seconds)


def main():
    """A line for each case and set of members."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--skip", type=int, default=0, help="images left out, on which `quick` was chosen: 600")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    wanted = arguments.skip + arguments.images
    x, y, _ = load_choice(arguments.results / "datasets/mnist/test.parquet", wanted, 0)
    x, y = x[arguments.skip :], y[arguments.skip :]
    for net, norm, eps in CASES:
        path = arguments.results / f"classifiers/{net}/seed0/classifier.safetensors"
        model = load_model(path).eval().requires_grad_(False)
        left, seconds = timed(of_effort, model, x, y, norm, eps, "standard")
        print(f"{net} {norm} {eps}: standard {left:.1f}")
        more, spent = timed(of_effort, model, x, y, norm, eps, "quick")
        print(f"  {more:5.1f}  time {spent / seconds:.3f}  quick", flush=True)
        for some in MEMBERS:
            more, spent = timed(members, model, x, y, norm, eps, some)
            print(f"  {more:5.1f}  time {spent / seconds:.3f}  {some}", flush=True)


if __name__ == "__main__":
    main()
