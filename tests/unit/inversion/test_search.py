"""Inversion: batched equals serial, rows are independent, the generator is left as it was."""

import copy

import pytest
import torch
from torch import nn

from advgen import registry, seeds
from advgen.inversion import search as module
from advgen.inversion.search import search
from advgen.io.checkpoints import build
from advgen.specs.generators import TransposedConvGenerator
from advgen.specs.searches import LatentSearch

TINY = TransposedConvGenerator(
    kind="transposed_conv", latent=6, hidden=(20,), start=(8, 2, 2), channels=(6,), image_channels=1
)
ADAM = LatentSearch(steps=30, starts=3)


def make(spec=TINY):
    """A generator in train mode whose batch-norm statistics are not those of a fresh one."""
    torch.manual_seed(0)
    generator = build("generators", spec)
    with torch.no_grad():
        for weight in generator.parameters():
            weight.mul_(2)
        for _ in range(20):
            generator(torch.randn(64, generator.latent))
    return generator


def reachable(generator, count):
    with torch.no_grad():
        z_BD = torch.randn(count, generator.latent, generator=torch.Generator().manual_seed(9))
        return copy.deepcopy(generator).eval()(z_BD.to(next(generator.parameters())))


@pytest.mark.parametrize("optimizer", [ADAM, LatentSearch(optimizer="sgd", lr=20, steps=30, starts=3)])
@pytest.mark.parametrize("spec", [TINY, registry.PRESETS["generators"]["M1"].fit((1, 28, 28))], ids=["tiny", "M1"])
def test_batched_equals_serial_from_the_same_starts(spec, optimizer):
    generator = make(spec).double()  # in single precision an untrained M1 turns rounding into other paths
    targets_NCHW = reachable(generator, 3)
    indices = [5, 0, 1234]
    batched = search(generator, targets_NCHW, optimizer, seed=2, indices=indices)

    frozen = copy.deepcopy(generator).eval()
    for row, index in enumerate(indices):
        for start in range(3):
            z_1D = seeds.normal(2, f"start {start}", [index], generator.latent).double().requires_grad_()
            make_optimizer = torch.optim.Adam if optimizer.optimizer == "adam" else torch.optim.SGD
            one = make_optimizer([z_1D], lr=optimizer.lr)
            for _ in range(optimizer.steps):
                one.zero_grad()
                nn.functional.mse_loss(frozen(z_1D), targets_NCHW[row : row + 1]).backward()
                one.step()
            torch.testing.assert_close(batched.z[row, start], z_1D[0].detach(), atol=1e-4, rtol=1e-4)
            image = frozen(z_1D)[0].detach()
            torch.testing.assert_close(batched.images[row, start], image, atol=1e-4, rtol=0)
            error = (image - targets_NCHW[row]).square().mean()
            torch.testing.assert_close(batched.mse[row, start], error, atol=1e-4, rtol=1e-4)


def test_result_of_an_image_does_not_depend_on_its_batch(monkeypatch):
    generator = make()
    targets_NCHW = reachable(generator, 5)
    whole = search(generator, targets_NCHW, ADAM, seed=0, indices=[4, 3, 2, 1, 0])
    alone = search(generator, targets_NCHW[3:4], ADAM, seed=0, indices=[1])
    torch.testing.assert_close(whole.z[3], alone.z[0], atol=1e-4, rtol=1e-4)
    monkeypatch.setattr(module, "ROWS", 4)
    parts = search(generator, targets_NCHW, ADAM, seed=0, indices=[4, 3, 2, 1, 0])
    torch.testing.assert_close(whole.z, parts.z, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(whole.history, parts.history, atol=1e-4, rtol=1e-4)


def test_generator_and_global_random_numbers_are_untouched():
    generator = make()
    generator.layers[0].eval()
    generator.layers[2].weight.requires_grad_(False)
    generator.layers[0].bias.grad = torch.ones_like(generator.layers[0].bias)
    weights = copy.deepcopy(generator.state_dict())
    modes = [part.training for part in generator.modules()]
    random_state = torch.get_rng_state()
    search(generator, reachable(generator, 2), ADAM, seed=0, indices=[0, 1])

    assert torch.equal(random_state, torch.get_rng_state())
    assert [part.training for part in generator.modules()] == modes
    assert all(torch.equal(value, weights[key]) for key, value in generator.state_dict().items())
    for name, weight in generator.named_parameters():
        assert weight.requires_grad == (name != "layers.2.weight")
        assert (weight.grad is None) == (name != "layers.0.bias")
    assert torch.equal(generator.layers[0].bias.grad, torch.ones_like(generator.layers[0].bias))


def test_only_z_gets_a_gradient(monkeypatch):
    """No gradient of a weight is ever computed: that would cost a third more."""
    needed = []
    monkeypatch.setattr(
        nn.Linear,
        "forward",
        lambda self, x: (needed.append(self.weight.requires_grad), nn.functional.linear(x, self.weight, self.bias))[1],
    )
    generator = make()
    targets_NCHW = reachable(generator, 1)
    needed.clear()
    search(generator, targets_NCHW, ADAM, seed=0, indices=[0])
    assert len(needed) >= ADAM.steps
    assert not any(needed)


class Reader(nn.Module):
    """An encoder with a memory: gives each known image the latent vector that it is told."""

    def __init__(self, images_NCHW, z_ND):
        super().__init__()
        self.images_NCHW, self.z_ND = images_NCHW, z_ND

    def forward(self, x_BCHW):
        assert not self.training
        assert not torch.is_grad_enabled()
        distance = (x_BCHW[:, None] - self.images_NCHW[None]).square().flatten(2).sum(2)
        return self.z_ND[distance.argmin(1)]


def test_starts_from_an_encoder_lie_around_what_it_says():
    generator = make()
    targets_NCHW = reachable(generator, 3)
    z_ND = torch.randn(3, 6)
    encoder = Reader(targets_NCHW, z_ND)
    still = LatentSearch(steps=1, lr=1e-20, starts=200)
    found = search(generator, targets_NCHW, still, seed=0, indices=[4, 5, 6], encoder=encoder)
    assert torch.equal(found.z[:, 0], z_ND)
    around = found.z[:, 1:] - z_ND[:, None]
    assert around.std() == pytest.approx(module.ENCODER_SPREAD, rel=0.05)
    assert around.mean().abs() < 0.05
    assert encoder.training, "its mode was changed"
    alone = search(generator, targets_NCHW[1:2], still, seed=0, indices=[5], encoder=encoder)
    torch.testing.assert_close(alone.z[0], found.z[1])


def test_finds_images_that_the_generator_can_make():
    generator = make()
    targets_NCHW = reachable(generator, 6)
    found = search(generator, targets_NCHW, LatentSearch(steps=200, starts=4), seed=0, indices=list(range(6)))
    nothing = (targets_NCHW - targets_NCHW.mean(0)).square().mean()
    assert found.mse.min(1).values.mean() < 0.02 * nothing
    best = found.best()
    torch.testing.assert_close((best - targets_NCHW).square().mean((1, 2, 3)), found.mse.min(1).values)


def test_history_records_first_last_and_every_nth_step():
    generator = make()
    targets_NCHW = reachable(generator, 2)
    spec = LatentSearch(steps=25, starts=2)
    reports = []
    found = search(
        generator, targets_NCHW, spec, seed=0, indices=[3, 4], record_every=10, progress=lambda *r: reports.append(r)
    )
    assert found.steps.tolist() == [0, 10, 20, 25]
    assert found.history.shape == (2, 2, 4)
    assert torch.equal(found.history[..., -1], found.mse)
    z_BD = torch.stack([seeds.normal(0, f"start {start}", [3, 4], 6) for start in range(2)], 1).flatten(0, 1)
    first = copy.deepcopy(generator).eval()(z_BD).unflatten(0, (2, 2)) - targets_NCHW[:, None]
    torch.testing.assert_close(found.history[..., 0], first.square().mean((2, 3, 4)).detach())
    assert reports == [(step, 25) for step in range(1, 26)]


def test_progress_counts_all_parts_of_a_large_search(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 2)
    generator = make()
    reports = []
    spec = LatentSearch(steps=5, starts=2)
    search(generator, reachable(generator, 3), spec, seed=0, indices=[0, 1, 2], progress=lambda *r: reports.append(r))
    assert reports == [(step, 15) for step in range(1, 16)]


def test_loss_of_ones_own_sees_the_target_of_each_row():
    generator = make()
    targets_NCHW = reachable(generator, 3)

    def upper_half(x_BCHW, rows_B):
        return (x_BCHW - targets_NCHW[rows_B])[:, :, :4].square().mean((1, 2, 3))

    found = search(generator, targets_NCHW, ADAM, seed=0, indices=[0, 1, 2], loss=upper_half)
    error = (found.images - targets_NCHW[:, None])[:, :, :, :4].square().mean((2, 3, 4))
    torch.testing.assert_close(found.mse, error)


def test_user_errors_end_in_a_sentence():
    generator = make()
    with pytest.raises(ValueError, match="1×8×8 images, but those to invert are 1×28×28"):
        search(generator, torch.zeros(1, 1, 28, 28), ADAM, seed=0, indices=[0])
    with pytest.raises(ValueError, match="lower lr"):
        diverging = LatentSearch(steps=5, optimizer="sgd").model_copy(update={"lr": 1e38})
        infinite = lambda x_BCHW, rows_B: x_BCHW.square().sum((1, 2, 3)) * float("inf")  # noqa: E731
        search(generator, reachable(generator, 1), diverging, seed=0, indices=[0], loss=infinite)
