"""Box-constrained L-BFGS, the attack that found the first adversarial examples, on all images at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from advgen.attacks.best import SmallestExamples, replace
from advgen.attacks.common import COMPACTION_SHARE, Goal, input_gradient, is_check_due, pure, resolve_goal
from advgen.specs.attacks import LbfgsAttack

FIRST_C = 0.1
TOLERANCE = 1e-3  # of the largest entry of the projected gradient; a smaller value finds no smaller changes
LEAST_CURVATURE = 1e-8  # of a stored pair, as a share of the squared change of the gradient
SUFFICIENT = 1e-4  # share of the predicted decrease that a step must achieve (Armijo)


@pure
def lbfgs(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: LbfgsAttack, *, seed: int, indices: list[int]) -> Tensor:
    """The smallest r that minimises c·‖r‖² + loss(x + r) in the box and reaches the goal [szegedy2014intriguing].

    A larger c gives a smaller r, so the attack searches for the largest c that succeeds. c grows or shrinks tenfold
    until the image has succeeded and failed, and is then bisected on the logarithmic scale. The paper writes c·|r|; the
    square has the same solutions, each at another c, and a gradient at r = 0. The loss is the cross-entropy of the
    target or, without targets, of all labels except the true one together. Images that reach their goal from the start,
    and images for which no c succeeds, are returned unchanged.
    """
    goal = resolve_goal(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    result_BCHW = x_BCHW.clone()
    active = (~goal.is_reached(model(x_BCHW))).nonzero().flatten()
    if len(active) == 0:
        return result_BCHW
    x_BCHW, goal = x_BCHW[active], goal.take(active)
    smallest = SmallestExamples(x_BCHW)
    c_B = torch.full_like(smallest.size_B, FIRST_C)
    low_B, high_B = torch.zeros_like(c_B), torch.full_like(c_B, math.inf)
    start_BP = x_BCHW.flatten(1)
    for _ in range(spec.searches):
        objective = Objective(model, x_BCHW, goal, c_B, smallest)
        success_B, start_BP = _minimise(objective, start_BP, spec.steps, spec.memory)
        low_B, high_B = torch.where(success_B, c_B, low_B), torch.where(success_B, high_B, c_B)
        middle_B = (low_B * high_B).sqrt()
        c_B = torch.where(high_B.isinf(), 10 * c_B, torch.where(low_B == 0, c_B / 10, middle_B))
    result_BCHW[active] = smallest.x_BCHW
    return result_BCHW


Evaluation = tuple[Tensor, Tensor, Tensor]  # value (B,), gradient (B, P), and whether the goal is reached (B,)


class Objective:
    """The function that one search minimises. It also records the smallest successful change of each image."""

    def __init__(self, model: nn.Module, x_BCHW: Tensor, goal: Goal, c_B: Tensor, smallest: SmallestExamples):
        self.model, self.x_BCHW, self.goal, self.c_B, self.smallest = model, x_BCHW, goal, c_B, smallest
        self.rows_B: Tensor | None = None

    def __call__(self, z_BP: Tensor, rows_B: Tensor) -> Evaluation:
        """Evaluate images; `rows_B` are their positions among all images."""
        if rows_B is not self.rows_B:
            self.rows_B = rows_B
            self.part = self.x_BCHW[rows_B].flatten(1), self.goal.take(rows_B), self.c_B[rows_B]
        x_BP, goal, c_B = self.part
        z_BCHW, losses = z_BP.view(-1, *self.x_BCHW.shape[1:]), []

        def loss(logits_BK: Tensor) -> Tensor:
            losses.append(_loss(goal, logits_BK))
            return losses[0]

        gradient_BCHW, logits_BK = input_gradient(self.model, z_BCHW, loss)
        r_BP = z_BP - x_BP
        size_B, success_B = torch.linalg.vector_norm(r_BP, dim=1).square(), goal.is_reached(logits_BK)
        self.smallest.offer(rows_B, z_BCHW, size_B, success_B)
        gradient_BP = gradient_BCHW.flatten(1).addcmul_(r_BP, 2 * c_B[:, None])
        return losses[0].detach() + c_B * size_B, gradient_BP, success_B


def _loss(goal: Goal, logits_BK: Tensor) -> Tensor:
    if goal.target_B is not None:
        return cross_entropy(logits_BK, goal.target_B, reduction="none")
    wrong_BK = logits_BK.scatter(1, goal.label_B[:, None], -math.inf)
    return logits_BK.logsumexp(1) - wrong_BK.logsumexp(1)


def _minimise(
    evaluate: Callable[[Tensor, Tensor], Evaluation], start_BP: Tensor, steps: int, memory: int
) -> tuple[Tensor, Tensor]:
    """Projected L-BFGS in the box [0, 1]: whether each minimiser reaches the goal (B,), and the minimisers.

    Pixels at a bound that block the descent are excluded from the direction, which then follows the surface of the box
    [bertsekas1982projected]. Each step costs one gradient: a row whose trial is rejected tries half the step next.
    """
    z_BP, rows_B = start_BP, torch.arange(len(start_BP), device=start_BP.device)
    value_B, gradient_BP, reached_B = evaluate(z_BP, rows_B)
    minimiser_BP, success_B = z_BP.clone(), reached_B.clone()
    inverse, length_B = InverseHessian(z_BP, memory), torch.ones_like(value_B)
    for number in range(steps):
        # 1 where the box allows a step down, else 0; a CPU takes five times longer for boolean masks
        free_BP = (z_BP - gradient_BP).clamp_(0, 1).ne_(z_BP)
        descent_BP = torch.mul(gradient_BP, free_BP, out=inverse.vector_BP)
        active_B = descent_BP.abs().amax(1) >= TOLERANCE
        unfinished = active_B.nonzero().flatten() if is_check_due(number, z_BP) else rows_B
        if len(unfinished) / len(rows_B) < COMPACTION_SHARE:
            minimiser_BP[rows_B], success_B[rows_B] = z_BP, reached_B
            state = (rows_B, z_BP, value_B, gradient_BP, reached_B, length_B, active_B, free_BP)
            rows_B, z_BP, value_B, gradient_BP, reached_B, length_B, active_B, free_BP = (
                one.index_select(0, unfinished) for one in state
            )
            inverse = inverse.take(unfinished)
            descent_BP = inverse.vector_BP
            if len(rows_B) == 0:
                break
        direction_BP = inverse.times_vector(length_B)
        trial_BP = torch.addcmul(z_BP, direction_BP, free_BP, value=-1, out=direction_BP).clamp_(0, 1)
        trial_value_B, trial_gradient_BP, trial_reached_B = evaluate(trial_BP, rows_B)
        predicted_B = torch.linalg.vecdot(descent_BP, torch.sub(trial_BP, z_BP, out=inverse.step_BP))
        accepted_B = active_B & (trial_value_B <= value_B + SUFFICIENT * predicted_B)
        z_BP = replace(trial_BP, ~accepted_B, z_BP)
        next_gradient_BP = replace(trial_gradient_BP, ~accepted_B, gradient_BP)
        inverse.add_pair(next_gradient_BP, gradient_BP)
        gradient_BP = next_gradient_BP
        length_B = torch.where(accepted_B, 1, length_B / 2)
        value_B = torch.where(accepted_B, trial_value_B, value_B)
        reached_B = torch.where(accepted_B, trial_reached_B, reached_B)
    minimiser_BP[rows_B], success_B[rows_B] = z_BP, reached_B
    return success_B, minimiser_BP


class InverseHessian:
    """Each row's limited-memory BFGS approximation, from its last `memory` steps and gradient changes.

    It uses the compact form γI + SᵀR⁻ᵀ(D + γYYᵀ)R⁻¹S − γSᵀR⁻ᵀY − γYᵀR⁻¹S for rows of steps S and changes Y. R is the
    upper triangle of SYᵀ in order of age and D its diagonal [byrd1994representations]. A product with a vector then
    reads the pairs of a row twice; the two-loop recursion reads them four times, one by one. The vector is stored
    behind the pairs, so the first pass also covers the newest pair. All rows add a pair at a time. A pair has no weight
    if the gradient did not grow along the step, or if there was no step.
    """

    def __init__(self, like_BP: Tensor, memory: int):
        batch, pixels = like_BP.shape
        self.memory, self.count = memory, 0
        # steps, then changes (ring buffers), then the vector to be multiplied
        self.rows_BNP = like_BP.new_zeros(batch, 2 * memory + 1, pixels)
        # of all rows with the changes; for a pair without weight 0, except 1 for its step with its change
        self.products_BNM = like_BP.new_zeros(batch, 2 * memory, memory, dtype=torch.float64)
        self.products_BNM.diagonal(dim1=1, dim2=2).fill_(1)
        self.known_BN = torch.zeros_like(self.products_BNM[:, :, 0])
        self.scale_B = like_BP.new_zeros(batch)  # 0 until the first pair
        ages = torch.arange(memory, device=like_BP.device)
        self.orders = [torch.cat([one, memory + one]) for one in (ages.roll(-first) for first in range(memory))]

    @property
    def vector_BP(self) -> Tensor:
        """The vector that `times_vector` multiplies; callers write to it."""
        return self.rows_BNP[:, -1]

    def take(self, rows: Tensor) -> InverseHessian:
        """The approximations of some rows."""
        part = copy(self)
        for name in ("rows_BNP", "products_BNM", "known_BN", "scale_B"):
            setattr(part, name, getattr(self, name).index_select(0, rows))
        return part

    @property
    def step_BP(self) -> Tensor:
        """The place of the next step; callers write to it before `add_pair`."""
        return self.rows_BNP[:, self.count % self.memory]

    def add_pair(self, gradient_BP: Tensor, before_BP: Tensor) -> None:
        """Complete the pair of the step in `step_BP` with the gradient's change; zero changes get no weight."""
        torch.sub(gradient_BP, before_BP, out=self.rows_BNP[:, self.memory + self.count % self.memory])
        self.count += 1

    def _update_products(self) -> Tensor:
        """Add the products of the newest pair; returns those of the vector with all pairs and itself, (B, N)."""
        memory = self.memory
        slot = (self.count - 1) % memory
        # the newest change and the vector, as the left factor: a CPU is ten times faster that way
        both_B2P = self.rows_BNP[:, memory + slot :: memory - slot]
        change_BN, vector_BN = torch.bmm(both_B2P, self.rows_BNP.mT).double().unbind(1)
        curvature_B, square_B = change_BN[:, slot], change_BN[:, memory + slot]
        valid_B = curvature_B > LEAST_CURVATURE * square_B
        self.scale_B = torch.where(valid_B, (curvature_B / square_B).to(self.scale_B.dtype), self.scale_B)
        self.known_BN[:, slot::memory] = valid_B.double()[:, None]
        known_BN = change_BN[:, :-1].mul_(self.known_BN).mul_(valid_B[:, None])
        self.products_BNM[:, :, slot] = known_BN
        self.products_BNM[:, memory + slot] = known_BN[:, memory:]
        self.products_BNM[:, slot, slot] = torch.where(valid_B, curvature_B, 1)
        return vector_BN

    def times_vector(self, factor_B: Tensor) -> Tensor:
        """The approximation times the vector and a factor; before the first pair, the vector at length one."""
        memory, along_BN = self.memory, self._update_products()
        order_N, scale_B1 = self.orders[self.count % memory], self.scale_B[:, None].double()
        # of the steps with the changes, and of the changes with each other, oldest first
        products_BNM = self.products_BNM.index_select(1, order_N).index_select(2, order_N[:memory])
        steps_BMM, changes_BMM = products_BNM.split(memory, 1)
        known_BN = (along_BN[:, :-1] * self.known_BN).index_select(1, order_N)
        along_steps_BM, along_changes_BM = known_BN.split(memory, 1)
        first_BM1 = torch.linalg.solve_triangular(steps_BMM.triu_(), along_steps_BM[:, :, None], upper=True)
        right_BM = steps_BMM.diagonal(dim1=1, dim2=2) * first_BM1[:, :, 0]
        right_BM += scale_B1 * ((changes_BMM @ first_BM1)[:, :, 0] - along_changes_BM)
        second_BM1 = torch.linalg.solve_triangular(steps_BMM.mT, right_BM[:, :, None], upper=False)
        by_age_BN = torch.cat([second_BM1[:, :, 0], -scale_B1 * first_BM1[:, :, 0]], 1)
        weight_BN = torch.empty_like(along_BN).index_copy_(1, order_N, by_age_BN)
        alone_B = along_BN[:, -1].rsqrt().clamp_max_(1e12)
        weight_BN[:, -1] = torch.where(self.scale_B > 0, self.scale_B, alone_B)
        weight_BN *= factor_B[:, None]
        return torch.bmm(weight_BN[:, None].to(self.rows_BNP.dtype), self.rows_BNP).squeeze(1)
