"""The fast gradient sign method."""

from functools import partial

from torch import Tensor, nn

from advgen.attacks.common import input_gradient, project, pure, resolve_goal
from advgen.specs.attacks import FgsmAttack


@pure
def fgsm(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: FgsmAttack, *, seed: int, indices: list[int]) -> Tensor:
    """One step of size eps along the sign of the input gradient, clipped to the box [goodfellow2015explaining]."""
    goal = resolve_goal(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    gradient_BCHW, _ = input_gradient(model, x_BCHW, partial(goal.loss, "cross_entropy"))
    return project(x_BCHW + spec.eps * gradient_BCHW.sign(), x_BCHW, "linf", spec.eps)
