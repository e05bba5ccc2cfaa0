"""Distances between sets of images, single-image measures and the judge's calibration, against closed forms."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from advgen.metrics import calibration as calibration_module
from advgen.metrics import distribution
from advgen.metrics.calibration import calibrate
from advgen.metrics.image import mse, ssim
from advgen.models.networks import Network


def whitened(n, features, seed=0):
    """Points with mean exactly 0 and covariance exactly I."""
    x = np.random.default_rng(seed).normal(size=(n, features))
    x -= x.mean(0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T


def test_frechet_of_a_shift_and_a_scaling():
    x = whitened(500, 6)
    assert distribution.frechet(x, x + 2) == pytest.approx(6 * 4)
    assert distribution.frechet(x, 3 * x) == pytest.approx(6 * (3 - 1) ** 2)


def test_frechet_of_gaussians_that_do_not_commute():
    x, random = whitened(400, 4), np.random.default_rng(3)
    a, b = (m @ m.T for m in random.normal(size=(2, 4, 4)))
    root = np.linalg.cholesky
    expected = np.trace(a + b) - 2 * np.sqrt(np.linalg.eigvals(a @ b).real).sum()
    assert distribution.frechet(x @ root(a).T, x @ root(b).T) == pytest.approx(expected)


def test_frechet_is_symmetric_even_with_fewer_images_than_features():
    random = np.random.default_rng(1)
    a, b = random.normal(size=(10, 30)), 2 + random.normal(size=(15, 30))
    assert distribution.frechet(a, b) == pytest.approx(distribution.frechet(b, a), rel=1e-9)
    assert distribution.frechet(a, b) > 30


def test_inception_score_runs_from_one_to_the_number_of_classes():
    assert distribution.classifier_score(np.eye(10)) == pytest.approx(10)
    assert distribution.classifier_score(np.eye(10)[[3] * 5]) == pytest.approx(1)
    assert distribution.classifier_score(np.full((5, 10), 0.1)) == pytest.approx(1)
    halves = np.array([[0.75, 0.25], [0.25, 0.75]])
    assert distribution.classifier_score(halves) == pytest.approx(math.exp(0.75 * math.log(1.5) + 0.25 * math.log(0.5)))


def test_precision_on_a_line_by_hand():
    real, fake = np.array([[0.0], [1.0], [2.0], [10.0]]), np.array([[0.5], [11.0], [30.0]])
    # k = 1: the balls are [-1, 1], [0, 2], [1, 3], [2, 18]; of the fakes [-10, 11], [0.5, 21.5], [11, 49].
    assert distribution.support(real, fake, k=1, k_density=1)[:2] == (pytest.approx(2 / 3), 1)


def test_precision_does_not_depend_on_the_chunks(monkeypatch):
    random = np.random.default_rng(0)
    real, fake = random.normal(size=(90, 4)), random.normal(0.7, 1, size=(70, 4))
    whole = distribution.support(real, fake)
    monkeypatch.setattr(distribution, "CHUNK", 7)
    assert distribution.support(real, fake) == pytest.approx(whole, rel=1e-12)
    assert 0 < whole[0] < 1


def test_density_and_coverage_of_sets_made_by_hand():
    """On a line, with the nearest neighbour alone: the balls of 0, 1, 3 and 10 reach 1, 1, 2 and 7 far."""
    real = np.array([[0.0], [1], [3], [10]])
    fake = np.array([[0.5], [2.5], [6], [30]])
    # 0.5 lies in the balls of 0 and 1, 2.5 in those of 3, 6 in that of 10; 30 in none. 1's reaches from 0 to 2
    found = distribution.support(real, fake, k=1, k_density=1)
    assert found.density == pytest.approx((2 + 1 + 1 + 0) / 4)
    assert found.coverage == 1
    assert found.precision == 3 / 4
    # with two neighbours the balls reach 3, 2, 3 and 9 far: 0 and 1 and 3 / all of them / 3 and 10 / none
    found = distribution.support(real, fake, k=1, k_density=2)
    assert found.density == pytest.approx((3 + 4 + 2 + 0) / (2 * 4))
    # an outlier makes room for many fakes: precision counts each, density as a quarter of its neighbours
    outlier = distribution.support(np.array([[0.0], [0.1], [0.2], [0.3], [50]]), np.full((6, 1), 30.0), 1, 1)
    assert (outlier.precision, outlier.density, outlier.coverage) == (1, 1, 0.2)


def test_density_and_coverage_of_equal_distributions():
    """Coverage of equal sets of one distribution is 1 - (N-1)…(N-k) / (2N-1)…(2N-k) [naeem2020reliable, lemma 2]."""
    random, n, k = np.random.default_rng(0), 800, 5
    found = distribution.support(random.normal(size=(n, 8)), random.normal(size=(n, 8)))
    missed = math.prod((n - j) / (2 * n - j) for j in range(1, k + 1))
    assert found.density == pytest.approx(1, abs=0.06)
    assert found.coverage == pytest.approx(1 - missed, abs=0.02)
    assert found.variety == pytest.approx(1, abs=0.05)


def test_quality_compares_sets_of_equal_size():
    random = np.random.default_rng(0)
    reference, features = random.normal(size=(120, 4)), random.normal(0.5, 1, size=(60, 4))
    probabilities = random.dirichlet(np.ones(5), size=60)
    assert distribution.quality(torch.from_numpy(reference), features, probabilities) == {
        "frechet_distance": distribution.frechet(reference, features),
        "classifier_score": distribution.classifier_score(probabilities),
        **distribution.support(reference[:60], features)._asdict(),
    }


def test_class_shares():
    shares = distribution.class_shares(torch.tensor([0, 0, 2, 1]), 4)
    np.testing.assert_array_equal(shares, [0.5, 0.25, 0.25, 0])
    assert distribution.classes_covered(shares) == 3
    assert distribution.classes_covered([0.99, 0.01]) == 1
    assert distribution.entropy_bits(shares) == 1.5
    assert str(distribution.entropy_bits([1, 0])) == "0.0", "no negative zero"
    assert distribution.total_variation(shares, [0.25] * 4) == 0.25
    assert distribution.total_variation([1, 0], [0, 1]) == 1


# --- single images ---------------------------------------------------------------------------------------------------


def test_ssim_of_one_window_by_hand():
    a, b = torch.rand(2, 11, 11, generator=torch.Generator().manual_seed(1), dtype=torch.float64).numpy()
    axis = np.arange(11) - 5
    weights = np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    ma, mb = (weights * a).sum(), (weights * b).sum()
    va, vb = (weights * (a - ma) ** 2).sum(), (weights * (b - mb) ** 2).sum()
    cov = (weights * (a - ma) * (b - mb)).sum()
    expected = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
    measured = ssim(torch.from_numpy(a)[None, None], torch.from_numpy(b)[None, None])
    assert measured.item() == pytest.approx(expected, rel=1e-9)


# --- calibration -----------------------------------------------------------------------------------------------------


def test_ladder_ranks_damage_and_repeats():
    """On two classes of images, told apart by which half is bright, with pixels as features."""
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(240) % 2
    upper = torch.cat([torch.ones(4, 8), torch.zeros(4, 8)])
    bright = torch.stack([upper, 1 - upper])
    pixels = 160 * bright[labels] + 40 * torch.rand(240, 8, 8, generator=random)
    images = pixels.to(torch.uint8).unsqueeze(1)
    judge = Network(nn.Sequential(nn.Flatten()), nn.Linear(64, 2))
    with torch.no_grad():
        judge.head.weight.copy_((bright * 2 - 1).flatten(1))
        judge.head.bias.zero_()
    second = Network(nn.Sequential(nn.Flatten()), nn.Linear(64, 2))
    with torch.no_grad():  # names class 0 whatever it sees
        second.head.weight.zero_()
        second.head.bias.copy_(torch.tensor([1.0, 0.0]))
    split = (images[:160], labels[:160], images[160:], labels[160:])

    rows = calibrate(judge, second, *split, n=100, seed=0, device="cpu")
    by_name = {row["level"]: row for row in rows}
    assert rows == calibrate(judge, second, *split, n=100, seed=0, device="cpu")
    assert by_name["real train"]["frechet_distance"] == min(row["frechet_distance"] for row in rows)
    assert by_name["class 1 only"]["n"] == 80
    assert {row["n"] for name, row in by_name.items() if name.startswith("real")} == {100}
    assert by_name["class 1 only"]["classifier_score"] < 1.1 < by_name["real train"]["classifier_score"]
    assert by_name["uniform noise"]["precision"] == 0
    assert by_name["class 1 only"]["recall"] < by_name["real train"]["recall"]
    assert {row["judge_error"] for row in rows} == {0}
    assert {row["second_error"] for row in rows} == {0.5}
    assert (by_name["class 1 only"]["agreement"], by_name["class 0 missing"]["agreement"]) == (0, 0)
    assert 0.3 < by_name["real train"]["agreement"] < 0.7


def test_each_rung_of_the_ladder_shows_what_its_name_says(monkeypatch):
    """The judge's features are the pixels, and noted; its label is whether an image is bright."""
    batches = []

    def note(judge, images):
        batches.append(images)
        bright = images.double().flatten(1).mean(1) / (255 if images.dtype == torch.uint8 else 1)
        return images.flatten(1).double(), torch.stack([1 - bright, bright], dim=1)

    monkeypatch.setattr(calibration_module, "features_and_probabilities", note)
    labels = torch.arange(60) % 3
    images = (80 * labels[:, None, None, None] + torch.arange(60)[:, None, None, None]).expand(60, 1, 5, 6)
    images = images.to(torch.uint8).contiguous()
    judge = Network(nn.Sequential(nn.Flatten()), nn.Linear(30, 2))
    models = judge, Network(nn.Sequential(nn.Flatten()), nn.Linear(30, 2))
    rows = calibrate(*models, images, labels, images[:20], (labels[:20] > 0).long(), n=30, seed=0, device="cpu")
    reference, real, missing, blurred, noisy, uniform, only = batches
    assert sorted(reference[:, 0, 0, 0].tolist()) == sorted(images[:20, 0, 0, 0].tolist())
    assert reference[:, 0, 0, 0].tolist() != images[:20, 0, 0, 0].tolist()  # in random order
    names = ["real train", "class 0 missing", "blur 3×3", "Gaussian noise 0.2", "uniform noise", "class 1 only"]
    assert [row["level"] for row in rows] == names
    assert [row["n"] for row in rows] == [30, 30, 30, 30, 30, 20]

    def of_class(level):
        return {
            int(labels[(images[:, 0, 0, 0] == round(level * 255)).nonzero()[0, 0]])
            for level in level[:, 0, 0, 0].tolist()
        }

    assert (of_class(real), of_class(missing), of_class(only)) == ({0, 1, 2}, {1, 2}, {1})
    assert not torch.equal(real, missing)
    torch.testing.assert_close(blurred[:, :, 2, 2], real[:, :, 2, 2])
    torch.testing.assert_close(blurred[:, :, 0, 0], real[:, :, 0, 0] * 4 / 9)  # black comes in
    torch.testing.assert_close(blurred[:, :, 0, 2], real[:, :, 0, 2] * 6 / 9)
    assert noisy.min() == 0 and noisy.max() == 1
    inner = (noisy - real)[(noisy > 0) & (noisy < 1) & (real > 0.3) & (real < 0.7)]
    assert inner.std().item() == pytest.approx(0.2, rel=0.15)
    assert uniform.min() >= 0 and uniform.max() <= 1
    assert uniform.std().item() == pytest.approx(1 / 12**0.5, rel=0.05)
    wrong = sum(
        (level > 127.5) != (label > 0) for level, label in zip(images[:20, 0, 0, 0].tolist(), labels[:20], strict=True)
    )
    assert rows[0]["judge_error"] == rows[5]["judge_error"] == pytest.approx(int(wrong) / 20)
    assert 0 < wrong < 20


def test_ssim_needs_a_window_in_both_directions():
    for shape in ((1, 1, 10, 30), (1, 1, 30, 10)):
        with pytest.raises(ValueError, match="11×11"):
            ssim(torch.zeros(shape), torch.zeros(shape))
    assert ssim(torch.zeros(1, 1, 11, 11), torch.zeros(1, 1, 11, 11)).item() == 1


def test_chunks_of_a_distance_matrix_hold_every_row_once(monkeypatch):
    """The radius of a point is the distance of its k-th neighbour, whatever the chunks."""
    points = torch.tensor([[0.0], [1.0], [3.0], [7.0]], dtype=torch.float64)
    for chunk in (1, 2, 1000):
        monkeypatch.setattr(distribution, "CHUNK", chunk)
        one, two = distribution._radii(points, 1, 2)
        assert one.tolist() == [1, 1, 2, 4]
        assert two.tolist() == [3, 2, 3, 6]
    assert distribution.support(np.zeros((4, 1)), np.zeros((4, 1)), k_density=3)[:4] == (1, 1, 4 / 3, 1)
    with pytest.raises(ValueError, match="need more than 3"):
        distribution.support(np.zeros((9, 1)), np.zeros((3, 1)), k_density=1)


def test_mse_is_of_the_difference_of_each_pair():
    a, b = torch.tensor([[0.9, 0.2, 0.4], [0, 0, 0]]), torch.tensor([[0.4, 0.3, 0.4], [0, 0, 0]])
    assert mse(a.view(2, 1, 1, 3), b.view(2, 1, 1, 3)).tolist() == pytest.approx([(0.25 + 0.01) / 3, 0])


def test_two_images_a_side_have_a_distance():
    """On a line, (1 - 5)² + (√2 - √8)²: variances 2 and 8."""
    assert distribution.frechet([[0.0], [2.0]], [[3.0], [7.0]]) == pytest.approx(16 + 2)
    for few, many in (([[0.0]], [[3.0], [7.0]]), ([[3.0], [7.0]], [[0.0]])):
        with pytest.raises(ValueError, match="at least two images"):
            distribution.frechet(few, many)
