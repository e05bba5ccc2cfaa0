"""Contract of networks, for every registered class and preset."""

import typing

import pytest
import torch

from advgen import contracts, registry
from advgen.files.provenance import Stamp
from advgen.io.checkpoints import build, load_model, save_model
from advgen.models.layers import copy_without_spectral_norm, count_parameters
from advgen.models.predict import features_and_probabilities, predict
from advgen.specs.networks import Activation, ConvNetwork, EnsembleNetwork, FcNetwork

ALONE = [
    (cls, *typing.get_args(cls.model_fields["kind"].annotation))
    for cls in registry.NETWORKS
    if cls is not EnsembleNetwork
]
KINDS = {
    **{f"kind {kind}": cls(kind=kind) for cls, kind in ALONE},
    "kind ensemble": EnsembleNetwork(kind="ensemble", member=FcNetwork(kind="fc"), members=2),
}
FACES = {name: spec for name, spec in registry.PRESETS["networks"].items() if spec.image == (3, 64, 64)}
SPECS = {**KINDS, **{name: spec for name, spec in registry.PRESETS["networks"].items() if name not in FACES}}


def test_every_registered_kind_is_tested():
    assert {type(spec) for spec in KINDS.values()} == set(registry.NETWORKS)


@pytest.mark.parametrize("check", [*contracts.CHECKS["networks"], *contracts.EVERY], ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", SPECS)
def test_fulfils_its_contract(name, check):
    assert check(SPECS[name]) == ""


@pytest.fixture(params=SPECS, ids=str)
def network(request):
    torch.manual_seed(0)
    return build("networks", SPECS[request.param].fit((1, 28, 28)), 7)


def images(n):
    return torch.randint(0, 256, (n, 1, 28, 28), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def test_a_seed_fixes_the_weights(network):
    torch.manual_seed(0)
    again = build("networks", network.spec, 7)
    torch.manual_seed(1)
    other = build("networks", network.spec, 7)
    for (name, a), b in zip(network.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert not torch.equal(network.head.weight, other.head.weight)


def test_prediction_leaves_the_network_unchanged_and_is_independent_of_the_batch(network):
    network.train()
    network.head.eval()
    modes = [module.training for module in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.get_rng_state()

    x = images(11)
    labels, logits = predict(network, x)
    _, small_logits = predict(network, x.float() / 255, batch=4)
    torch.testing.assert_close(small_logits, logits, atol=1e-5, rtol=1e-4)
    assert torch.equal(labels, logits.argmax(1))
    features, probabilities = features_and_probabilities(network, x, batch=3)
    assert features.shape == (11, network.head.in_features)
    torch.testing.assert_close(probabilities, logits.softmax(1), atol=1e-5, rtol=1e-4)

    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 64, 64)], ids=str)
@pytest.mark.parametrize(
    "name", ["cnn", "judge-cnn", "encoder-cnn", "madry-1", "FC10", "M4", "M6", "dcgan-discriminator"]
)
def test_presets_fit_any_image(name, shape):
    network = build("networks", registry.PRESETS["networks"][name].fit(shape), 2).eval()
    assert network(torch.rand(2, *shape)).shape == (2, 2)


def test_thresholds_are_fixed_and_hide_changes_between_them():
    torch.manual_seed(0)
    spec = ConvNetwork(kind="conv", threshold=0.2, channels=(3,), kernel=3, padding=1).fit((2, 8, 8))
    network = build("networks", spec, 4)
    x_BCHW = torch.rand(5, 2, 8, 8)
    seen_BCHW = network.body[1](network.body[0](x_BCHW))
    expected = [part for channel in x_BCHW.unbind(1) for part in ((channel - 0.2).relu(), (channel - 0.8).relu())]
    torch.testing.assert_close(seen_BCHW, torch.stack(expected, 1))
    network(x_BCHW).sum().backward()
    assert [one.requires_grad for one in network.body[0].parameters()] == [False, False]
    dark = torch.zeros(1, 2, 8, 8)
    assert torch.equal(network(dark), network(dark + 0.2))
    with pytest.raises(ValueError, match="cannot be combined with spectral_norm"):
        ConvNetwork(kind="conv", threshold=0.2, spectral_norm=True)


def test_the_published_number_of_parameters():
    spec = registry.PRESETS["networks"]["M3"].fit((1, 28, 28))
    assert count_parameters(build("networks", spec, 1)) == 1_460_225


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", typing.get_args(Activation))
def test_pooling_before_the_activation_changes_nothing(activation, batch_norm, stride):
    """Convolution, normalisation, activation, pooling: same numbers as pooling before the activation."""
    spec = ConvNetwork(
        kind="conv", channels=(3, 4), kernel=3, stride=stride, activation=activation, batch_norm=batch_norm
    )
    network = build("networks", spec.fit((1, 28, 28)), 2).eval()
    layers = list(network.body)
    for pool in [index for index, layer in enumerate(layers) if isinstance(layer, torch.nn.MaxPool2d)]:
        layers[pool], layers[pool + 1] = layers[pool + 1], layers[pool]
    assert isinstance(layers[-2], torch.nn.MaxPool2d)
    x = images(4).float() / 255
    torch.testing.assert_close(torch.nn.Sequential(*layers)(x), network.features(x))


@pytest.mark.parametrize("kind", ["fc", "conv"])
def test_spectral_norms_are_one(kind):
    """Checked on a layer with known singular values, and on all layers after power iteration has converged."""
    spec = FcNetwork(kind="fc", hidden=(6,)) if kind == "fc" else ConvNetwork(kind="conv", channels=(6,), kernel=3)
    torch.manual_seed(0)
    network = build("networks", spec.fit((1, 28, 28)).model_copy(update={"spectral_norm": True}), 2)
    layer = next(one for one in network.modules() if hasattr(one, "parametrizations"))
    original = layer.parametrizations.weight.original
    wide = torch.linalg.qr(torch.randn(original[0].numel(), 6)).Q.T
    known = torch.linalg.qr(torch.randn(6, 6)).Q @ torch.diag(torch.tensor([4.0, 2, 1, 0.5, 0.2, 0.1])) @ wide
    with torch.no_grad():
        original.copy_(known.reshape(original.shape))
        for _ in range(100):
            network.train()(images(2).float() / 255)
    torch.testing.assert_close(layer.weight.flatten(1), known / 4)
    plain = copy_without_spectral_norm(network)
    for one in plain.modules():
        if isinstance(one, torch.nn.Linear | torch.nn.Conv2d):
            assert torch.linalg.matrix_norm(one.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-4)
    x_BCHW = images(5).float() / 255
    assert torch.equal(plain.eval()(x_BCHW), network.eval()(x_BCHW))
    assert {name for name, _ in plain.named_parameters()} == {
        name for name, _ in build("networks", spec.fit((1, 28, 28)), 2).named_parameters()
    }


def test_a_normalised_network_survives_saving(tmp_path):
    torch.manual_seed(0)
    network = build("networks", FcNetwork(kind="fc", hidden=(6,), spectral_norm=True).fit((1, 28, 28)), 2)
    network.train()(images(2).float() / 255)
    save_model(tmp_path / "network.safetensors", network, Stamp("test", {}, "x"))
    x_BCHW = images(5).float() / 255
    assert torch.equal(load_model(tmp_path / "network.safetensors")(x_BCHW), network.eval()(x_BCHW))
