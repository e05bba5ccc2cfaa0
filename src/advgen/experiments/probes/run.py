"""Make a classifier from a discriminator, an autoencoder or another classifier."""

from advgen.data.choice import split_validation
from advgen.data.images import load_images
from advgen.experiments.probes.experiment import TrainProbe
from advgen.io.checkpoints import build, load_model, save_model
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.training.classifier import train_classifier
from advgen.training.initial import build_seeded
from advgen.training.probe import body_spec, copy_body, copy_decision, train_head
from advgen.training.state import Callbacks


def run(job: Job[TrainProbe]) -> None:
    """Convert the decision, train a head or fine-tune the model, and save it as an ordinary network."""
    spec = job.spec
    model = load_model(job.input("model"))
    (images, labels), validation = split_validation(*load_images(job.input("data")), spec.validation)
    probe = build_seeded(build, "networks", body_spec(model), spec.classes, seed=spec.seed)
    if spec.part == "decision":
        fitted_on = (images, labels) if spec.threshold == "fitted" else None
        history = copy_decision(probe.to(job.device), model.to(job.device), validation, fitted_on)
    else:
        train = train_head if spec.part == "features" else train_classifier
        if spec.body == "trained":
            copy_body(probe, model)
        callbacks = Callbacks(**job.callbacks())
        history = train(probe, images, labels, spec.training, spec.seed, validation, job.device, callbacks)
    columns = {"model": spec.name, "seed": spec.seed, "threshold": None, **history}
    write_table(job.output("out-history"), arrow_table("probe_history", columns), job.stamp)
    save_model(job.output("out-model"), probe, job.stamp)
    job.finish()
