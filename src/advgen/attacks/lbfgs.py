"""Box-constrained L-BFGS: the attack that found adversarial examples, on all images at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from advgen.attacks.common import Goal, aim, ascent, looks, pure
from advgen.specs.attacks import LbfgsAttack

FIRST_C = 0.1
TOLERANCE = 1e-3  # of the largest entry of the projected gradient; less brings no smaller changes
WORTHWHILE = 0.8  # share of rows at work under which the others are set aside
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
        towards, r_BP, c = goal.take(rows_B), z_BP - x_BP[rows_B], c_B[rows_B]
        gradient_BCHW, logits_BK = ascent(model, z_BP.view(-1, *shape), partial(_loss, towards))
        size_B, reached_B = r_BP.square().sum(1), towards.reached(logits_BK)
        before_B = best.size_B[rows_B]
        better_B = reached_B & (size_B < before_B)
        best.x_BP[rows_B] = torch.where(better_B[:, None], z_BP, best.x_BP[rows_B])
        best.size_B[rows_B] = torch.where(better_B, size_B, before_B)
        gradient_BP = gradient_BCHW.flatten(1).addcmul_(r_BP, 2 * c[:, None])
        return _loss(towards, logits_BK) + c * size_B, gradient_BP, reached_B

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
        held_BP = ((z_BP <= 0) & (gradient_BP > 0)) | ((z_BP >= 1) & (gradient_BP < 0))
        free_BP = gradient_BP.masked_fill(held_BP, 0)
        going_B = free_BP.abs().amax(1) >= TOLERANCE
        stay = going_B.nonzero().flatten() if looks(number, z_BP) else rows_B
        if len(stay) / len(rows_B) < WORTHWHILE:
            minimiser_BP[rows_B], success_B[rows_B] = z_BP, reached_B
            state = (rows_B, z_BP, value_B, gradient_BP, reached_B, length_B, held_BP, free_BP)
            rows_B, z_BP, value_B, gradient_BP, reached_B, length_B, held_BP, free_BP = (one[stay] for one in state)
            inverse, going_B = inverse.take(stay), going_B[stay]
            if len(rows_B) == 0:
                break
        direction_BP = inverse.times(free_BP).masked_fill_(held_BP, 0)
        trial_BP = torch.addcmul(z_BP, direction_BP, length_B[:, None], value=-1).clamp_(0, 1)
        trial_value_B, trial_gradient_BP, trial_reached_B = evaluate(trial_BP, rows_B)
        move_BP = trial_BP - z_BP
        predicted_B = (free_BP * move_BP).sum(1)
        accepted_B = going_B & (trial_value_B <= value_B + SUFFICIENT * predicted_B)
        inverse.learn(move_BP, trial_gradient_BP - gradient_BP, accepted_B)
        length_B = torch.where(accepted_B, 1, length_B / 2)
        value_B = torch.where(accepted_B, trial_value_B, value_B)
        reached_B = torch.where(accepted_B, trial_reached_B, reached_B)
        z_BP = torch.where(accepted_B[:, None], trial_BP, z_BP)
        gradient_BP = torch.where(accepted_B[:, None], trial_gradient_BP, gradient_BP)
    minimiser_BP[rows_B], success_B[rows_B] = z_BP, reached_B
    return success_B, minimiser_BP


class InverseHessian:
    """Each row's limited-memory BFGS approximation, from its last `memory` steps and changes of the gradient.

    It is the compact form: γI + SᵀR⁻ᵀ(D + γYYᵀ)R⁻¹S − γSᵀR⁻ᵀY − γYᵀR⁻¹S for rows of steps S and changes Y, R the upper
    triangle of SYᵀ in order of age and D its diagonal [byrd1994representations]. So a product with a vector reads the
    pairs of a row twice, where the two-loop recursion reads them four times, one by one.
    """

    def __init__(self, like_BP: Tensor, memory: int):
        batch, pixels = like_BP.shape
        self.memory = memory
        self.pairs_BNP = like_BP.new_zeros(batch, 2 * memory, pixels)  # steps, then changes; the oldest is replaced
        self.products_BNM = like_BP.new_zeros(batch, 2 * memory, memory, dtype=torch.float64)  # of all with changes
        self.count_B = torch.zeros(batch, dtype=torch.long, device=like_BP.device)
        self.scale_B = like_BP.new_zeros(batch)
        self.rows_B = torch.arange(batch, device=like_BP.device)

    def take(self, rows: Tensor) -> InverseHessian:
        """The approximations of some rows."""
        taken = copy(self)
        for name in ("pairs_BNP", "products_BNM", "count_B", "scale_B"):
            setattr(taken, name, getattr(self, name)[rows])
        taken.rows_B = self.rows_B[: len(taken.count_B)]
        return taken

    def learn(self, step_BP: Tensor, change_BP: Tensor, accepted_B: Tensor) -> None:
        """Add the pairs of accepted steps along which the gradient grew."""
        curvature_B, square_B = (step_BP * change_BP).sum(1), change_BP.square().sum(1)
        learns_B = accepted_B & (curvature_B > 1e-8 * square_B)
        learns_B1, rows, slot = learns_B[:, None], self.rows_B, self.count_B % self.memory
        for place, vector_BP in ((slot, step_BP), (self.memory + slot, change_BP)):
            self.pairs_BNP[rows, place] = torch.where(learns_B1, vector_BP, self.pairs_BNP[rows, place])
        product_BN = self._along(change_BP)
        products_BN = torch.where(learns_B1, product_BN, self.products_BNM[rows, :, slot])
        self.products_BNM[rows, :, slot] = products_BN
        changes_BM = self.products_BNM[rows, self.memory + slot]
        changes_BM = torch.where(learns_B1, product_BN[:, self.memory :], changes_BM)
        self.products_BNM[rows, self.memory + slot] = changes_BM
        self.scale_B = torch.where(learns_B, curvature_B / square_B, self.scale_B)
        self.count_B = self.count_B + learns_B

    def _along(self, vector_BP: Tensor) -> Tensor:
        """Products of a vector with all pairs, (B, N); the vector stands left, where a CPU is ten times faster."""
        return torch.bmm(vector_BP[:, None], self.pairs_BNP.mT).squeeze(1).double()

    def times(self, vector_BP: Tensor) -> Tensor:
        """The approximation times a vector; before any pair is known, the vector at length one."""
        memory = self.memory
        age_BM = (self.count_B[:, None] + torch.arange(memory, device=vector_BP.device)) % memory
        known_BM = age_BM < self.count_B[:, None]
        row, column = age_BM[:, :, None], age_BM[:, None]
        at_B11 = self.rows_B[:, None, None]
        steps_changes_BMM = self.products_BNM[at_B11, row, column].triu_()
        changes_BMM = self.products_BNM[at_B11, memory + row, column]
        diagonal_BM = steps_changes_BMM.diagonal(dim1=1, dim2=2)
        diagonal_BM += ~known_BM
        scale_B1 = self.scale_B[:, None].double()
        along_BN = self._along(vector_BP)
        along_steps_BM, along_changes_BM = along_BN.gather(1, age_BM), along_BN.gather(1, memory + age_BM)
        first_BM = torch.linalg.solve_triangular(steps_changes_BMM, along_steps_BM[:, :, None], upper=True).squeeze(2)
        right_BM = diagonal_BM * first_BM + scale_B1 * (
            (changes_BMM @ first_BM[:, :, None]).squeeze(2) - along_changes_BM
        )
        second_BM = torch.linalg.solve_triangular(steps_changes_BMM.mT, right_BM[:, :, None], upper=False).squeeze(2)
        weight_BN = torch.zeros_like(along_BN)
        weight_BN.scatter_(1, age_BM, second_BM).scatter_(1, memory + age_BM, -scale_B1 * first_BM)
        scale_B = torch.where(self.count_B > 0, self.scale_B, 1 / vector_BP.norm(dim=1).clamp_min(1e-12))
        return torch.baddbmm(
            (scale_B[:, None] * vector_BP)[:, None], weight_BN[:, None].to(vector_BP.dtype), self.pairs_BNP
        ).squeeze(1)
