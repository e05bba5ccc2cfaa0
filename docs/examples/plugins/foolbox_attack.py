"""Attacks of foolbox 3 in a study: `plugins: [foolbox_attack.py]`; install foolbox first."""

from typing import Any, Literal

from pydantic import Field

from advgen.registry import register
from advgen.specs.attacks import AttackSpec, Threat
from advgen.specs.base import Count, Positive


class FoolboxAttack(AttackSpec):
    """An attack of foolbox within a ball, by the name of its class (rauber2017foolbox)."""

    kind: Literal["foolbox"] = Field(description="an attack of foolbox")
    attack: str = Field("LinfPGD", description="class of foolbox.attacks, such as LinfPGD, L2PGD or L2FMNAttack")
    norm: Literal["linf", "l2"] = Field("linf", description="norm of the ball")
    eps: Positive = Field(0.3, description="radius of the ball, on the [0, 1] scale of pixels")
    steps: Count = Field(40, description="number of steps")
    settings: dict[str, Any] = Field({}, description="other settings of the class")

    def threat(self) -> Threat:
        return Threat(self.norm, self.eps, self.steps, "white-box", loss=f"foolbox {self.attack}")


def foolbox_attack(model, x_BCHW, y_B, spec, *, seed, indices):
    """Return the adversarial examples of foolbox, projected to the ball; each image has its own random seed."""
    import foolbox
    import torch

    from advgen import seeds
    from advgen.attacks.common import frozen, project

    cls = getattr(foolbox.attacks, spec.attack, None)
    if cls is None:
        raise ValueError(f"foolbox has no attack {spec.attack!r}; see foolbox.attacks")
    attack, found = cls(steps=spec.steps, **spec.settings), []
    with frozen(model), torch.random.fork_rng(devices=[]), torch.enable_grad():
        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device=x_BCHW.device)
        for x_1CHW, y_1, index in zip(x_BCHW.split(1), y_B.split(1), indices, strict=True):
            torch.manual_seed(seeds.derive(seed, "foolbox", index) % 2**63)  # it draws from the global generator
            _, x_adv_1CHW, _ = attack(wrapped, x_1CHW, y_1, epsilons=spec.eps)
            found.append(x_adv_1CHW.detach())
    return project(torch.cat(found).to(x_BCHW), x_BCHW, spec.norm, spec.eps)


register(FoolboxAttack, foolbox_attack, packages=["foolbox"])
