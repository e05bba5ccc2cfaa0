"""Contract of masks, and the pixels that each mask hides."""

import pytest
import scipy.ndimage
import torch

from advgen import contracts, registry
from advgen.specs.masks import CrosswalkMask, GlassesMask, PepperMask, SquareMask

# missing pixels of a 28×28 image, by default
LOST = {"pepper": round(0.3 * 784), "crosswalk": 392, "square": 64}
MNIST = (1, 28, 28)


@pytest.fixture(params=registry.kinds("masks"))
def case(request):
    spec = registry.kinds("masks")[request.param](kind=request.param)
    return spec, registry.resolve(spec), spec.missing(MNIST), request.param in ("pepper", "square")


def test_the_published_numbers_of_hidden_pixels():
    for kind, lost in LOST.items():
        assert registry.kinds("masks")[kind](kind=kind).missing(MNIST) == lost


@pytest.mark.parametrize("check", [*contracts.CHECKS["masks"], *contracts.EVERY], ids=lambda check: check.__name__)
def test_fulfils_its_contract(case, check):
    assert check(case[0]) == ""


def test_a_random_mask_depends_on_the_seed(case):
    spec, mask, _, random = case
    known_BHW = mask(spec, MNIST, seed=1, indices=[7, 3, 123, 0, 9999])
    if random:
        assert not torch.equal(known_BHW, mask(spec, MNIST, seed=2, indices=[7, 3, 123, 0, 9999]))
        assert len(known_BHW.flatten(1).unique(dim=0)) > 1


def test_masks_support_other_shapes(case):
    spec, mask, _, _ = case
    assert mask(spec, (3, 10, 16), seed=0, indices=[0]).shape == (1, 10, 16)


def test_a_square_mask_is_a_square_at_any_position():
    spec = SquareMask(kind="square", size=8)
    lost_BHW = ~registry.resolve(spec)(spec, MNIST, seed=0, indices=list(range(2000)))
    rows_BH, columns_BW = lost_BHW.any(2), lost_BHW.any(1)
    assert torch.equal(lost_BHW, rows_BH[:, :, None] & columns_BW[:, None, :])
    for lines in (rows_BH, columns_BW):
        first = lines.int().argmax(1)
        assert torch.equal(lines.sum(1), torch.full((2000,), 8))
        assert sorted(first.unique().tolist()) == list(range(21))


def test_a_crosswalk_mask_hides_complete_rows():
    for period, lost in [(2, range(1, 28, 2)), (3, range(2, 28, 3))]:
        spec = CrosswalkMask(kind="crosswalk", period=period)
        known_BHW = registry.resolve(spec)(spec, MNIST, seed=0, indices=[4])
        assert (~known_BHW[0].any(1)).nonzero().flatten().tolist() == list(lost)
        assert torch.equal(known_BHW[0].any(1), known_BHW[0].all(1))


def test_a_pepper_mask_hides_every_pixel_equally_often():
    spec = PepperMask(kind="pepper", fraction=0.3)
    lost_BHW = ~registry.resolve(spec)(spec, MNIST, seed=0, indices=list(range(2000)))
    share_HW = lost_BHW.float().mean(0)
    assert (share_HW - 0.3).abs().max() < 5 * (0.3 * 0.7 / 2000) ** 0.5


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        (PepperMask(kind="pepper", fraction=0.0001), MNIST),
        (PepperMask(kind="pepper", fraction=0.9999), MNIST),
        (CrosswalkMask(kind="crosswalk", period=29), MNIST),
        (SquareMask(kind="square", size=28), MNIST),
        (SquareMask(kind="square", size=29), MNIST),
        (SquareMask(kind="square", size=11), (1, 10, 20)),
    ],
)
def test_masks_that_hide_no_pixel_or_all_are_an_error(spec, shape):
    with pytest.raises(ValueError, match=spec.kind):
        registry.resolve(spec)(spec, shape, seed=0, indices=[0])
    assert not 0 < spec.missing(shape) < shape[1] * shape[2]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 64, 64)])
def test_glasses_have_two_rims_and_a_bridge_in_the_upper_half(shape):
    spec = GlassesMask(kind="glasses")
    lost_HW = ~registry.resolve(spec)(spec, shape, seed=0, indices=[0])[0]
    assert not lost_HW[shape[1] // 2 + 1 :].any()
    assert 0.03 < lost_HW.double().mean() < 0.2
    _, holes = scipy.ndimage.label(~lost_HW.numpy())
    assert holes == 3  # the face and two lenses
    _, frames = scipy.ndimage.label(lost_HW.numpy())
    assert frames == 1
