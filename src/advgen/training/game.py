"""The updates of a generator and a discriminator, with unrolling (metz2017unrolled) and penalties.

Unrolling has two modes. `look_ahead` makes k real updates of the discriminator, steps the generator, and rolls the
discriminator back, so the generator's gradient treats those updates as constant. `exact` writes the updates as a
function of the generator and differentiates through them, as in the paper; the discriminator does not change.

With `r1`, the discriminator's gradient at real images is penalised (mescheder2018training) every few steps, with a
weight that is as many times larger (karras2020analyzing); unrolled updates leave this penalty out. With
`gradient_penalty`, each discriminator step pulls the norm of its gradient between real and generated images towards 1
(gulrajani2017improved). With `adversarial_eps`, the discriminator is trained on attacked images, real and generated
(liu2019robgan); the generator is trained against it without an attack.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call

from advgen.models.generators import Generator
from advgen.models.predict import eval_mode
from advgen.specs.training import GanTraining
from advgen.training.losses import discriminator_loss, generator_loss, gradient_penalty, r1
from advgen.training.unrolling import BETA2, EPS, adam, read_moments, rolled_back

NUMBERS = (
    "loss_generator",
    "loss_discriminator",
    "gradient_generator",
    "gradient_discriminator",
    "logit_real",
    "logit_fake",
)


@dataclass(frozen=True)
class DiscriminatorStep:
    """The results of one update, as scalar tensors: loss, gradient norm and mean logits."""

    loss: Tensor
    gradient: Tensor
    logit_real: Tensor
    logit_fake: Tensor


class Game:
    """The two networks and their optimisers."""

    def __init__(self, generator: Generator, discriminator: nn.Module, spec: GanTraining, capturable: bool = False):
        self.generator, self.discriminator, self.spec = generator, discriminator, spec
        optimizer = partial(torch.optim.Adam, betas=(spec.beta1, BETA2), eps=EPS, fused=True, capturable=capturable)
        self.optimizer_generator = optimizer(generator.parameters(), spec.lr_generator)
        self.optimizer_discriminator = optimizer(discriminator.parameters(), spec.lr_discriminator)
        self.queue = list[Tensor]()
        """Latent vectors that were drawn in advance."""
        self.has_batch_norm = any(
            isinstance(module, nn.modules.batchnorm._BatchNorm) for module in discriminator.modules()
        )

    def play(
        self, real_BCHW: Tensor, penalised: bool = False, latents_UBD: Sequence[Tensor] | Tensor = ()
    ) -> Sequence[Tensor]:
        """Make all updates of one batch, on latent vectors from `draw` if they are passed; return NUMBERS."""
        self.queue = list(latents_UBD)
        for _ in range(self.spec.discriminator_steps):
            step = self.step_discriminator(real_BCHW, penalised)
        for _ in range(self.spec.generator_steps):
            loss, gradient = self.step_generator(real_BCHW)
        return loss, step.loss, gradient, step.gradient, step.logit_real, step.logit_fake

    def step_discriminator(self, real_BCHW: Tensor, penalised: bool = False) -> DiscriminatorStep:
        latents_BD = self.next_latents(len(real_BCHW))
        with torch.no_grad():
            fake_BCHW = self.generator(latents_BD)
        real, fake = self.logits(self.discriminator, *self.attack(real_BCHW, fake_BCHW))
        loss = discriminator_loss(self.spec.loss, real, fake, self.spec.real_label)
        # the history has the loss without penalties, which would make its curve jump
        penalty = self.spec.r1 * self.spec.r1_every * r1(self.discriminator, real_BCHW) if penalised else 0.0
        penalty = penalty + self.line_penalty(self.discriminator, real_BCHW, fake_BCHW)
        gradient = _update(self.discriminator, self.optimizer_discriminator, loss + penalty)
        return DiscriminatorStep(loss.detach(), gradient, real.detach().mean(), fake.detach().mean())

    def logits(
        self, discriminate: Callable[[Tensor], Tensor], real_BCHW: Tensor, fake_BCHW: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.has_batch_norm:  # joint statistics would reveal which images are real (radford2016unsupervised)
            return discriminate(real_BCHW), discriminate(fake_BCHW)
        # one pass over both takes a quarter less time for a large fully connected discriminator
        real, fake = discriminate(torch.cat([real_BCHW, fake_BCHW])).chunk(2)
        return real, fake

    def attack(self, real_BCHW: Tensor, fake_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Both image batches, with `adversarial_eps` after signed gradient steps up the discriminator's loss."""
        eps, steps = self.spec.adversarial_eps, self.spec.adversarial_steps
        if not eps:
            return real_BCHW, fake_BCHW
        bounds = [((x - eps).clamp_min(0), (x + eps).clamp_max(1)) for x in (real_BCHW, fake_BCHW)]
        moved = [real_BCHW, fake_BCHW]
        # in eval mode, so that batch statistics and dropout do not come from unfinished examples
        with _frozen(self.discriminator), eval_mode(self.discriminator):
            for _ in range(steps):
                at = [x.detach().requires_grad_() for x in moved]
                loss = discriminator_loss(self.spec.loss, *self.logits(self.discriminator, *at), self.spec.real_label)
                gradients = torch.autograd.grad(loss, at)
                moved = [
                    torch.clamp(x.detach() + 2.5 * eps / steps * gradient.sign(), low, high)
                    for x, gradient, (low, high) in zip(at, gradients, bounds, strict=True)
                ]
        return moved[0], moved[1]

    def line_penalty(
        self, discriminate: Callable[[Tensor], Tensor], real_BCHW: Tensor, fake_BCHW: Tensor
    ) -> Tensor | float:
        """The weighted gradient penalty at random points between real images and the latest generated ones."""
        if not self.spec.gradient_penalty:
            return 0.0
        points_BCHW = real_BCHW.lerp(fake_BCHW, self.positions_B1[..., None, None])
        return self.spec.gradient_penalty * gradient_penalty(discriminate, points_BCHW)

    def step_generator(self, real_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """The generator's loss and gradient norm in an update against the (unrolled) discriminator."""
        if not self.spec.unroll:
            return self._step_generator(len(real_BCHW))
        if self.spec.unroll_mode == "exact":
            loss = self.unrolled_loss(real_BCHW)
            return loss.detach(), _update(self.generator, self.optimizer_generator, loss)
        with rolled_back(self.discriminator, self.optimizer_discriminator):
            for _ in range(self.spec.unroll):
                self.step_discriminator(real_BCHW)
            return self._step_generator(len(real_BCHW))

    def _step_generator(self, rows: int) -> tuple[Tensor, Tensor]:
        with _frozen(self.discriminator):
            loss = generator_loss(self.spec.loss, self.discriminator(self.generator(self.next_latents(rows))))
            gradient = _update(self.generator, self.optimizer_generator, loss)
        return loss.detach(), gradient

    def unrolled_loss(self, real_BCHW: Tensor) -> Tensor:
        """The generator's loss against the discriminator `unroll` updates later, as a function of the generator."""
        weights = {name: one.detach().clone().requires_grad_() for name, one in self.discriminator.named_parameters()}
        buffers = {name: one.clone() for name, one in self.discriminator.named_buffers()}
        moments = read_moments(self.discriminator, self.optimizer_discriminator)

        def discriminate(x_BCHW: Tensor) -> Tensor:
            logits_B1: Tensor = functional_call(self.discriminator, {**weights, **buffers}, (x_BCHW,))
            return logits_B1

        rows = len(real_BCHW)
        for _ in range(self.spec.unroll):
            fake_BCHW = self.generator(self.next_latents(rows))
            real, fake = self.logits(discriminate, real_BCHW, fake_BCHW)
            loss = discriminator_loss(self.spec.loss, real, fake, self.spec.real_label)
            loss = loss + self.line_penalty(discriminate, real_BCHW, fake_BCHW)
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            by_name = dict(zip(weights, gradients, strict=True))
            weights, moments = adam(weights, moments, by_name, self.spec.lr_discriminator, self.spec.beta1)
        return generator_loss(self.spec.loss, discriminate(self.generator(self.next_latents(rows))))

    def draw(self, rows: int) -> Tensor:
        """All random numbers of one batch (updates, rows, numbers), on the CPU, in the order of their use."""
        updates = self.spec.discriminator_steps + self.spec.generator_steps * (self.spec.unroll + 1)
        return torch.stack([self.draw_once(rows) for _ in range(updates)])

    def draw_once(self, rows: int) -> Tensor:
        """Latent vectors and, for the gradient penalty, a position on a line for each, uniform on [0, 1)."""
        z_BD = torch.randn(rows, self.generator.latent)
        return torch.cat([z_BD, torch.rand(rows, 1)], 1) if self.spec.gradient_penalty else z_BD

    def next_latents(self, rows: int) -> Tensor:
        """The next latent vectors, from the queue if it has any."""
        weight = next(self.generator.parameters())
        numbers_BN = self.queue.pop(0) if self.queue else self.draw_once(rows).to(weight)
        sizes = [self.generator.latent, numbers_BN.shape[1] - self.generator.latent]
        z_BD, self.positions_B1 = numbers_BN.split(sizes, 1)
        return z_BD


def _update(network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
    """Make one optimiser step down the loss and return the norm of the gradient."""
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
    optimizer.step()
    return norm


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Compute no gradients of a network's weights, which the other network's update does not need."""
    network.requires_grad_(False)
    yield
    network.requires_grad_(True)
