"""What a step of each training, attack and search asks of a GPU, counted on the pretended one.

python -m tests.gpu.costs            writes the table into docs/gpu.md
python -m tests.gpu.costs --check    fails if it is another
"""

import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from tests.gpu.device import CUDA, PretendedGpu
from tests.project import ROOT
from torch import Tensor, nn

from advgen import presets, registry
from advgen.attacks.common import CHECK_INTERVAL
from advgen.inpainting.restore import METHODS, restore
from advgen.inversion.search import search
from advgen.io.checkpoints import build
from advgen.specs.networks import ConvNetwork, EnsembleNetwork
from advgen.specs.searches import LatentSearch
from advgen.specs.training import AutoencoderTraining, ClassifierTraining, EncoderTraining, GanTraining, MomentMatching
from advgen.training.autoencoder import train_autoencoder
from advgen.training.classifier import train_classifier
from advgen.training.defences.common import Defence
from advgen.training.encoder import train_encoder
from advgen.training.gan import train_gan
from advgen.training.loop import FETCH_INTERVAL
from advgen.training.probe import train_head
from advgen.training.state import Callbacks

PAGE = ROOT / "docs/gpu.md"
BEGIN, END = "<!-- counted by python -m tests.gpu.costs -->\n", "<!-- end -->\n"
SHAPE, CLASSES, DEVICE = (1, 28, 28), 10, str(CUDA)
BATCH, STEPS = 2, FETCH_INTERVAL + 3
"""Images a step, and steps of an epoch: what is counted depends on neither."""


class Cost(NamedTuple):
    """Of a step, without the one that ends an epoch: launches, the most syncs of any step, and their mean."""

    launches: int
    most_syncs: int
    mean_syncs: float
    where: Counter[str]
    """The lines that make the host wait."""


def preset(family: str, name: str, *outputs: int) -> Any:
    """A network of a preset, with weights that are always the same."""
    torch.manual_seed(0)
    spec = presets.PRESETS[family][name]
    return build(family, spec.fit(SHAPE), *outputs)


def data(images: int = BATCH * STEPS) -> tuple[Tensor, Tensor]:
    """Images of noise, all of class 0."""
    noise = torch.randint(0, 256, (images, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return noise, torch.zeros(images, dtype=torch.long)


# --- trainings: counted after each step ------------------------------------------------------------------------------


def classifier(callbacks: Callbacks, kind: str | None = None) -> None:
    settings = {"bayesian": {"steps": 2}, "pgd": {"steps": 2}, "pool": {"size": 5, "refresh": 0.2}}
    defence = registry.kinds("defences")[kind](kind=kind, **settings.get(kind, {})) if kind else None
    model = preset("networks", "cnn", CLASSES)
    if defence is not None and defence.stochastic:
        member = ConvNetwork(kind="conv", channels=(4,)).fit(SHAPE)
        model = build("networks", EnsembleNetwork(kind="ensemble", member=member, members=2).fit(SHAPE), CLASSES)
    spec = ClassifierTraining(epochs=1, batch=BATCH)
    make = registry.resolve(defence) if defence else Defence
    train_classifier(model, *data(), spec, 0, data(4), DEVICE, callbacks, defence, make)


def autoencoder(callbacks: Callbacks, **keys: Any) -> None:
    spec = AutoencoderTraining(epochs=1, batch=BATCH, **keys)
    train_autoencoder(preset("autoencoders", "conv-autoencoder"), data()[0], spec, 0, DEVICE, callbacks)


def encoder(callbacks: Callbacks) -> None:
    generator = preset("generators", "dcgan-generator")
    spec = EncoderTraining(steps=STEPS, batch=BATCH)
    train_encoder(preset("networks", "cnn", generator.latent), generator, spec, 0, DEVICE, callbacks)


def probe(callbacks: Callbacks) -> None:
    head = preset("networks", "dcgan-discriminator", CLASSES)
    train_head(head, *data(), ClassifierTraining(epochs=1, batch=BATCH), 0, data(4), DEVICE, callbacks)


def gan(callbacks: Callbacks, **keys: Any) -> None:
    pair = preset("generators", "dcgan-generator"), preset("networks", "dcgan-discriminator", 1)
    train_gan(*pair, data()[0], GanTraining(epochs=1, batch=BATCH, **keys), 0, DEVICE, callbacks)


TRAININGS: dict[str, Callable[[Callbacks], None]] = {
    "classifier": classifier,
    **{f"classifier, {kind}": partial(classifier, kind=kind) for kind in registry.kinds("defences")},
    "probe": probe,
    "encoder": encoder,
    "autoencoder": autoencoder,
    "autoencoder, moments": partial(autoencoder, moments=MomentMatching(kind="covariance")),
    "GAN": gan,
    "GAN, averaged": partial(gan, ema=0.9),
    "GAN, R1 in every second step": partial(gan, r1=5.0, r1_every=2),
    "GAN, looking 2 steps ahead": partial(gan, unroll=2),
    "GAN, 2 steps unrolled exactly": partial(gan, unroll=2, unroll_mode="exact"),
}
"""A step of training: batches of data sets that lie on the device."""


def of_training(train: Callable[[Callbacks], None]) -> Cost:
    """What FETCH_INTERVAL of its steps cost: without the first, which makes Adam's state, and the last of the epoch."""
    counts: list[tuple[int, Counter[str]]] = []
    with PretendedGpu() as gpu:
        train(Callbacks(save=lambda take: counts.append((gpu.launches, gpu.syncs.copy()))))
    assert len(counts) == STEPS
    middle = counts[1 : FETCH_INTERVAL + 2]
    launches = sorted(after - before for (before, _), (after, _) in pairwise(middle))[FETCH_INTERVAL // 2]
    syncs = [(after - before).total() for (_, before), (_, after) in pairwise(middle)]
    return Cost(launches, max(syncs), sum(syncs) / FETCH_INTERVAL, middle[-1][1] - middle[0][1])


# --- attacks and searches: measured over CHECK_INTERVAL more iterations ---------------------------------------------


class Unbeaten(nn.Module):
    """A network that is right whatever it is shown: so every iteration is done for every image."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.register_buffer("lead", torch.tensor([1e3, *[0.0] * (CLASSES - 1)]))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.network(x_BCHW) + self.lead


ITERATIONS: dict[str, list[tuple[dict[str, Any], Callable[[int], dict[str, Any]]]]] = {
    "fgsm": [],  # nothing is iterated
    "gaussian_noise": [],
    "pgd": [
        ({}, lambda n: {"steps": n}),
        ({"norm": "l2"}, lambda n: {"steps": n}),
        ({"early_stopping": True}, lambda n: {"steps": n}),
    ],
    "apgd": [
        ({}, lambda n: {"steps": n}),
        ({"norm": "l2"}, lambda n: {"steps": n}),
        ({"norm": "l1"}, lambda n: {"steps": n}),
    ],
    "universal": [({"images": 1}, lambda n: {"epochs": n})],
    "region": [({"region": {"kind": "glasses"}}, lambda n: {"steps": n})],
    "lbfgs": [({"searches": 1}, lambda n: {"steps": n})],
    "deepfool": [({}, lambda n: {"steps": n})],
    "fmn": [({"norm": norm}, lambda n: {"steps": n}) for norm in ("linf", "l2", "l1", "l0")],
    "fab": [({"norm": norm, "targets": 1}, lambda n: {"steps": n}) for norm in ("linf", "l2", "l1")],
    "jsma": [({"target": 1}, lambda n: {"share": (2 * n + 0.5) / 784})],
    "carlini_wagner": [({"searches": 1}, lambda n: {"steps": n})],
    "square": [({"norm": norm}, lambda n: {"queries": n + 1}) for norm in ("linf", "l2", "l1")],
    "hop_skip_jump": [  # queries for all starts and one iteration, or as many as until the first look
        ({"draws": 40, "norm": norm}, lambda n: {"queries": 71 if n == 1 else 3500}) for norm in ("linf", "l2")
    ],
    "ensemble": [],  # its members are counted
    "one_pixel": [
        ({"search": "evolution", "population": 5}, lambda n: {"generations": n}),
        ({"search": "exhaustive"}, lambda n: {"levels": 2 if n == 1 else 7}),  # 8 and 28 times TRIED
    ],
    "spatial": [
        ({"search": "random"}, lambda n: {"tries": n}),
        ({"search": "first_order"}, lambda n: {"tries": n}),
        ({"search": "grid", "shifts": 1}, lambda n: {"angles": n}),
    ],
}
"""Of each attack, variants: keys that stay, and those that make it do n iterations."""


SEARCHES = [f"inversion, {optimizer}" for optimizer in ("adam", "sgd")] + [
    f"inpainting, {method}" for method in METHODS
]


def of_attack(kind: str, variant: int) -> Cost:
    """What an iteration costs."""
    keys, of = ITERATIONS[kind][variant]
    images, labels = data(1)

    def run(iterations: int) -> None:
        spec = registry.parse("attacks", {"kind": kind, **keys, **of(iterations)})
        model = Unbeaten(preset("networks", "cnn", CLASSES)).eval().to(DEVICE)
        x_BCHW, y_B = (images.float() / 255).to(DEVICE), labels.to(DEVICE)
        attack = registry.resolve(spec)
        if spec.others():
            attack = attack(model, x_BCHW, y_B, spec, seed=0)
        attack(model, x_BCHW, y_B, spec, seed=0, indices=[0])

    return shared(run)


def of_search(name: str) -> Cost:
    """What a step in a latent space costs."""
    about, choice = name.split(", ")

    def run(steps: int) -> None:
        generator = preset("generators", "dcgan-generator").to(DEVICE)
        x_BCHW = torch.rand(2, *SHAPE).to(DEVICE)
        if about == "inversion":
            search(generator, x_BCHW, LatentSearch(steps=steps, starts=2, optimizer=choice), seed=0, indices=[0, 1])
            return
        known_BHW = torch.ones(2, *SHAPE[1:], dtype=torch.bool).to(DEVICE)
        judge = preset("networks", "dcgan-discriminator", 1).to(DEVICE)
        latent = LatentSearch(steps=steps, starts=2)
        restore(generator, x_BCHW, known_BHW, choice, latent, seed=0, indices=[0, 1], discriminator=judge)

    return shared(run)


def shared(run: Callable[[int], None]) -> Cost:
    """What each of CHECK_INTERVAL iterations costs that a run does more than another: one look is among them."""
    runs = []
    for iterations in (1, 1 + CHECK_INTERVAL):
        with PretendedGpu() as gpu:
            run(iterations)
        runs.append(gpu)
    syncs = runs[1].syncs - runs[0].syncs
    launches = round((runs[1].launches - runs[0].launches) / CHECK_INTERVAL)
    return Cost(launches, math.ceil(syncs.total() / CHECK_INTERVAL), syncs.total() / CHECK_INTERVAL, syncs)


# --- the table -------------------------------------------------------------------------------------------------------


def _called(kind: str, keys: Mapping[str, Any]) -> str:
    words = {name: value if isinstance(value, str) else name for name, value in keys.items()}
    chosen = [words[name] for name, value in keys.items() if isinstance(value, str | bool)]
    return ", ".join([kind, *chosen])


COUNTED: dict[str, Callable[[], Cost]] = {
    **{f"training step: {name}": partial(of_training, train) for name, train in TRAININGS.items()},
    **{
        f"iteration: {_called(kind, keys)}": partial(of_attack, kind, variant)
        for kind, variants in ITERATIONS.items()
        for variant, (keys, _) in enumerate(variants)
    },
    **{f"iteration: {name}": partial(of_search, name) for name in SEARCHES},
}
"""How the cost of each line of the table is found."""


def table(costs: Mapping[str, Cost]) -> str:
    """The table in Markdown."""
    lines = ["| | launches | syncs |", "|---|---|---|"]
    lines += [f"| {name} | {one.launches} | {one.mean_syncs:.2f} |" for name, one in costs.items()]
    return "\n".join(lines) + "\n"


def with_table(page: str, costs: Mapping[str, Cost]) -> str:
    """The page with this table."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{table(costs)}{END}{rest.partition(END)[2]}"


def main() -> None:
    """Write the page, or compare it."""
    page = PAGE.read_text(encoding="utf-8")
    wanted = with_table(page, {name: count() for name, count in COUNTED.items()})
    if "--check" in sys.argv and page != wanted:
        sys.exit(f"{PAGE} is out of date; run `python -m tests.gpu.costs`")
    PAGE.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
