"""Interpolation: exact ends, equal steps."""

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from advgen import registry
from advgen.experiments.interpolations import interpolation_strips
from advgen.experiments.interpolations.run import measure_changes, select_pairs
from advgen.experiments.interpolations.summary import summarise as interpolations
from advgen.interpolation import alphas, decode_frames
from advgen.io.checkpoints import build
from advgen.metrics.paths import is_third_class, midpoint_frames
from advgen.models.networks import Network


@pytest.fixture(params=["generator", "autoencoder"])
def decode(request):
    torch.manual_seed(0)
    if request.param == "generator":
        return build("generators", registry.PRESETS["generators"]["dcgan-generator"].fit((1, 28, 28))).eval()
    return build("autoencoders", registry.PRESETS["autoencoders"]["conv-autoencoder"].fit((1, 28, 28))).eval().decode


@pytest.mark.parametrize("pairs", [1, 3, 40])
def test_ends_equal_the_decoded_latents_exactly(decode, pairs):
    latent = 64 if isinstance(decode, torch.nn.Module) else 100
    z_from_BD, z_to_BD = torch.randn(pairs, latent), torch.randn(pairs, latent)
    strips_BFCHW = decode_frames(decode, z_from_BD, z_to_BD)
    assert strips_BFCHW.shape == (pairs, 9, 1, 28, 28)
    assert torch.equal(strips_BFCHW[:, 0], decode(z_from_BD))
    assert torch.equal(strips_BFCHW[:, -1], decode(z_to_BD))
    assert not strips_BFCHW.requires_grad


def strips(*judged: list[int], labels: tuple[int, int] = (7, 1), blends: list[list[int]] | None = None) -> pa.Table:
    """The table of strips of one pair of labels each, with what the judge sees in each frame, of pixel blends too."""
    count, length = len(judged), len(judged[0])
    columns = {
        "interpolation": "walk",
        "model": "gan",
        "seed": 0,
        "pair": np.repeat(np.arange(count), length),
        "frame": np.tile(np.arange(length), count),
        "alpha": np.tile(alphas(length), count),
        "index_from": 0,
        "index_to": 1,
        "label_from": labels[0],
        "label_to": labels[1],
        "judged": np.concatenate(judged),
        "confidence": 1.0,
        "change": np.tile([float("nan"), *[1 / (length - 1)] * (length - 1)], count),
        "judged_blend": np.concatenate(blends or judged),
        "change_blend": np.tile([float("nan"), 0.7, *[0.3 / (length - 2)] * (length - 2)], count),
    }
    return pa.table(pd.DataFrame(columns).sample(frac=1, random_state=0))


def test_a_third_class_is_that_of_no_end():
    table = strips([7, 7, 4, 1, 1], [7, 7, 7, 1, 1], [7, 7, 1, 1, 1], [7, 4, 1, 1, 1])
    facts = table.to_pandas()
    third = facts[is_third_class(facts)]
    assert sorted(zip(third["pair"], third["frame"], strict=True)) == [(0, 2), (3, 1)]
    (share,) = interpolations({"interpolation": table})["third_class"]
    assert share == 1 / 4


def test_figures_and_tables_tell_the_same_rate():
    """One of the third classes is halfway, one nearer to an end: the rate is of those halfway, wherever it stands."""
    table = strips([7, 7, 4, 1, 1], [7, 7, 7, 1, 1], [7, 7, 1, 1, 1], [7, 4, 1, 1, 1])
    assert interpolation_strips._details(table.to_pandas()).startswith("third class at the midpoint: 25.0 %")
    assert ", pixel blends 25.0 %" in interpolation_strips._details(table.to_pandas())
    middle = midpoint_frames(table.to_pandas())
    assert sorted(zip(middle["pair"], middle["third"], strict=True)) == [(0, True), (1, False), (2, False), (3, False)]


def test_a_badly_inverted_end_is_no_third_class():
    """A 7 whose latent vector gives a 9: the path lies between a 9 and a 1, as far as the model goes."""
    summary = interpolations({"interpolation": strips([9, 9, 9, 9, 1], [7, 7, 8, 8, 8], [9, 9, 4, 1, 1])})
    assert summary["third_class"] == [1 / 3]
    assert summary["ends_kept"] == [0]
    assert interpolations({"interpolation": strips([7, 7, 7, 1, 1], [7, 7, 8, 8, 8])})["ends_kept"] == [1 / 2]


def test_a_pixel_blend_has_its_own_third_classes_and_steps():
    """Its ends are the images themselves: a class that the model's path has at an end may be a third one there."""
    table = strips([9, 9, 9, 1, 1], [7, 7, 1, 1, 1], blends=[[7, 7, 9, 1, 1], [7, 7, 7, 1, 1]])
    found = interpolations({"interpolation": table})
    assert (found["third_class"], found["third_class_blend"]) == ([0], [1 / 2])
    assert (found["roughness"], found["roughness_blend"]) == ([1 / 4], [pytest.approx(0.7)])


def test_frames_lie_at_equal_steps_on_the_line():
    z_from_BD, z_to_BD = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    line_BFD = decode_frames(lambda z_BD: z_BD, z_from_BD, z_to_BD, 5)
    for frame, alpha in enumerate([0, 0.25, 0.5, 0.75, 1]):
        torch.testing.assert_close(line_BFD[:, frame], (1 - alpha) * z_from_BD + alpha * z_to_BD)


def test_alphas():
    assert alphas() == [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1]
    with pytest.raises(ValueError, match="at least 2 frames"):
        alphas(1)


def labels(per_class, classes=10):
    return np.random.default_rng(0).permutation(np.repeat(np.arange(classes), per_class))


def test_pairs_cover_all_pairs_of_classes_evenly():
    found = labels(100)
    pairs = select_pairs(found, 225, seed=0)
    assert pairs.shape == (225, 2)
    assert len(np.unique(pairs)) == 450, "an image is used twice"
    between = Counter(tuple(sorted(found[pair].tolist())) for pair in pairs)
    assert len(between) == 45
    assert set(between.values()) == {5}
    assert all(first != last for first, last in between)
    directed = Counter(tuple(found[pair].tolist()) for pair in pairs)
    assert set(directed.values()) == {2, 3}, "both directions are walked"


def test_a_few_pairs_are_of_different_classes_each_and_stay_when_more_are_asked_for():
    found = labels(100)
    few, many = select_pairs(found, 16, seed=0), select_pairs(found, 200, seed=0)
    assert np.array_equal(few, many[:16])
    assert len({tuple(sorted(found[pair].tolist())) for pair in few}) == 16
    assert not np.array_equal(few, select_pairs(found, 16, seed=1))


def test_classes_that_run_out_are_passed_over():
    found = np.array([0] * 10 + [1] * 5 + [2] * 4)
    pairs = select_pairs(found, 7, seed=0)
    assert (found[pairs[:, 0]] != found[pairs[:, 1]]).all()
    with pytest.raises(ValueError, match="pairs of different classes among 19 images, not 12"):
        select_pairs(found, 12, seed=0)
    with pytest.raises(ValueError, match="only 0 pairs"):
        select_pairs(np.zeros(5, dtype=int), 1, seed=0)


class Sums(Network):
    """A judge with one feature: the sum of an image."""

    def __init__(self):
        super().__init__(
            torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1, bias=False)), torch.nn.Linear(1, 2)
        )
        torch.nn.init.ones_(self.body[1].weight)


def test_changes_are_shares_of_the_whole_way():
    strips_NFCHW = torch.tensor([[0.0, 0.2, 0.4, 0.6], [0.0, 0.0, 1.0, 1.0]])[:, :, None, None, None].expand(
        -1, -1, 1, 2, 2
    )
    shares = measure_changes(Sums(), strips_NFCHW)
    assert shares[:, 0].isnan().all()
    torch.testing.assert_close(shares[:, 1:], torch.tensor([[1 / 3] * 3, [0.0, 1.0, 0.0]]))
