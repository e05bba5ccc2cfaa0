"""Run PGD step by step from many random starts."""

import torch

from advgen.attacks.common import frozen, quantize, resolve_goal
from advgen.attacks.pgd import Ball, random_start, step
from advgen.data.images import load_subset
from advgen.experiments.convergences.experiment import Converge
from advgen.io.checkpoints import load_model
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.jobs.progress import Progress
from advgen.models.predict import device_of, predict, scale_batch_size
from advgen.specs.attacks import PgdAttack

ROWS = 250
"""Images attacked at once on the CPU."""


def run(job: Job[Converge]) -> None:
    """Attack a seeded choice of test images and write the loss of each image and start at every step."""
    spec = job.spec
    assert isinstance(spec.attack, PgdAttack)
    model = load_model(job.input("model")).to(job.device)
    images, labels, indices = load_subset(job.input("data"), spec.images, spec.choice)
    batch = scale_batch_size(ROWS, device_of(model))
    correct = predict(model, images)[0] == labels
    losses, fooled, rounded, progress = [], [], [], Progress(job.label())
    for restart in range(spec.restarts):
        for start in range(0, len(images), batch):
            rows = slice(start, start + batch)
            x_BCHW, y_B = images[rows].to(job.device), labels[rows].to(job.device)
            batch_keys = spec.attack, spec.seed, indices[rows], restart
            losses_BT, fooled_B, rounded_B = record_trajectory(model, x_BCHW, y_B, *batch_keys)
            losses.append(losses_BT.cpu())
            fooled.append(fooled_B.cpu())
            rounded.append(rounded_B.cpu())
        progress(restart + 1, spec.restarts)
    columns = {
        "convergence": spec.name,
        "source": spec.source,
        "seed": spec.seed,
        "attack": spec.attack_name,
        "eps": spec.attack.eps,
        "index": indices * spec.restarts,
        "restart": [restart for restart in range(spec.restarts) for _ in indices],
        "label": labels.tolist() * spec.restarts,
        "right_clean": correct.tolist() * spec.restarts,
        "fooled_step": [None if step < 0 else step for step in torch.cat(fooled).tolist()],
        "fooled_rounded": torch.cat(rounded).numpy(),
        "losses": torch.cat(losses).numpy(),
    }
    write_table(job.output(), arrow_table("convergence", columns), job.stamp)


def record_trajectory(
    model: torch.nn.Module,
    x_BCHW: torch.Tensor,
    y_B: torch.Tensor,
    attack: PgdAttack,
    seed: int,
    indices: list[int],
    restart: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Run PGD and record its progress for images (B, C, H, W).

    Returns:
        The loss at the start and after each step (B, steps + 1), the first step that reached the goal or -1 (B,), and
        whether the last image reaches the goal after rounding to 256 grey levels (B,).
    """
    with frozen(model), torch.no_grad():
        goal = resolve_goal(model, x_BCHW, y_B, attack, seed=seed, indices=indices)
        x_adv_BCHW = random_start(x_BCHW, attack.norm, attack.eps, seed, indices, restart)
        ball, losses, reached = Ball.around(x_BCHW, attack.eps), [], []
        for _ in range(attack.steps + 1):
            moved_BCHW, logits_BK = step(model, x_adv_BCHW, ball, goal, attack)
            crosses = attack.loss == "cross_entropy"
            losses.append(goal.cross_entropy(logits_BK) if crosses else goal.loss(attack.loss, logits_BK))
            reached.append(goal.is_reached(logits_BK))
            last_BCHW, x_adv_BCHW = x_adv_BCHW, moved_BCHW
        rounded_B = goal.is_reached(model(quantize(last_BCHW)))
    reached_BT = torch.stack(reached, dim=1)
    first_B = torch.where(reached_BT.any(1), reached_BT.int().argmax(1), -1)
    return torch.stack(losses, dim=1), first_B, rounded_B
