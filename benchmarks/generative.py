"""Time that batching, an encoder and data in memory save for generative models, compared with usual code.

    python benchmarks/generative.py [GENERATOR] [--quick]

GENERATOR is a trained generator of MNIST digits, by default results/gans/dcgan/seed0/generator.safetensors. The images
are those in results/datasets/mnist. Everything runs in one process with one thread. Both sides of a comparison take
turns, and their medians are printed with the ratio. --quick takes one turn of each, to try the script.

1. Inversion: all images × starts in one tensor, against a loop over images and starts. M1's shape, the same starts.
2. Encoder: an encoder's start and a few steps, against five random starts of Adam; without the encoder's training.
3. Training step of M1 against M3, compared with DataLoader, transforms and default Adam.
4. Loading the data of 3 only.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from advgen import load, registry, seeds
from advgen.data.images import load_images
from advgen.inversion.search import search
from advgen.io.checkpoints import build
from advgen.models.predict import to_unit_range
from advgen.specs.searches import LatentSearch
from advgen.specs.training import EncoderTraining, GanTraining
from advgen.training.encoder import train_encoder
from advgen.training.gan import train_gan
from advgen.training.initial import build_seeded
from advgen.training.losses import discriminator_loss, generator_loss
from advgen.training.state import Callbacks

DATASET, SHAPE = Path("results/datasets/mnist"), (1, 28, 28)
TRAINING = {"loss": "non_saturating", "lr_generator": 1e-4, "lr_discriminator": 4e-4}


def main() -> None:
    """Run all four and print a row per comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("generator", nargs="?", default="results/gans/dcgan/seed0/generator.safetensors")
    parser.add_argument("--quick", action="store_true", help="one turn, few steps: only to see that it runs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    turns = 1 if arguments.quick else 5
    train, _ = load_images(DATASET / "train.parquet")
    test, _ = load_images(DATASET / "test.parquet")
    print(f"{'':58}{'peer':>10}{'ours':>10}{'ratio':>8}")
    inversion(to_unit_range(test[:20]), 20 if arguments.quick else 60, turns)
    amortised(load(arguments.generator), to_unit_range(test[: 20 if arguments.quick else 100]), arguments.quick)
    for batch in (24, 128):
        training_step(train, batch, 3 if arguments.quick else 40, turns)
    for batch in (24, 128):
        data_path(train, batch, 20 if arguments.quick else 200, turns)


def seconds(run: Callable[[], Any]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def row(name: str, peer: float, ours: float, form: str, gain: float | None = None) -> None:
    """Print a comparison; the gain is peer / ours where less is better."""
    print(f"{name:58}{peer:{form}}{ours:{form}}{peer / ours if gain is None else gain:>7.1f}×", flush=True)


def compare(name: str, peer: Callable[[], Any], ours: Callable[[], Any], turns: int, images: int) -> None:
    """Let both take turns, the first of which does not count, and print images per second and the gain."""
    times = [(seconds(peer), seconds(ours)) for _ in range(turns + (turns > 1))][-turns:]
    slow, fast = (statistics.median(column) for column in zip(*times, strict=True))
    row(f"{name} (img/s)", images / slow, images / fast, "10,.0f", slow / fast)


def inversion(targets_NCHW: Tensor, steps: int, turns: int) -> None:
    """Compare one tensor with a loop over images and starts."""
    generator = (
        build_seeded(build, "generators", registry.PRESETS["generators"]["M1"].fit(SHAPE), seed=0)
        .eval()
        .requires_grad_(False)
    )
    spec = LatentSearch(steps=steps, starts=5)
    indices = list(range(len(targets_NCHW)))
    loop = indices[:2]  # each image takes the same time

    def serial() -> list[Tensor]:
        return [one_by_one(generator, targets_NCHW[index], spec, index, start) for index in loop for start in range(5)]

    def batched() -> Tensor:
        return search(generator, targets_NCHW, spec, seed=0, indices=indices).mse

    difference = (torch.stack(serial()).view(2, 5) - batched()[:2]).abs().max()
    times = [(seconds(serial) / len(loop), seconds(batched) / len(indices)) for _ in range(turns)]
    slow, fast = (statistics.median(column) for column in zip(*times, strict=True))
    row("inversion, M1, 20 images × 5 starts (ms/img)", slow * 1000, fast * 1000, "10,.0f")
    print(f"    largest difference of a final loss: {difference:.1e}", flush=True)


def one_by_one(generator: Any, target_CHW: Tensor, spec: LatentSearch, index: int, start: int) -> Tensor:
    """The final loss of one image from one start, without batching."""
    z_1D = seeds.normal(0, f"start {start}", [index], generator.latent).requires_grad_()
    optimizer = torch.optim.Adam([z_1D], lr=spec.lr)
    for _ in range(spec.steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(generator(z_1D)[0], target_CHW).backward()
        optimizer.step()
    with torch.no_grad():
        return nn.functional.mse_loss(generator(z_1D)[0], target_CHW)


def amortised(generator: Any, targets_NCHW: Tensor, quick: bool) -> None:
    """Compare an encoder's start, with 60 steps or until the same error, with five random starts of 200 steps."""
    body = registry.PRESETS["networks"]["encoder-cnn"].fit(generator.image)
    encoder = build_seeded(build, "networks", body, generator.latent, seed=0)
    spec = EncoderTraining(steps=20 if quick else 1000)
    trained = seconds(lambda: train_encoder(encoder, generator, spec, 0, "cpu", Callbacks()))
    most = 20 if quick else 200

    def timed(starts: int, steps: int, start: nn.Module | None) -> tuple[float, Tensor]:
        """Seconds per image, and the mean over images of the best loss after each step."""
        budget, indices = LatentSearch(steps=steps, starts=starts), list(range(len(targets_NCHW)))
        began = time.perf_counter()
        found = search(generator, targets_NCHW, budget, seed=0, indices=indices, encoder=start, record_every=1)
        return (time.perf_counter() - began) / len(indices), found.history.amin(1).mean(0)

    slow, blind_T = timed(5, most, None)
    _, told_T = timed(1, 2 * most, encoder)
    good = (told_T <= blind_T[-1]).nonzero().flatten()
    for steps in dict.fromkeys([min(60, most), *good[:1].tolist()]):
        fast, error_T = timed(1, max(1, steps), encoder)
        row(f"inversion, 5 random starts, encoder and {steps} steps (ms/img)", slow * 1000, fast * 1000, "10,.1f")
        row("    mean squared error", blind_T[-1].item(), error_T[-1].item(), "10.4f")
        print(
            f"    the encoder's training, {trained:.0f} s, pays from {trained / (slow - fast):,.0f} images on",
            flush=True,
        )
    if not len(good):
        print(f"    {2 * most} steps from the encoder's start are not as good", flush=True)


class Files(Dataset[Tensor]):
    """MNIST as torchvision serves it: an array in memory, a PIL image and transforms for each item."""

    def __init__(self, images_NCHW: Tensor):
        self.images_NHW = images_NCHW[:, 0].numpy()
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.0, 1.0)])

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.images_NHW)

    def __getitem__(self, index: int) -> Tensor:
        """One image, transformed."""
        image: Tensor = self.transform(Image.fromarray(self.images_NHW[index]))
        return image


def pair() -> tuple[Any, Any]:
    """M1 and M3, freshly made."""
    body = registry.PRESETS["networks"]["M3"].fit(SHAPE)
    return (
        build_seeded(build, "generators", registry.PRESETS["generators"]["M1"].fit(SHAPE), seed=0),
        build_seeded(build, "networks", body, 1, seed=0),
    )


def training_step(images_NCHW: Tensor, batch: int, steps: int, turns: int) -> None:
    """A few steps of the same two networks, ours and the plain way."""
    spec = GanTraining(**TRAINING, batch=batch, epochs=1)
    some_NCHW = images_NCHW[: batch * steps]

    def ours() -> None:
        train_gan(*pair(), some_NCHW, spec, 0, "cpu", Callbacks())

    def plain() -> None:
        generator, discriminator = pair()
        optimizers = [
            torch.optim.Adam(network.parameters(), lr, (spec.beta1, 0.999))
            for network, lr in ((generator, spec.lr_generator), (discriminator, spec.lr_discriminator))
        ]
        losses = []
        for real_BCHW in DataLoader(Files(some_NCHW), batch, shuffle=True):
            fake_BCHW = generator(torch.randn(len(real_BCHW), generator.latent))
            optimizers[1].zero_grad()
            loss = discriminator_loss(spec.loss, discriminator(real_BCHW), discriminator(fake_BCHW.detach()))
            loss.backward()
            optimizers[1].step()
            optimizers[0].zero_grad()
            fake_BCHW = generator(torch.randn(len(real_BCHW), generator.latent))
            generator_loss(spec.loss, discriminator(fake_BCHW)).backward()
            optimizers[0].step()
            losses.append(loss.item())

    compare(f"training step, M1/M3, batch {batch}", plain, ours, turns, len(some_NCHW))


def data_path(images_NCHW: Tensor, batch: int, batches: int, turns: int) -> None:
    """Batches of float images in a random order."""
    some_NCHW = images_NCHW[: batch * batches]

    def ours() -> None:
        order_N = torch.randperm(len(some_NCHW))
        consume([to_unit_range(some_NCHW[rows_B]) for rows_B in order_N.split(batch)])

    def plain() -> None:
        consume(list(DataLoader(Files(some_NCHW), batch, shuffle=True)))

    compare(f"data path, batch {batch}", plain, ours, turns, len(some_NCHW))


def consume(batches: Sequence[Tensor]) -> None:
    """Both sides must have made all images."""
    assert sum(map(len, batches)) > 0


if __name__ == "__main__":
    main()
