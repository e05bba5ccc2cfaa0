"""FGSM-regularised training."""

from functools import partial

from torch import Tensor
from torch.nn.functional import cross_entropy

from advgen.attacks.common import Goal, frozen, input_gradient, project
from advgen.training.defences.common import Defence, Varying


class Fgsm(Defence):
    """alpha · J(x) + (1 - alpha) · J(x + eps · sign of J's input gradient) [goodfellow2015explaining].

    The examples are constants: the sign has no gradient.
    """

    def loss(self, x_BCHW: Tensor, y_B: Tensor, varying: Varying) -> Tensor:
        with frozen(self.model):
            gradient_BCHW, _ = input_gradient(self.model, x_BCHW, partial(Goal(y_B).loss, "cross_entropy"))
        x_adv_BCHW = project(x_BCHW + self.spec.eps * gradient_BCHW.sign(), x_BCHW, "linf", self.spec.eps)
        attacked = cross_entropy(self.model(x_adv_BCHW), y_B)
        if self.spec.alpha == 0:
            return attacked
        return self.spec.alpha * cross_entropy(self.model(x_BCHW), y_B) + (1 - self.spec.alpha) * attacked
