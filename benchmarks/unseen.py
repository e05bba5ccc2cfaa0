"""Compare the attack ensembles with AutoAttack on models that were not used to choose any attack setting.

    python benchmarks/unseen.py [--part development|test] [--images N] [--models FOLDER]

Trains small classifiers in plain PyTorch (standard, PGD and TRADES training) and keeps their weights in a folder.
Prints the robust accuracy under AutoAttack's standard version (`pip install --no-deps pyautoattack==0.2.0`), under
`standard` and under `quick`, with CPU seconds, on one thread. The last column is `quick` on the same model with its
logits multiplied by 100, which should change nothing but rounding. Members and settings were chosen on the
development models and the first test images of MNIST. The test models are attacked on the last test images. Needs the
images that `make run` downloads.
"""

import argparse
import time
from pathlib import Path

import torch
from pyautoattack import AutoAttack
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

from advgen.attacks.ensemble import ensemble
from advgen.data.images import load_subset
from advgen.models.predict import to_unit_range
from advgen.specs.attacks import EnsembleAttack


class Residual(nn.Module):
    """One residual block with batch norm between two strided convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        first = nn.Conv2d(16, 16, 3, 1, 1), nn.BatchNorm2d(16), nn.ReLU()
        self.block = nn.Sequential(*first, nn.Conv2d(16, 16, 3, 1, 1), nn.BatchNorm2d(16))
        last = nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU()
        self.head = nn.Sequential(nn.ReLU(), *last, nn.Flatten(), nn.Linear(32 * 49, 10))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits (B, 10)."""
        x_BCHW = self.stem(x_BCHW)
        logits_BK: Tensor = self.head(x_BCHW + self.block(x_BCHW))
        return logits_BK


def build(architecture: str) -> nn.Module:
    """An untrained classifier of 1×28×28 images in ten classes."""
    if architecture == "residual":
        return Residual()
    pool = nn.MaxPool2d(2)
    layers: dict[str, list[nn.Module]] = {
        "cnn": [
            *(nn.Conv2d(1, 16, 3, 1, 1), pool, nn.ReLU(), nn.Conv2d(16, 32, 3, 1, 1), pool, nn.ReLU(), nn.Flatten()),
            *(nn.Linear(32 * 49, 100), nn.ReLU(), nn.Linear(100, 10)),
        ],
        "wide kernels": [
            *(nn.Conv2d(1, 16, 5, 1, 2), nn.ReLU(), pool, nn.Conv2d(16, 32, 5, 1, 2), nn.ReLU(), pool, nn.Flatten()),
            *(nn.Linear(32 * 49, 256), nn.ReLU(), nn.Linear(256, 10)),
        ],
        "strided": [
            *(nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(32 * 49, 100), nn.ReLU(), nn.Linear(100, 10)),
        ],
        "fully connected": [
            *(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)),
        ],
        "lenet": [
            *(nn.Conv2d(1, 6, 5, 1, 2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)),
        ],
    }
    return nn.Sequential(*layers[architecture])


# architecture, training, norm and eps of the training, epochs, and the balls of the attacks
Model = tuple[str, str, str, float, int, list[tuple[str, float]]]
MODELS: dict[str, dict[str, Model]] = {
    "development": {
        "cnn, TRADES": ("cnn", "trades", "linf", 0.2, 4, [("l2", 2.0), ("linf", 0.25)]),
        "cnn, PGD": ("cnn", "pgd", "linf", 0.2, 4, [("l2", 2.0), ("linf", 0.25)]),
        "fully connected, TRADES": ("fully connected", "trades", "linf", 0.1, 5, [("linf", 0.1)]),
        "cnn, plain": ("cnn", "plain", "linf", 0.0, 2, [("l2", 1.0), ("linf", 0.1)]),
    },
    "test": {
        "wide kernels, PGD": ("wide kernels", "pgd", "linf", 0.2, 3, [("l2", 2.0), ("linf", 0.25)]),
        "wide kernels, TRADES": ("wide kernels", "trades", "linf", 0.2, 3, [("l2", 2.0), ("linf", 0.25)]),
        "residual, TRADES": ("residual", "trades", "linf", 0.2, 3, [("l2", 2.0), ("linf", 0.22)]),
        "strided, PGD": ("strided", "pgd", "linf", 0.3, 6, [("l2", 2.0), ("linf", 0.35)]),
        "lenet, PGD in L2": ("lenet", "pgd", "l2", 1.5, 3, [("l2", 2.0), ("linf", 0.1)]),
        "lenet, plain": ("lenet", "plain", "linf", 0.0, 3, [("l2", 1.5), ("linf", 0.1)]),
    },
}


def perturb(model: nn.Module, x: Tensor, y: Tensor, norm: str, eps: float, trades: bool) -> Tensor:
    """Training images after five steps on the cross-entropy, or on the TRADES divergence from the clean prediction."""
    clean = model(x).softmax(1).detach()
    if norm == "l2":
        delta = 0.01 * torch.randn_like(x)
    else:
        delta = 0.001 * torch.randn_like(x) if trades else eps * (2 * torch.rand_like(x) - 1)
    for _ in range(5):
        candidate = (x + delta).clamp(0, 1).requires_grad_()
        logits = model(candidate)
        loss = kl_div(logits.log_softmax(1), clean, reduction="sum") if trades else cross_entropy(logits, y)
        (gradient,) = torch.autograd.grad(loss, candidate)
        if norm == "linf":
            delta = (candidate.detach() - x + eps / 2 * gradient.sign()).clamp(-eps, eps)
            continue
        size = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]
        delta = candidate.detach() - x + eps / 2 * gradient / size
        delta = delta * (eps / delta.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]).clamp_max(1)
    return (x + delta).clamp(0, 1)


def train(model: nn.Module, images: Tensor, labels: Tensor, spec: Model) -> None:
    """Train with Adam and a one-cycle learning rate; eps grows over the first two fifths of the steps."""
    _, method, norm, eps, epochs, _ = spec
    steps = epochs * len(images) // 128
    adam = torch.optim.Adam(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 4e-3, total_steps=steps + 1)
    batches = (rows for _ in range(epochs + 1) for rows in torch.randperm(len(images)).split(128))
    for step, rows in zip(range(steps), batches, strict=False):
        x, y = images[rows], labels[rows]
        if method == "plain":
            loss = cross_entropy(model(x), y)
        else:
            model.eval()
            attacked = perturb(model, x, y, norm, eps * min(1.0, (step + 1) / (0.4 * steps)), method == "trades")
            model.train()
            if method == "pgd":
                loss = cross_entropy(model(attacked), y)
            else:
                logits = model(x)
                divergence = kl_div(model(attacked).log_softmax(1), logits.softmax(1), reduction="batchmean")
                loss = cross_entropy(logits, y) + 6 * divergence
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        schedule.step()


def load_or_train(name: str, spec: Model, folder: Path, data: Path) -> nn.Module:
    """The trained model, from the folder if it is there."""
    path = folder / f"{name.replace(', ', '-').replace(' ', '-')}.pt"
    torch.manual_seed(0)
    model = build(spec[0])
    if not path.exists():
        images, labels, _ = load_subset(data / "train.parquet", 60_000, 0)
        train(model, to_unit_range(images), labels, spec)
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), path)
    model.load_state_dict(torch.load(path))
    return model.eval().requires_grad_(False)


class Scaled(nn.Module):
    """A model with its logits multiplied by 100."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits (B, 10)."""
        logits_BK: Tensor = 100 * self.model(x_BCHW)
        return logits_BK


def run_autoattack(model: nn.Module, x: Tensor, y: Tensor, norm: str, eps: float) -> Tensor:
    """The adversarial examples of AutoAttack."""
    names = {"linf": "Linf", "l2": "L2"}
    attack = AutoAttack(model, norm=names[norm], eps=eps, version="standard", seed=0, device="cpu")
    x_adv: Tensor = attack.run_standard_evaluation(x, y, batch_size=len(x))[0]
    return x_adv


def main() -> None:
    """Print one row per model and ball."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=list(MODELS), default="test")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--models", type=Path, default=Path("results/unseen"), help="folder of the weights")
    parser.add_argument("--data", type=Path, default=Path("results/datasets/mnist"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images, labels, _ = load_subset(arguments.data / "test.parquet", 10_000, 0)
    rows = slice(None, arguments.images) if arguments.part == "development" else slice(-arguments.images, None)
    x, y = to_unit_range(images[rows]), labels[rows]
    print("| model | ball | clean | AutoAttack | `standard` | `quick` | `quick`, logits × 100 |")
    print("|---|---|---:|---:|---:|---:|---:|", flush=True)
    for name, spec in MODELS[arguments.part].items():
        model = load_or_train(name, spec, arguments.models, arguments.data)
        clean = (model(x).argmax(1) == y).double().mean().item()
        for norm, eps in spec[-1]:
            cells = []
            for effort, net in ((None, model), ("standard", model), ("quick", model), ("quick", Scaled(model))):
                start = time.process_time()
                if effort is None:
                    x_adv = run_autoattack(net, x, y, norm, eps)
                else:
                    ball = EnsembleAttack(kind="ensemble", effort=effort, norm=norm, eps=eps)
                    x_adv = ensemble(net, x, y, ball, seed=0, indices=list(range(len(y))))
                robust = (net(x_adv).argmax(1) == y).double().mean().item()
                cells.append(f"{100 * robust:.1f} ({time.process_time() - start:.0f} s)")
            ball_name = f"{'L∞' if norm == 'linf' else 'L2'} {eps:g}"
            print(f"| {name} | {ball_name} | {100 * clean:.1f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
