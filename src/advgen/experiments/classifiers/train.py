"""A trained classifier and its learning curve."""

from advgen import registry
from advgen.data.choice import choose, split
from advgen.data.images import load
from advgen.experiments.classifiers.experiment import TrainClassifier
from advgen.io.checkpoints import build, save_model
from advgen.io.jobs import Job
from advgen.io.tables import arrow_table, write_table
from advgen.training.classifier import train_classifier
from advgen.training.defences.common import Defence
from advgen.training.initial import fresh
from advgen.training.state import Callbacks


def run(job: Job[TrainClassifier]) -> None:
    """Train, then write the weights and the history."""
    spec = job.spec
    (images, labels), validation = split(*load(job.input("data")), spec.validation)
    if spec.images is not None:
        kept = choose(len(labels), spec.images, 0, "training images")
        images, labels = images[kept], labels[kept]
    model = fresh(build, "networks", spec.model, spec.classes, seed=spec.seed)
    history = train_classifier(
        model,
        images,
        labels,
        spec.training,
        spec.seed,
        validation=validation,
        device=job.device,
        callbacks=Callbacks(**job.callbacks()),
        defence=spec.defence,
        make_defence=registry.resolve(spec.defence) if spec.defence else Defence,
    )
    columns = {"model": spec.name, "seed": spec.seed, **history}
    write_table(job.output("out-history"), arrow_table("training", columns), job.stamp)
    save_model(job.output("out-model"), model, job.stamp)
    job.finish()
