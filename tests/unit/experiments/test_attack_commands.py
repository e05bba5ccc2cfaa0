"""The commands that follow an attack step by step, convergence and linearity, and the cells of a transfer matrix."""

import numpy as np
import pytest
import torch

from advgen.attacks.pgd import pgd
from advgen.experiments.convergences.run import record_trajectory
from advgen.experiments.linearities.run import compute_signs
from advgen.experiments.transfers.run import average_over_fooled, measure_errors, shuffle_perturbation
from advgen.io.checkpoints import build
from advgen.specs.attacks import PgdAttack
from advgen.specs.networks import FcNetwork

N = 8


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build("networks", FcNetwork(kind="fc", hidden=(20,)).fit((1, 8, 8)), 4).double()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_trajectory_ends_where_pgd_ends(model, norm):
    """Its losses are those of PGD stopped after each step, and it is fooled when PGD's iterate first is."""
    x = torch.rand(N, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        y = model(x).argmax(1)
    eps, step_size = (0.15, 0.03) if norm == "linf" else (1.0, 0.2)
    attack = PgdAttack(kind="pgd", eps=eps, steps=6, step_size=step_size, norm=norm)
    losses, fooled, _ = record_trajectory(model, x, y, attack, 3, list(range(N)), restart=0)
    assert losses.shape == (N, 7)
    assert 0 < (fooled >= 0).sum() < N
    first = torch.full((N,), -1)
    for steps in range(6, 0, -1):
        x_adv = pgd(model, x, y, attack.model_copy(update={"steps": steps}), seed=3, indices=list(range(N)))
        with torch.no_grad():
            logits = model(x_adv)
        expected = torch.nn.functional.cross_entropy(logits, y, reduction="none")
        torch.testing.assert_close(losses[:, steps], expected)
        first[logits.argmax(1) != y] = steps
    late = fooled != 0
    assert torch.equal(fooled[late], first[late])
    other, *_ = record_trajectory(model, x, y, attack, 3, list(range(N)), restart=1)
    assert not torch.equal(other[:, 0], losses[:, 0])


class JustAbove(torch.nn.Module):
    """Class 1 from a quarter of a grey level above level 128 on."""

    def forward(self, x_BCHW):
        above_B = 255 * x_BCHW.flatten(1).mean(1) - 128.25
        return torch.stack([torch.zeros_like(above_B), above_B], 1)


@pytest.mark.parametrize(("levels", "fooled"), [(0.4, False), (0.9, True)])
def test_the_last_image_is_tested_after_rounding(levels, fooled):
    x, y = torch.full((2, 1, 4, 4), 128 / 255, dtype=torch.float64), torch.zeros(2).long()
    attack = PgdAttack(kind="pgd", eps=levels / 255, steps=20, step_size=0.1 / 255)
    _, first, rounded = record_trajectory(JustAbove(), x, y, attack, 3, [0, 1], restart=0)
    assert (first >= 0).all()
    assert rounded.tolist() == [fooled] * 2


def test_errors_are_counted_for_each_variant():
    answer = {"predicted": [1, 1, 1, 0], "predicted_rounded": [1, 0, 0, 0], "predicted_clean": [0, 0, 0, 0]}
    answer["predicted_unaimed"] = [0, 0, 1, 1]
    found = measure_errors({name: np.array(values) for name, values in answer.items()}, np.zeros(4, int))
    assert (found["error"], found["error_rounded"], found["clean_error"]) == (0.75, 0.25, 0.0)
    assert found["error_unaimed"] == 0.5


def test_the_control_of_a_transfer_moves_each_change_to_other_pixels():
    clean, change = torch.rand(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    control = shuffle_perturbation(clean, clean + change, 0, [5, 6, 7])
    moved = (control - clean).flatten(2)
    assert not torch.allclose(moved, change.flatten(2))
    torch.testing.assert_close(moved.sort(2).values, change.flatten(2).sort(2).values, atol=1e-5, rtol=1e-4)
    ratio = moved[:, 0] * moved[:, 1]  # channels move together, so their products stay
    torch.testing.assert_close(ratio.sort(1).values, change.prod(1).flatten(1).sort(1).values, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(
        shuffle_perturbation(clean[1:2], (clean + change)[1:2], 0, [6]), control[1:2]
    )  # whatever the batch


def test_sizes_are_averaged_over_perturbations_that_fool_their_source():
    own = {"predicted_clean": np.array([0, 0, 1, 0]), "predicted": np.array([1, 0, 1, 2])}
    assert average_over_fooled(np.array([0.1, 9, 9, 0.3]), own, np.zeros(4)) == pytest.approx(0.2)
    assert average_over_fooled(np.ones(4), {**own, "predicted": np.zeros(4)}, np.zeros(4)) is None


def test_lines_go_along_the_gradients_signs_and_along_random_ones_of_each_image(model):
    x = torch.rand(N, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y, indices = torch.arange(N) % 4, list(range(10, 10 + N))
    aimed, random = compute_signs(model, x, y, 0, indices)
    one_step = pgd(
        model,
        x,
        y,
        PgdAttack(kind="pgd", eps=1e-6, steps=1, step_size=1e-6, random_start=False),
        seed=0,
        indices=indices,
    )
    assert ((one_step - x).sign() == aimed).double().mean() > 0.99  # but for what leaves the box
    assert set(random.unique().tolist()) == {-1.0, 1.0}
    assert random.mean().abs() < 0.2
    assert (aimed * random).mean().abs() < 0.2
    assert torch.equal(compute_signs(model, x[3:5], y[3:5], 0, indices[3:5])[1], random[3:5])
