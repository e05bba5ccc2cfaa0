"""Attacks of torchattacks 3 in a study: `plugins: [torchattacks_attack.py]`; install torchattacks first."""

from typing import Any, Literal

from pydantic import Field

from advgen.registry import register
from advgen.specs.attacks import AttackSpec, Threat
from advgen.specs.base import Count, Positive


class TorchattacksAttack(AttackSpec):
    """An attack of torchattacks within a ball, by the name of its class (kim2020torchattacks)."""

    kind: Literal["torchattacks"] = Field(description="an attack of torchattacks")
    attack: str = Field("PGD", description="class of torchattacks, such as PGD, PGDL2, MIFGSM or APGD")
    norm: Literal["linf", "l2"] = Field("linf", description="norm of the ball")
    eps: Positive = Field(0.3, description="radius of the ball, on the [0, 1] scale of pixels")
    steps: Count = Field(40, description="number of steps")
    settings: dict[str, Any] = Field({}, description="other settings of the class, such as alpha, the step size")

    def threat(self) -> Threat:
        return Threat(self.norm, self.eps, self.steps, "white-box", loss=f"torchattacks {self.attack}")


def torchattacks_attack(model, x_BCHW, y_B, spec, *, seed, indices):
    """Return the adversarial examples of torchattacks, projected to the ball; each image has its own random seed."""
    import torch
    import torchattacks

    from advgen import seeds
    from advgen.attacks.common import frozen, project

    cls = getattr(torchattacks, spec.attack, None)
    if cls is None:
        raise ValueError(f"torchattacks has no attack {spec.attack!r}; see its list of attacks")
    found = []
    with frozen(model), torch.random.fork_rng(devices=[]), torch.enable_grad():
        attack = cls(model, eps=spec.eps, steps=spec.steps, **spec.settings)
        for x_1CHW, y_1, index in zip(x_BCHW.split(1), y_B.split(1), indices, strict=True):
            torch.manual_seed(seeds.derive(seed, "torchattacks", index) % 2**63)  # it draws from the global generator
            found.append(attack(x_1CHW.float(), y_1).detach().to(x_BCHW))
    return project(torch.cat(found), x_BCHW, spec.norm, spec.eps)


register(TorchattacksAttack, torchattacks_attack, packages=["torchattacks"])
