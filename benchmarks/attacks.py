"""Compare the attacks with Foolbox, torchattacks and a SciPy loop: same process, model, images, settings, one thread.

    python benchmarks/attacks.py [--model FILE] [--data FILE] [--images N] [--repeats N] [--only WORDS]

Prints one row per contender: CPU milliseconds per image (median of interleaved repeats), the speed-up of advgen
(median, minimum and maximum over the repeats), the success rate, the median L2 norm of the change, and the share of
the machine's sgemm peak that the network's arithmetic reaches (if the number of gradients is known). ART takes part
if it is installed.

The other libraries run on the same network with frozen weights, and on the same weights in a "plain" network: pooling
after the activation, and contiguous images. The SciPy loop runs on the first ten images, and its comparison of
changes uses these. "Bare passes" repeats the forward and backward passes of an attack without the attack's own work.
"""

import argparse
import copy
import importlib.util
import math
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import foolbox
import torch
import torchattacks
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from advgen import registry
from advgen.attacks.common import frozen
from advgen.attacks.run import CallCounts, count_calls
from advgen.data.images import load_subset
from advgen.io.checkpoints import load_model
from advgen.specs.attacks import (
    AttackSpec,
    CarliniWagnerAttack,
    DeepFoolAttack,
    LbfgsAttack,
    PgdAttack,
    SquareAttack,
)

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.unit.attacks.test_other_libraries import scipy_lbfgs

Run = Callable[[Tensor, Tensor], Tensor]
EPS, STEPS, STEP_SIZE = 0.3, 40, 0.01
SCIPY_IMAGES = 10


def measure_sgemm_peak() -> float:
    """Peak floating-point operations per second of a matrix product, on one thread."""
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    seconds = []
    for _ in range(10):
        start = time.process_time()
        a @ b
        seconds.append(time.process_time() - start)
    return 2 * 1024**3 / min(seconds)


def count_operations(model: nn.Module, x: Tensor) -> tuple[float, float]:
    """Floating-point operations of the network per image: forward, and backward to the input."""
    with frozen(model):
        x = x.clone().requires_grad_()
        with FlopCounterMode(display=False) as forward:
            logits = model(x)
        with FlopCounterMode(display=False) as backward:
            torch.autograd.grad(logits.sum(), x)
    return forward.get_total_flops() / len(x), backward.get_total_flops() / len(x)


def run_advgen(model: nn.Module, spec: AttackSpec) -> Run:
    """An attack of advgen, in the batches of the pipeline."""
    attack = registry.resolve(spec)

    def run(x: Tensor, y: Tensor) -> Tensor:
        parts = zip(x.split(250), y.split(250), strict=True)
        return torch.cat([attack(model, a, b, spec, seed=0, indices=list(range(len(b)))) for a, b in parts])

    return run


def rebuild_plain(model: nn.Module) -> nn.Module:
    """The same weights in the usual layout: activation before pooling, contiguous memory."""
    layers = list(copy.deepcopy(model.body).to(memory_format=torch.contiguous_format))
    for index, layer in enumerate(layers[:-1]):
        if isinstance(layer, nn.MaxPool2d):
            layers[index], layers[index + 1] = layers[index + 1], layer
    return nn.Sequential(*layers, copy.deepcopy(model.head)).eval()


def run_torchattacks(model: nn.Module) -> Run:
    """PGD of torchattacks, in the same batches."""
    attack = torchattacks.PGD(model, eps=EPS, alpha=STEP_SIZE, steps=STEPS)
    return lambda x, y: torch.cat([attack(a, b) for a, b in zip(x.split(250), y.split(250), strict=True)])


def run_art(model: nn.Module, shape: torch.Size) -> Run:
    """PGD of ART, in the same batches."""
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    options = {"input_shape": tuple(shape), "nb_classes": 10, "clip_values": (0.0, 1.0), "device_type": "cpu"}
    classifier = PyTorchClassifier(model, loss=nn.CrossEntropyLoss(), **options)
    keys = {"norm": math.inf, "eps": EPS, "eps_step": STEP_SIZE, "max_iter": STEPS, "num_random_init": 1}
    attack = ProjectedGradientDescentPyTorch(classifier, **keys, batch_size=250, verbose=False)
    return lambda x, y: torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


def run_foolbox(model: nn.Module, attack: foolbox.Attack, eps: float | None) -> Run:
    """An attack of Foolbox, in the same batches."""
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    return lambda x, y: torch.cat(
        [attack(wrapped, a, b, epsilons=eps)[1] for a, b in zip(x.split(250), y.split(250), strict=True)]
    )


def repeat_passes(model: nn.Module, run: Run, x: Tensor, y: Tensor) -> Run:
    """The forward and backward passes of a run, in batches of the same sizes, and nothing else."""
    passes: list[tuple[int, bool]] = []
    hook = model.register_forward_hook(lambda _, __, logits: passes.append((len(logits), logits.requires_grad)))
    run(x, y)
    hook.remove()

    def replay(x: Tensor, y: Tensor) -> Tensor:
        for rows, back in passes:
            images = x[:rows].detach().requires_grad_(back)
            with torch.set_grad_enabled(back):
                logits = model(images)
                if back:
                    torch.autograd.grad(nn.functional.cross_entropy(logits, y[:rows], reduction="sum"), images)
        return x

    return replay


def run_scipy(model: nn.Module, spec: LbfgsAttack) -> Run:
    """SciPy's L-BFGS-B, one image at a time; it returns only the size of each change."""

    def run(x: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            targets = model(x).scatter(1, y[:, None], -torch.inf).argmax(1).tolist()
        return torch.tensor([scipy_lbfgs(model, image, target, spec) for image, target in zip(x, targets, strict=True)])

    return run


def compare(name: str, contenders: dict[str, Run], model: nn.Module, x: Tensor, y: Tensor, repeats: int) -> None:
    """Time all contenders in turn, `repeats` times, and print one row for each; the first one is advgen."""
    forward, backward = count_operations(model, x[:100])
    peak = measure_sgemm_peak()
    seconds: dict[str, list[float]] = {who: [] for who in contenders}
    facts = {}
    for _ in range(repeats):
        for who, run in contenders.items():
            few = slice(SCIPY_IMAGES if who == "scipy" else None)
            calls = CallCounts()
            with count_calls(model, calls):
                start = time.process_time()
                result = run(x[few], y[few])
                seconds[who].append((time.process_time() - start) / len(y[few]))
            if who == "scipy":
                success, size = result.isfinite().double().mean().item(), result.median().item()
            else:
                with frozen(model), torch.no_grad():
                    success = (model(result).argmax(1) != y).double().mean().item()
                same = slice(SCIPY_IMAGES if "scipy" in contenders else None)
                size = (result - x)[same].flatten(1).norm(dim=1).median().item()
            work = (calls.forward * forward + calls.gradient * backward) / len(y[few])
            facts[who] = success, size, work
    first = seconds[next(iter(contenders))]
    for who, times in seconds.items():
        middle = statistics.median(times)
        success, size, work = facts[who]
        share = work / middle / peak
        ratios = sorted(one / ours for one, ours in zip(times, first, strict=True))
        print(
            f"{name:22} {who:20} {1e3 * middle:9.3f} ms/image  {statistics.median(ratios):6.2f}x "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f})  success {success:6.1%}  "
            f"L2 {size:.3f}  " + (f"{share:5.1%} of {peak / 1e9:.0f} GFLOP/s" if work else ""),
            flush=True,
        )


def compare_if(only: str, name: str, *arguments: Any) -> None:
    """Run `compare` if the name contains `only`."""
    if only in name:
        compare(name, *arguments)


def main() -> None:
    """Run all comparisons on the default study's classifiers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("results/classifiers/cnn/seed0/classifier.safetensors"))
    parser.add_argument("--fc", type=Path, default=Path("results/classifiers/fc100/seed0/classifier.safetensors"))
    parser.add_argument("--data", type=Path, default=Path("results/datasets/mnist/test.parquet"))
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="comparisons whose name contains this: deepfool, l-bfgs"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    x, y, _ = load_subset(arguments.data, arguments.images, 0)
    # no contender needs gradients of the weights, so none has to store what these need
    conv, fc = (load_model(path).eval().requires_grad_(False) for path in (arguments.model, arguments.fc))
    timed = partial(compare_if, arguments.only)
    for name, model in (("cnn", conv), ("fc", fc)):
        keys = {"eps": EPS, "steps": STEPS, "step_size": STEP_SIZE}
        fixed = PgdAttack(kind="pgd", **keys)
        forms = {"": model, ", plain": rebuild_plain(model)} if name == "cnn" else {"": model}
        peers, deepfools = {}, {}
        for form, net in forms.items():
            peers[f"foolbox{form}"] = run_foolbox(
                net, foolbox.attacks.LinfPGD(abs_stepsize=STEP_SIZE, steps=STEPS), EPS
            )
            peers[f"torchattacks{form}"] = run_torchattacks(net)
            if importlib.util.find_spec("art"):
                peers[f"art{form}"] = run_art(net, x.shape[1:])
            deepfools[f"foolbox{form}"] = run_foolbox(
                net, foolbox.attacks.L2DeepFoolAttack(steps=50, overshoot=0.02), None
            )
        timed(f"pgd, {name}", {"ours": run_advgen(model, fixed), **peers}, model, x, y, arguments.repeats)
        active = run_advgen(model, fixed.model_copy(update={"early_stopping": True}))
        timed(f"pgd early stopping, {name}", {"ours": active, **peers}, model, x, y, arguments.repeats)
        deepfool = {"ours": run_advgen(model, DeepFoolAttack(kind="deepfool")), **deepfools}
        timed(f"deepfool, {name}", deepfool, model, x[:250], y[:250], arguments.repeats)
    few, labels = x[:250], y[:250]
    for spec in (
        SquareAttack(kind="square", eps=0.1),
        LbfgsAttack(kind="lbfgs"),
        CarliniWagnerAttack(kind="carlini_wagner"),
    ):
        run = run_advgen(fc, spec)
        if arguments.only in (name := f"{spec.kind} and bare passes, fc"):
            both = {"ours": run, "bare passes": repeat_passes(fc, run, few, labels)}
            compare(name, both, fc, few, labels, arguments.repeats)
    box = LbfgsAttack(kind="lbfgs")
    timed(
        "box l-bfgs, fc",
        {"ours": run_advgen(fc, box), "scipy": run_scipy(fc, box)},
        fc,
        x[:250],
        y[:250],
        arguments.repeats,
    )


if __name__ == "__main__":
    main()
