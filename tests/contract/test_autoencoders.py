"""Every autoencoder maps an image to z and back, in the same size and range."""

import pytest
import torch

from advgen import registry
from advgen.io.checkpoints import build
from advgen.specs.autoencoders import ConvAutoencoder, FcAutoencoder

KINDS = {
    ConvAutoencoder: ConvAutoencoder(kind="conv", latent=5, channels=(4, 6)),
    FcAutoencoder: FcAutoencoder(kind="fc", latent=5),
}
CASES = {**registry.PRESETS["autoencoders"], **{f"tiny {spec.kind}": spec for spec in KINDS.values()}}


def test_every_registered_kind_is_tested():
    assert set(KINDS) == set(registry.AUTOENCODERS)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 64, 64), (2, 13, 13), (1, 5, 5)], ids=str)
@pytest.mark.parametrize("spec", CASES.values(), ids=CASES.keys())
def test_reconstructions_have_the_size_of_the_image(spec, shape):
    model = build("autoencoders", spec.fit(shape))
    x_BCHW = torch.rand(4, *shape)
    restored_BCHW, z_BD = model(x_BCHW)
    assert restored_BCHW.shape == x_BCHW.shape
    assert z_BD.shape == (4, spec.latent)
    assert restored_BCHW.min() >= 0
    assert restored_BCHW.max() <= 1


@pytest.mark.parametrize("spec", CASES.values(), ids=CASES.keys())
def test_forward_is_encode_then_decode(spec):
    model = build("autoencoders", spec.fit((1, 28, 28))).eval()
    x_BCHW = torch.rand(3, 1, 28, 28)
    restored_BCHW, z_BD = model(x_BCHW)
    assert torch.equal(z_BD, model.encode(x_BCHW))
    assert torch.equal(restored_BCHW, model.decode(z_BD))


@pytest.mark.parametrize("spec", CASES.values(), ids=CASES.keys())
def test_gradient_reaches_every_weight(spec):
    torch.manual_seed(0)
    model = build("autoencoders", spec.fit((1, 28, 28)))
    x_BCHW = torch.rand(8, 1, 28, 28)
    (model(x_BCHW)[0] - x_BCHW).square().sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []
