"""The limited-memory approximation against the textbook's update of a full matrix."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from advgen.attacks.common import Goal
from advgen.attacks.lbfgs import InverseHessian, _loss, _minimise

P = 6


def updated(inverse, step, change):
    """The BFGS update of an inverse Hessian."""
    rho = 1 / (step @ change)
    left = torch.eye(P, dtype=step.dtype) - rho * torch.outer(step, change)
    return left @ inverse @ left.T + rho * torch.outer(step, step)


def times(approximation, vectors):
    """An approximation times vectors."""
    approximation.vector_BP.copy_(vectors)
    return approximation.times_vector(vectors.new_ones(len(vectors)))


def learn(approximation, step, change):
    """Have a pair learnt."""
    approximation.step_BP.copy_(step)
    approximation.add_pair(change, torch.zeros_like(change))


def test_a_product_is_that_of_the_pairs_of_the_last_steps_scaled_by_the_latest():
    generator = torch.Generator().manual_seed(0)
    memory, learned = 3, [[], []]
    vectors = torch.randn(2, P, generator=generator, dtype=torch.float64)
    approximation = InverseHessian(vectors, memory)
    torch.testing.assert_close(times(approximation, vectors), vectors / vectors.norm(dim=1, keepdim=True))
    for turn in range(8):
        step = torch.randn(2, P, generator=generator, dtype=torch.float64)
        change = step * torch.tensor([1.0, 2, 3, 4, 5, 6]) + 0.2 * torch.randn(2, P, generator=generator)
        if turn == 4:
            change[1] = -step[1]  # along which the gradient fell: not learned
        accepted = torch.tensor([True, turn != 2])
        learn(approximation, step, accepted[:, None] * change)
        for row in range(2):
            useful = accepted[row] and step[row] @ change[row] > 0
            learned[row].append((step[row], change[row]) if useful else None)
        for row in range(2):
            pairs = [pair for pair in learned[row][-memory:] if pair]
            step_, change_ = pairs[-1]
            inverse = (step_ @ change_) / (change_ @ change_) * torch.eye(P, dtype=torch.float64)
            for pair in pairs:
                inverse = updated(inverse, *pair)
            torch.testing.assert_close(times(approximation, vectors)[row], inverse @ vectors[row])
    assert [pairs.count(None) for pairs in learned] == [0, 2]
    taken = approximation.take(torch.tensor([1]))
    torch.testing.assert_close(times(taken, vectors[1:]), times(approximation, vectors)[1:])
    half = taken.times_vector(vectors.new_full((1,), 0.5))
    torch.testing.assert_close(2 * half, times(approximation, vectors)[1:])


def test_pairs_of_next_to_no_curvature_are_not_learned():
    """The bound is 1e-8 of the squared change."""
    step, change = torch.zeros(2, P, dtype=torch.float64), torch.zeros(2, P, dtype=torch.float64)
    step[:, 0], change[:, 1] = 1, 1
    change[0, 0], change[1, 0] = 0.9e-8, 1.1e-8
    approximation = InverseHessian(step, 2)
    learn(approximation, step, change)
    approximation.times_vector(step.new_ones(2))
    assert approximation.known_BN.sum(1).tolist() == [0, 2]


def test_the_loss_without_a_target_is_that_of_all_other_labels_together():
    z = torch.tensor([[1.0, 4, 2, 3, 0]], dtype=torch.float64)
    share = (math.e**1 + math.e**2 + math.e**3 + 1) / sum(math.exp(one) for one in (1, 4, 2, 3, 0))
    assert _loss(Goal(torch.tensor([1])), z).item() == pytest.approx(-math.log(share))
    aimed = Goal(torch.tensor([1]), torch.tensor([2]))
    assert _loss(aimed, z).item() == pytest.approx(cross_entropy(z, torch.tensor([2])).item())


def test_the_minimum_of_a_parabola_in_the_box_is_found():
    """Each pixel's own minimum, or the bound nearest to it; rows that are done early wait for the others."""
    weight = torch.tensor([1.0, 2, 4, 1, 1, 9], dtype=torch.float64)
    aims = torch.tensor([[0.5, 0.2, 0.7, 0.3, 0.6, 0.5], [-1, 0.4, 2, 0.5, 0.1, 1.5], [0, 1, 0, 1, 3, -3]]).double()
    calls = []

    def evaluate(z, rows):
        calls.append(rows.tolist())
        away = z - aims[rows]
        return (weight * away.square()).sum(1), 2 * weight * away, away[:, 0] <= 0.25

    start = torch.full((3, P), 0.5, dtype=torch.float64)
    start[0] = aims[0]
    start[1, 0], start[1, 2] = 0, 1  # at their bounds already, and held there
    succeeded, found = _minimise(evaluate, start, 30, 5)
    torch.testing.assert_close(found, aims.clamp(0, 1), atol=1e-3, rtol=0)
    assert succeeded.tolist() == [True, False, True]
    assert calls[0] == [0, 1, 2]
    assert calls[1] == [1, 2]
    assert len(calls) < 30
    # started in the corner, some pixels must leave their bounds
    _, again = _minimise(evaluate, torch.zeros(3, P, dtype=torch.float64), 30, 5)
    torch.testing.assert_close(again, aims.clamp(0, 1), atol=1e-3, rtol=0)


def test_a_step_that_raises_the_value_is_halved():
    """Down (z - 1/2)² from 0.1: a first step of length one ends at the bound, 1, which is worse; half of it at 0.6."""
    tried = []

    def evaluate(z, rows):
        tried.append(z.item())
        return (z - 0.5).square().sum(1), 2 * (z - 0.5), z[:, 0] > 0.45

    succeeded, found = _minimise(evaluate, torch.tensor([[0.1]], dtype=torch.float64), 5, 3)
    assert tried[:3] == pytest.approx([0.1, 1.0, 0.6])
    assert tried[3] == pytest.approx(0.5)  # by the curvature that it has seen
    assert len(tried) == 4
    assert found.item() == pytest.approx(0.5)
    assert succeeded.item() is True
