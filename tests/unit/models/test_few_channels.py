"""The faster convolutions from and to few channels: the library's own, for every shape that they take over."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advgen.attacks.common import frozen
from advgen.models import few_channels
from advgen.models.few_channels import accelerate_convolutions

Convolution = nn.Conv2d | nn.ConvTranspose2d
LAYERS: dict[str, tuple[tuple[int, ...], Convolution]] = {
    "grey": ((1, 28, 28), nn.Conv2d(1, 8, 5, padding=2)),
    "colour, all keys apart": ((3, 17, 23), nn.Conv2d(3, 4, (3, 5), stride=(2, 3), padding=(1, 0))),
    "pixels that no filter reaches": ((1, 10, 11), nn.Conv2d(1, 4, 3, stride=4, bias=False)),
    "to grey": ((8, 7, 7), nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1)),
    "to colour, all keys apart": ((4, 5, 6), nn.ConvTranspose2d(4, 3, (3, 5), stride=(2, 3), padding=(1, 0))),
    "to eight maps": ((16, 5, 6), nn.ConvTranspose2d(16, 8, 5)),
    "from four maps, a width of four": ((4, 6, 8), nn.ConvTranspose2d(4, 32, (3, 5), padding=(2, 1))),
    "from five maps, an odd width, no bias": ((5, 6, 7), nn.ConvTranspose2d(5, 20, 3, padding=1, bias=False)),
    "to grey, gaps between filters": ((4, 5, 6), nn.ConvTranspose2d(4, 1, 3, stride=4, bias=False)),
}


def network(image: tuple[int, ...], layer: Convolution, images: int = 5) -> tuple[nn.Module, Tensor]:
    """A small network that begins with the layer, and inputs for it, in double precision."""
    torch.manual_seed(0)
    x_BCHW = torch.rand(images, *image, dtype=torch.double)
    layer = layer.double()
    width = layer(x_BCHW).flatten(1).shape[1]
    return nn.Sequential(nn.Sequential(layer, nn.Tanh()), nn.Flatten(), nn.Linear(width, 3).double()), x_BCHW


def gradient(model: nn.Module, x_BCHW: Tensor) -> Tensor:
    x_BCHW = x_BCHW.clone().requires_grad_()
    return torch.autograd.grad(model(x_BCHW).square().sum(), x_BCHW)[0]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("cache", [1, 10_000, 2**20])
def test_result_and_gradient_are_the_librarys(name: str, cache: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(few_channels, "CACHE", cache)
    model, x_BCHW = network(*LAYERS[name])
    with frozen(model):
        fast = accelerate_convolutions(model)
        assert "Convolve" in grad_fns(fast(x_BCHW.clone().requires_grad_()))
        torch.testing.assert_close(fast(x_BCHW), model(x_BCHW), rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(gradient(fast, x_BCHW), gradient(model, x_BCHW), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["grey", "to grey"])
def test_what_is_fast_stays_fast_as_it_is(name: str) -> None:
    """An attack that runs others hands them a model that it has made faster."""
    model, x_BCHW = network(*LAYERS[name])
    with frozen(model):
        fast = accelerate_convolutions(accelerate_convolutions(model))
        assert "Convolve" in grad_fns(fast(x_BCHW.clone().requires_grad_()))
        torch.testing.assert_close(gradient(fast, x_BCHW), gradient(model, x_BCHW), rtol=1e-12, atol=1e-14)


def test_model_stays_as_it_is_and_shares_its_weights() -> None:
    model, x_BCHW = network(*LAYERS["grey"])
    before = repr(model)
    with frozen(model):
        fast = accelerate_convolutions(model)
    assert repr(model) == before
    assert {id(weight) for weight in fast.parameters()} == {id(weight) for weight in model.parameters()}
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    assert not fast(x_BCHW).any()


def test_hooks_of_the_model_are_called() -> None:
    model, x_BCHW = network(*LAYERS["grey"])
    seen: list[Any] = []
    model.register_forward_hook(lambda *arguments: seen.append(arguments))
    accelerate_convolutions(model)(x_BCHW)
    assert len(seen) == 1


class Doubled(nn.Conv2d):
    """A convolution with another forward pass."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return 2 * super().forward(x_BCHW)


def hooked() -> nn.Conv2d:
    """A convolution whose result a hook doubles."""
    layer = nn.Conv2d(1, 8, 3)
    layer.register_forward_hook(lambda layer, inputs, output: 2 * output)
    return layer


@pytest.mark.parametrize(
    "layer",
    [
        Doubled(1, 8, 3),
        hooked(),
        nn.Conv2d(4, 8, 3),
        nn.Conv2d(2, 8, 3, groups=2),
        nn.Conv2d(1, 8, 3, dilation=2),
        nn.Conv2d(1, 8, 3, padding="same"),
        nn.Conv2d(1, 8, 3, padding=1, padding_mode="reflect"),
        nn.ConvTranspose2d(8, 4, 3, stride=2),
        nn.ConvTranspose2d(8, 4, 3, padding=3),
        nn.ConvTranspose2d(16, 32, 3),
        nn.ConvTranspose2d(8, 1, 3, stride=2, output_padding=1),
    ],
    ids=[
        "derived",
        "hooked",
        "many channels",
        "groups",
        "dilation",
        "padding by name",
        "padding mode",
        "to several channels, stride",
        "cut more than the kernel",
        "to many channels",
        "output padding",
    ],
)
def test_other_convolutions_are_left_alone(layer: Convolution) -> None:
    assert accelerate_convolutions(nn.Sequential(layer))[0] is layer


def test_a_bias_that_wants_a_gradient_gets_it() -> None:
    layer = nn.Conv2d(1, 8, 3)
    layer.weight.requires_grad_(False)
    accelerate_convolutions(layer)(torch.rand(2, 1, 9, 9, requires_grad=True)).sum().backward()
    assert layer.bias is not None and layer.bias.grad is not None


def test_weights_that_want_a_gradient_get_it() -> None:
    model, x_BCHW = network(*LAYERS["grey"])
    accelerate_convolutions(model)(x_BCHW.requires_grad_()).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


def grad_fns(result: Tensor) -> str:
    """The names of all operations behind a tensor."""
    names, left = [], [result.grad_fn]
    while left:
        if (one := left.pop()) is not None:
            names.append(one.name())
            left += [before for before, _ in one.next_functions]
    return " ".join(names)
