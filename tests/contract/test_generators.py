"""Every generator makes images in [0, 1] of the right shape from its latent vectors, and can be trained."""

import pytest
import torch
from scipy.stats import ks_2samp

from advgen import registry
from advgen.io.checkpoints import build
from advgen.models.generators import truncated_normal
from advgen.models.layers import count_parameters
from advgen.specs.generators import FcGenerator, TransposedConvGenerator

KINDS = {
    FcGenerator: FcGenerator(kind="fc", latent=6, hidden=(20, 30), image=(3, 8, 10)),
    TransposedConvGenerator: TransposedConvGenerator(
        kind="transposed_conv",
        latent=6,
        hidden=(20,),
        start=(8, 4, 5),
        channels=(6,),
        image_channels=3,
        start_norm=True,
        skip_latent=True,
    ),
}
DIGIT = (1, 28, 28)
PRESETS = {name: spec.fit(spec.image_shape() or DIGIT) for name, spec in registry.PRESETS["generators"].items()}
CASES = {**PRESETS, **{spec.kind: spec for spec in KINDS.values()}}


def test_every_registered_kind_is_tested():
    assert set(KINDS) == set(registry.GENERATORS)


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def generator(request):
    torch.manual_seed(0)
    return build("generators", request.param)


def test_images_have_the_right_shape_and_range(generator):
    z_BD = 30 * torch.randn(5, generator.latent)
    x_BCHW = generator(z_BD)
    assert x_BCHW.shape == (5, *generator.spec.image_shape())
    assert generator.image == generator.spec.image_shape()
    assert x_BCHW.dtype == torch.float32
    assert x_BCHW.min() >= 0
    assert x_BCHW.max() <= 1
    assert x_BCHW.std() > 0


def test_gradient_reaches_every_weight_and_z(generator):
    z_BD = torch.randn(8, generator.latent, requires_grad=True)
    (generator(z_BD) * torch.randn(8, *generator.image)).sum().backward()
    for name, weight in [("z", z_BD), *generator.named_parameters()]:
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_in_eval_mode_an_image_does_not_depend_on_its_batch(generator):
    generator.eval()
    z_BD = torch.randn(7, generator.latent)
    one_by_one = torch.cat([generator(z_BD[row : row + 1]) for row in range(7)])
    torch.testing.assert_close(generator(z_BD), one_by_one, atol=1e-6, rtol=0)


def test_the_published_number_of_parameters():
    assert count_parameters(build("generators", PRESETS["M1"])) == 675_025


SHAPES = [(channels, side, side) for side in (28, 32, 64) for channels in (1, 3)]


@pytest.mark.parametrize("shape", [*SHAPES, (3, 32, 48)], ids=str)
@pytest.mark.parametrize(
    "name", [name for name, spec in registry.PRESETS["generators"].items() if not spec.image_shape()]
)
def test_generators_without_a_shape_fit_any_image(name, shape):
    generator = build("generators", registry.PRESETS["generators"][name].fit(shape)).eval()
    assert generator.image == shape
    assert generator(torch.randn(2, generator.latent)).shape == (2, *shape)


@pytest.mark.parametrize(
    ("keys", "shape", "message"),
    [
        ({"channels": (8, 4, 2)}, DIGIT, "make 1×28×28 images: 4 .* of stride 2 make sides of 16, 32, 48, … pixels"),
        ({"channels": (4,), "kernel": 5, "padding": 0}, (3, 4, 4), "make 3×4×4 images: 2 .* sides of 13, 17, 21, …"),
        ({"start": (8, 4, 4), "channels": ()}, (3, 32, 32), "makes 3×8×8 images, not 3×32×32"),
        ({"start": 8, "image_channels": 1}, (3, 32, 32), "makes 1×32×32 images, not 3×32×32"),
    ],
)
def test_impossible_images_are_refused(keys, shape, message):
    with pytest.raises(ValueError, match=message):
        TransposedConvGenerator(kind="transposed_conv", **keys).fit(shape)
    with pytest.raises(ValueError, match="makes 1×28×28 images, not"):
        FcGenerator(kind="fc", image=DIGIT).fit((3, 32, 32))


def test_batch_norm_and_activation_are_those_of_the_spec():
    spec = KINDS[TransposedConvGenerator]
    for batch_norm, start_norm, expected in [(True, True, 2), (True, False, 1), (False, True, 1), (False, False, 0)]:
        changed = build("generators", spec.model_copy(update={"batch_norm": batch_norm, "start_norm": start_norm}))
        assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in changed.modules()) == expected
    for kind, hidden in [(FcGenerator, 2), (TransposedConvGenerator, 3)]:
        module = build("generators", KINDS[kind].model_copy(update={"activation": "tanh"}))
        assert sum(isinstance(part, torch.nn.Tanh) for part in module.modules()) == hidden


def test_he_initialisation_keeps_the_variance():
    """With torch's default weights of four layers, the images of different vectors are almost equal."""
    spread = {}
    for initial in ("default", "he"):
        torch.manual_seed(0)
        spec = PRESETS["M2"].model_copy(update={"initial": initial})
        generator = build("generators", spec)
        spread[initial] = generator(torch.randn(64, generator.latent)).std(0).mean().item()
    assert spread["he"] > 3 * spread["default"]


def test_the_latent_vector_skips_to_the_later_layers():
    """Without z in the first feature maps, the image still depends on z only with skip_latent."""
    torch.manual_seed(0)
    spec = TransposedConvGenerator(kind="transposed_conv", latent=6, start=(8, 4, 4), channels=(6, 5), image_channels=1)
    plain, skipping = (
        build("generators", spec.model_copy(update={"skip_latent": skips})).eval() for skips in (False, True)
    )
    z_BD = torch.randn(3, 6)
    for generator, depends in ((plain, False), (skipping, True)):
        with torch.no_grad():
            generator.layers[0].weight.zero_()
            x_BCHW = generator(z_BD)
        assert torch.equal(x_BCHW[0], x_BCHW[1]) != depends
    assert count_parameters(skipping) - count_parameters(plain) == 7 * 6 + 7 * 5


def test_truncated_numbers_are_normal_within_the_threshold():
    """Compared with rejection sampling."""
    u = torch.rand(200_000, generator=torch.Generator().manual_seed(0))
    for threshold in (0.25, 1.0, 2.0):
        z = truncated_normal(u, threshold)
        assert z.abs().max() <= threshold
        drawn = torch.randn(2_000_000, generator=torch.Generator().manual_seed(1))
        redrawn = drawn[drawn.abs() <= threshold]
        assert ks_2samp(z.numpy(), redrawn.numpy()).statistic < 0.006
    whole = truncated_normal(u, 8.0)
    assert abs(whole.std() - 1) < 0.01
    assert torch.isfinite(truncated_normal(torch.tensor([0.0, 1 - 2**-24]), 100.0)).all()


def test_smaller_thresholds_scale_the_same_numbers():
    u = torch.rand(1000, 4, generator=torch.Generator().manual_seed(0))
    near, far = truncated_normal(u, 0.5), truncated_normal(u, 2.0)
    assert (near.abs() <= far.abs() + 1e-6).all()
    assert (near.sign() == far.sign()).all()
