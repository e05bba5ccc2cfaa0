"""Craft adversarial examples for one model."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from advgen import registry
from advgen.attacks.run import craft
from advgen.data.images import load_subset
from advgen.experiments.attacks.experiment import Craft
from advgen.io.checkpoints import load_model
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.jobs.progress import Progress
from advgen.models.layers import count_parameters


def run(job: Job[Craft]) -> None:
    """Attack a seeded choice of test images and write every example."""
    model = load_model(job.input("model")).to(job.device)
    spec = job.spec
    chosen = load_subset(job.input("data"), spec.examples, spec.choice)
    others = spec.attack.others()
    held_out = load_subset(job.input("data"), others, spec.choice, skip=spec.examples)[:2] if others else None
    columns = craft_examples(model, *chosen, spec, Progress(job.label()), held_out)
    write_table(job.output(), arrow_table("examples", columns), job.stamp)


def craft_examples(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    indices: list[int],
    spec: Craft,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
    others: tuple[Tensor, Tensor] | None = None,
) -> dict[str, Any]:
    """Return the columns of the table of examples.

    Args:
        images: (N, C, H, W) in [0, 1], with labels (N,).
        others: images and labels that a universal attack is fitted to.
        The other arguments are those of `craft`.
    """
    crafted = craft(
        registry.resolve(spec.attack),
        model,
        images,
        labels,
        spec.attack,
        seed=spec.source_seed,
        indices=indices,
        others=others,
        progress=progress,
    )
    return {
        "source": spec.source,
        "source_seed": spec.source_seed,
        **spec.origin.model_dump(),
        "parameters": count_parameters(model),
        "attack": spec.attack_name,
        "kind": spec.attack.kind,  # type: ignore[attr-defined]
        **spec.attack.threat()._asdict(),
        "index": indices,
        "label": labels.numpy(),
        "image": images.numpy(),
        **crafted.columns(),
    }
