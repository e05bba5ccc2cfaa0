"""Inpainting: what each method may see, and what it makes of it."""

import copy

import pytest
import torch

from advgen.inpainting.masks.crosswalk import crosswalk
from advgen.inpainting.masks.square import square
from advgen.inpainting.restore import METHODS, discriminator_prior, paste_known_pixels, restore
from advgen.io.checkpoints import build
from advgen.specs.generators import TransposedConvGenerator
from advgen.specs.masks import CrosswalkMask, SquareMask
from advgen.specs.networks import FcNetwork
from advgen.specs.searches import LatentSearch

SHAPE = (1, 8, 8)
SEARCH = LatentSearch(steps=60, starts=2)
INDICES = [3, 0, 8, 5]


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    generator = build(
        "generators",
        TransposedConvGenerator(kind="transposed_conv", latent=6, start=(8, 2, 2), channels=(6,), image_channels=1),
    )
    with torch.no_grad():
        for weight in generator.parameters():
            weight.mul_(2)
        generator.layers[-2].bias.add_(2)  # bright images, so that black pixels mislead
        for _ in range(20):
            generator(torch.randn(64, 6))
    return generator.eval()


@pytest.fixture(scope="module")
def x_NCHW(generator):
    with torch.no_grad():
        return generator(torch.randn(4, 6, generator=torch.Generator().manual_seed(9)))


@pytest.fixture(scope="module", params=["square", "crosswalk"])
def known_NHW(request):
    if request.param == "square":
        return square(SquareMask(kind="square", size=3), SHAPE, seed=0, indices=INDICES)
    return crosswalk(CrosswalkMask(kind="crosswalk"), SHAPE, seed=0, indices=INDICES)


@pytest.fixture(scope="module")
def discriminator():
    torch.manual_seed(4)
    network = build("networks", FcNetwork(kind="fc", image=SHAPE, hidden=(10,), dropout=0.5), 1)
    with torch.no_grad():
        network.body[1].weight.mul_(4)
    return network


def run(generator, x_NCHW, known_NHW, method, search=SEARCH, discriminator=None):
    return restore(generator, x_NCHW, known_NHW, method, search, seed=0, indices=INDICES, discriminator=discriminator)


@pytest.mark.parametrize("method", METHODS)
def test_what_lies_under_the_mask_has_no_influence(generator, discriminator, x_NCHW, known_NHW, method):
    restored_NCHW = run(generator, x_NCHW, known_NHW, method, discriminator=discriminator)
    assert restored_NCHW.shape == x_NCHW.shape
    for junk in (0.0, 1.0, -1e6, float("nan")):
        other_NCHW = torch.where(known_NHW[:, None], x_NCHW, junk)
        again_NCHW = run(generator, other_NCHW, known_NHW, method, discriminator=discriminator)
        assert torch.equal(again_NCHW, restored_NCHW)


def test_prior_adds_the_discriminators_opinion(discriminator, x_NCHW, known_NHW):
    made_BCHW, rows_B = torch.rand(4, *SHAPE), torch.arange(4)
    context = METHODS["contextual"](x_NCHW, known_NHW, None)(made_BCHW, rows_B)
    loss_B = METHODS["contextual_prior"](x_NCHW, known_NHW, discriminator_prior(discriminator, 0.25))(made_BCHW, rows_B)
    frozen = copy.deepcopy(discriminator).eval()
    torch.testing.assert_close(loss_B, context - 0.25 * frozen(made_BCHW).sigmoid().log()[:, 0])


def test_prior_draws_towards_what_the_discriminator_likes(generator, discriminator, x_NCHW, known_NHW):
    weights = copy.deepcopy(discriminator.state_dict())
    liked = []
    for weight in (0.0, 1.0):
        search = LatentSearch(steps=60, starts=2, prior=weight)
        made_NCHW = run(generator, x_NCHW, known_NHW, "contextual_prior", search, discriminator)
        with torch.no_grad():
            liked.append(copy.deepcopy(discriminator).eval()(made_NCHW).mean())
        if weight == 0:
            torch.testing.assert_close(made_NCHW, run(generator, x_NCHW, known_NHW, "contextual", search))
    assert liked[1] > liked[0] + 0.1
    assert discriminator.training
    assert all(parameter.grad is None for parameter in discriminator.parameters())
    assert all(torch.equal(value, weights[key]) for key, value in discriminator.state_dict().items())


def test_masked_loss_and_its_gradient_ignore_the_pixels_under_the_mask(x_NCHW, known_NHW):
    made_BCHW = torch.rand(4, *SHAPE).requires_grad_()
    rows_B = torch.arange(4)
    losses = []
    for paint in (0.0, 1.0):
        masked_NCHW = torch.where(known_NHW[:, None], x_NCHW, paint)
        losses.append(METHODS["contextual"](masked_NCHW, known_NHW, None)(made_BCHW, rows_B))
    assert torch.equal(losses[0], losses[1])
    losses[0].sum().backward()
    hidden_BCHW = ~known_NHW[:, None]
    assert (made_BCHW.grad[hidden_BCHW] == 0).all()
    assert (made_BCHW.grad[~hidden_BCHW] != 0).all()
    for row in range(4):
        expected = (made_BCHW - x_NCHW)[row, 0][known_NHW[row]].square().mean()
        torch.testing.assert_close(losses[0][row], expected)


def test_full_loss_counts_lost_pixels_as_black(x_NCHW, known_NHW):
    masked_NCHW = x_NCHW * known_NHW[:, None]
    made_BCHW = torch.rand(8, *SHAPE)
    rows_B = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    loss_B = METHODS["full"](masked_NCHW, known_NHW, None)(made_BCHW, rows_B)
    torch.testing.assert_close(loss_B, (made_BCHW - masked_NCHW[rows_B]).square().mean((1, 2, 3)))


def test_best_start_is_chosen_by_the_known_pixels_alone(generator, x_NCHW, known_NHW):
    searches = [SEARCH.model_copy(update={"starts": starts}) for starts in (1, 2)]
    made = [run(generator, x_NCHW, known_NHW, "contextual", search) for search in searches]
    error = [((one - x_NCHW).square() * known_NHW[:, None]).sum((1, 2, 3)) for one in made]
    assert (error[1] <= error[0] + 1e-5).all()


def test_composite_keeps_the_known_pixels(x_NCHW, known_NHW):
    restored_NCHW = torch.full_like(x_NCHW, 0.5)
    mixed_NCHW = paste_known_pixels(x_NCHW, known_NHW, restored_NCHW)
    assert torch.equal(mixed_NCHW[:, 0][known_NHW], x_NCHW[:, 0][known_NHW])
    assert (mixed_NCHW[:, 0][~known_NHW] == 0.5).all()


def test_colour_images_count_every_channel():
    known_NHW = torch.ones(1, 2, 2, dtype=torch.bool)
    known_NHW[0, 0, 0] = False
    made, target = torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    assert METHODS["contextual"](target, known_NHW, None)(made, torch.tensor([0])).tolist() == [1.0]


def test_user_errors_end_in_a_sentence(generator, x_NCHW, known_NHW):
    with pytest.raises(ValueError, match="'magic' is unknown; one of full, contextual, contextual_prior"):
        run(generator, x_NCHW, known_NHW, "magic")
    with pytest.raises(ValueError, match="needs the discriminator"):
        run(generator, x_NCHW, known_NHW, "contextual_prior")
    nothing_NHW = copy.deepcopy(known_NHW)
    nothing_NHW[2] = False
    with pytest.raises(ValueError, match="without a single known pixel"):
        run(generator, x_NCHW, nothing_NHW, "contextual")
