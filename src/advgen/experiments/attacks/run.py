"""Adversarial examples against one model."""

from advgen import registry
from advgen.attacks.run import craft
from advgen.data.images import load_choice
from advgen.experiments.attacks.experiment import Craft
from advgen.io.checkpoints import load_model
from advgen.io.jobs import Job, Progress
from advgen.io.tables import arrow_table, write_table
from advgen.models.layers import count_parameters


def run(job: Job[Craft]) -> None:
    """Attack a seeded choice of test images and keep every example."""
    spec = job.spec
    model = load_model(job.input("model")).to(job.device)
    images, labels, indices = load_choice(job.input("data"), spec.examples, spec.choice)
    others = spec.attack.others()
    learnt_from = load_choice(job.input("data"), others, spec.choice, skip=spec.examples)[:2] if others else None
    crafted = craft(
        registry.resolve(spec.attack),
        model,
        images,
        labels,
        spec.attack,
        seed=spec.source_seed,
        indices=indices,
        others=learnt_from,
        progress=Progress(job.label()),
    )
    threat = spec.attack.threat()
    columns = {
        "source": spec.source,
        "source_seed": spec.source_seed,
        **spec.origin.model_dump(),
        "parameters": count_parameters(model),
        "attack": spec.attack_name,
        "kind": spec.attack.kind,  # type: ignore[attr-defined]
        **threat._asdict(),
        "index": indices,
        "label": labels.numpy(),
        "image": images.numpy(),
        "adversarial": crafted.pop("x_adv"),
        **crafted,
    }
    write_table(job.output(), arrow_table("examples", columns), job.stamp)
