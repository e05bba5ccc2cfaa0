"""Box-constrained L-BFGS: the attack that found adversarial examples, on all images at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from advgen.attacks.common import WORTHWHILE, Goal, aim, ascent, looks, pure
from advgen.specs.attacks import LbfgsAttack

FIRST_C = 0.1
TOLERANCE = 1e-3  # of the largest entry of the projected gradient; less brings no smaller changes
LEAST_CURVATURE = 1e-8  # of a pair that is learnt, as a share of the change of the gradient squared
SUFFICIENT = 1e-4  # share of the predicted decrease that a step must reach (Armijo)


@pure
def lbfgs(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: LbfgsAttack, *, seed: int, indices: list[int]) -> Tensor:
    """The smallest r that minimises c·‖r‖² + loss(x + r) in the box and reaches the goal [szegedy2014intriguing].

    The larger c, the smaller r, so each image seeks the largest c that still succeeds: c grows or falls tenfold until
    it has succeeded and failed, and is bisected on the logarithmic scale then. The paper writes c·|r|; the square has
    the same solutions, each at another c, and a gradient at r = 0. The loss is the cross-entropy of the target or,
    without targets, of all labels but the true one taken together. Images that have reached their goal already stay
    as they are, and so do those where no c succeeds.
    """
    goal = aim(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    shape = x_BCHW.shape[1:]
    result_BCHW = x_BCHW.clone()
    left = (~goal.reached(model(x_BCHW))).nonzero().flatten()
    if len(left) == 0:
        return result_BCHW
    x_BP, goal = x_BCHW[left].flatten(1), goal.take(left)
    best = Best(x_BP.clone(), torch.full_like(x_BP[:, 0], math.inf))
    c_B = torch.full_like(best.size_B, FIRST_C)
    low_B, high_B = torch.zeros_like(c_B), torch.full_like(c_B, math.inf)
    start_BP = x_BP
    for _ in range(spec.searches):
        objective = _objective(model, x_BP, goal, c_B, shape, best)
        succeeded_B, start_BP = _minimise(objective, start_BP, spec.steps, spec.memory)
        low_B, high_B = torch.where(succeeded_B, c_B, low_B), torch.where(succeeded_B, high_B, c_B)
        middle_B = (low_B * high_B).sqrt()
        c_B = torch.where(high_B.isinf(), 10 * c_B, torch.where(low_B == 0, c_B / 10, middle_B))
    result_BCHW[left] = best.x_BP.view(-1, *shape)
    return result_BCHW


class Best(NamedTuple):
    """The smallest successful change of each image so far, and its squared L2 norm; changed in place."""

    x_BP: Tensor
    size_B: Tensor


Evaluation = tuple[Tensor, Tensor, Tensor]


def _objective(
    model: nn.Module, x_BP: Tensor, goal: Goal, c_B: Tensor, shape: torch.Size, best: Best
) -> Callable[[Tensor, Tensor], Evaluation]:
    """A function from images and which of the rows they are to value, gradient and success; it keeps the best ones."""

    def evaluate(z_BP: Tensor, rows_B: Tensor) -> Evaluation:
        towards, c, losses = goal.take(rows_B), c_B[rows_B], list[Tensor]()
        r_BP = z_BP - x_BP.index_select(0, rows_B)

        def loss(logits_BK: Tensor) -> Tensor:
            losses.append(_loss(towards, logits_BK))
            return losses[0]

        gradient_BCHW, logits_BK = ascent(model, z_BP.view(-1, *shape), loss)
        size_B, reached_B = torch.linalg.vecdot(r_BP, r_BP), towards.reached(logits_BK)
        before_BP, before_B = best.x_BP.index_select(0, rows_B), best.size_B[rows_B]
        better_B = reached_B & (size_B < before_B)
        best.x_BP.index_copy_(0, rows_B, torch.where(better_B[:, None], z_BP, before_BP))
        best.size_B[rows_B] = torch.where(better_B, size_B, before_B)
        gradient_BP = gradient_BCHW.flatten(1).addcmul_(r_BP, 2 * c[:, None])
        return losses[0].detach() + c * size_B, gradient_BP, reached_B

    return evaluate


def _loss(goal: Goal, logits_BK: Tensor) -> Tensor:
    if goal.target_B is not None:
        return cross_entropy(logits_BK, goal.target_B, reduction="none")
    wrong_BK = logits_BK.scatter(1, goal.label_B[:, None], -math.inf)
    return logits_BK.logsumexp(1) - wrong_BK.logsumexp(1)


def _minimise(
    evaluate: Callable[[Tensor, Tensor], Evaluation], start_BP: Tensor, steps: int, memory: int
) -> tuple[Tensor, Tensor]:
    """Projected L-BFGS in the box [0, 1]: whether each minimiser succeeds (B,), and the minimisers.

    Pixels that a bound holds back are left out of the direction, which is then followed along the box's surface
    [bertsekas1982projected]. Each step costs one gradient: a row whose trial is refused tries a shorter step next time.
    """
    z_BP, rows_B = start_BP, torch.arange(len(start_BP), device=start_BP.device)
    value_B, gradient_BP, reached_B = evaluate(z_BP, rows_B)
    minimiser_BP, success_B = z_BP.clone(), reached_B.clone()
    inverse, length_B = InverseHessian(z_BP, memory), torch.ones_like(value_B)
    for number in range(steps):
        # 1 where a step down would not be undone by the box: numbers, since a CPU takes five times longer over masks
        free_BP = (z_BP - gradient_BP).clamp_(0, 1).ne_(z_BP)
        descent_BP = gradient_BP * free_BP
        going_B = descent_BP.abs().amax(1) >= TOLERANCE
        stay = going_B.nonzero().flatten() if looks(number, z_BP) else rows_B
        if len(stay) / len(rows_B) < WORTHWHILE:
            minimiser_BP[rows_B], success_B[rows_B] = z_BP, reached_B
            state = (rows_B, z_BP, value_B, gradient_BP, reached_B, length_B, going_B, free_BP, descent_BP)
            rows_B, z_BP, value_B, gradient_BP, reached_B, length_B, going_B, free_BP, descent_BP = (
                one.index_select(0, stay) for one in state
            )
            inverse = inverse.take(stay)
            if len(rows_B) == 0:
                break
        direction_BP = inverse.times(descent_BP).mul_(free_BP)
        trial_BP = torch.addcmul(z_BP, direction_BP, length_B[:, None], value=-1).clamp_(0, 1)
        trial_value_B, trial_gradient_BP, trial_reached_B = evaluate(trial_BP, rows_B)
        predicted_B = torch.linalg.vecdot(descent_BP, trial_BP - z_BP)
        accepted_B = going_B & (trial_value_B <= value_B + SUFFICIENT * predicted_B)
        next_BP = torch.where(accepted_B[:, None], trial_BP, z_BP)
        next_gradient_BP = torch.where(accepted_B[:, None], trial_gradient_BP, gradient_BP)
        inverse.learn((z_BP, next_BP), (gradient_BP, next_gradient_BP))
        z_BP, gradient_BP = next_BP, next_gradient_BP
        length_B = torch.where(accepted_B, 1, length_B / 2)
        value_B = torch.where(accepted_B, trial_value_B, value_B)
        reached_B = torch.where(accepted_B, trial_reached_B, reached_B)
    minimiser_BP[rows_B], success_B[rows_B] = z_BP, reached_B
    return success_B, minimiser_BP


class InverseHessian:
    """Each row's limited-memory BFGS approximation, from its last `memory` steps and changes of the gradient.

    It is the compact form: γI + SᵀR⁻ᵀ(D + γYYᵀ)R⁻¹S − γSᵀR⁻ᵀY − γYᵀR⁻¹S for rows of steps S and changes Y, R the upper
    triangle of SYᵀ in order of age and D its diagonal [byrd1994representations]. So a product with a vector reads the
    pairs of a row twice, where the two-loop recursion reads them four times, one by one. All rows learn at a time;
    where the gradient did not grow along the step, or there was none, the pair has no weight.
    """

    def __init__(self, like_BP: Tensor, memory: int):
        batch, pixels = like_BP.shape
        self.memory, self.count = memory, 0
        self.pairs_BNP = like_BP.new_zeros(batch, 2 * memory, pixels)  # steps, then changes; the oldest is replaced
        self.products_BNM = like_BP.new_zeros(batch, 2 * memory, memory, dtype=torch.float64)  # of all with changes
        self.known_BM = torch.zeros_like(self.products_BNM[:, 0])
        self.scale_B = like_BP.new_zeros(batch)  # as long as nothing is known

    def take(self, rows: Tensor) -> InverseHessian:
        """The approximations of some rows."""
        taken = copy(self)
        for name in ("pairs_BNP", "products_BNM", "known_BM", "scale_B"):
            setattr(taken, name, getattr(self, name).index_select(0, rows))
        return taken

    def learn(self, places: tuple[Tensor, Tensor], gradients: tuple[Tensor, Tensor]) -> None:
        """Add a step, from the first place (B, P) to the second, and the change of the gradient from there to here."""
        memory, slot = self.memory, self.count % self.memory
        self.count += 1
        torch.sub(places[1], places[0], out=self.pairs_BNP[:, slot])
        change_BP = torch.sub(gradients[1], gradients[0], out=self.pairs_BNP[:, memory + slot])
        product_BN = self._along(change_BP)
        curvature_B, square_B = product_BN[:, slot], product_BN[:, memory + slot]
        learns_B = curvature_B > LEAST_CURVATURE * square_B
        self.products_BNM[:, :, slot] = product_BN
        self.products_BNM[:, memory + slot] = product_BN[:, memory:]
        self.known_BM[:, slot] = learns_B.double()
        self.scale_B = torch.where(learns_B, (curvature_B / square_B).to(self.scale_B.dtype), self.scale_B)

    def _along(self, vector_BP: Tensor) -> Tensor:
        """Products of a vector with all pairs, (B, N); the vector stands left, where a CPU is ten times faster."""
        return torch.bmm(vector_BP[:, None], self.pairs_BNP.mT).squeeze(1).double()

    def times(self, vector_BP: Tensor) -> Tensor:
        """The approximation times a vector; before any pair is known, the vector at length one."""
        memory = self.memory
        age_M = torch.arange(memory, device=vector_BP.device).roll(-(self.count % memory))
        known_BM = self.known_BM.index_select(1, age_M)
        both_BMM, scale_B1 = known_BM[:, :, None] * known_BM[:, None], self.scale_B[:, None].double()
        # of the steps with the changes, and of the changes with each other, the oldest first
        steps_BMM, changes_BMM = (
            part.index_select(1, age_M).index_select(2, age_M).mul_(both_BMM)
            for part in self.products_BNM.split(memory, 1)
        )
        steps_BMM.triu_().diagonal(dim1=1, dim2=2).add_(1 - known_BM)
        along_steps_BM, along_changes_BM = (
            part.index_select(1, age_M).mul_(known_BM) for part in self._along(vector_BP).split(memory, 1)
        )
        first_BM1 = torch.linalg.solve_triangular(steps_BMM, along_steps_BM[:, :, None], upper=True)
        right_BM = steps_BMM.diagonal(dim1=1, dim2=2) * first_BM1[:, :, 0]
        right_BM += scale_B1 * ((changes_BMM @ first_BM1)[:, :, 0] - along_changes_BM)
        second_BM1 = torch.linalg.solve_triangular(steps_BMM.mT, right_BM[:, :, None], upper=False)
        by_age_BN = torch.cat([second_BM1[:, :, 0], -scale_B1 * first_BM1[:, :, 0]], 1)
        weight_BN = torch.zeros_like(by_age_BN).index_copy_(1, torch.cat([age_M, memory + age_M]), by_age_BN)
        scale_B = torch.where(self.scale_B > 0, self.scale_B, 1 / vector_BP.norm(dim=1).clamp_min(1e-12))
        return torch.baddbmm(
            (scale_B[:, None] * vector_BP)[:, None], weight_BN[:, None].to(vector_BP.dtype), self.pairs_BNP
        ).squeeze(1)
