"""Train a classifier, or import it from a file."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from advgen import registry
from advgen.attacks.checks import compute_clean_logits
from advgen.data.choice import choose, split_validation
from advgen.data.images import load_images
from advgen.experiments.classifiers.experiment import TrainClassifier
from advgen.io.checkpoints import build, save_model
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.models.predict import ROWS, to_unit_range
from advgen.specs.networks import FileNetwork
from advgen.training.classifier import train_classifier
from advgen.training.defences.common import Defence
from advgen.training.initial import build_seeded
from advgen.training.state import Callbacks


def run(job: Job[TrainClassifier]) -> None:
    """Write the weights and the training history; for a model from a file, its validation accuracy."""
    spec = job.spec
    (images, labels), validation = split_validation(*load_images(job.input("data")), spec.validation)
    if isinstance(spec.model, FileNetwork):
        model = build("files", spec.model, spec.classes).to(job.device)
        columns = {
            "model": spec.name,
            "seed": spec.seed,
            **evaluate_file_model(model, *validation, spec.model.path, spec.classes),
        }
        write_table(job.output("out-history"), arrow_table("training", columns), job.stamp)
        return save_model(job.output("out-model"), model, job.stamp)
    assert spec.training is not None
    if spec.images is not None:
        selected = choose(len(labels), spec.images, 0, "training images")
        images, labels = images[selected], labels[selected]
    model = build_seeded(build, "networks", spec.model, spec.classes, seed=spec.seed)
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


def evaluate_file_model(model: nn.Module, images: Tensor, labels: Tensor, path: str, classes: int) -> dict[str, Any]:
    """Return the one row of the history of a model from a file; ValueError if its outputs do not fit the classes."""
    try:
        logits = compute_clean_logits(
            model, to_unit_range(images), torch.zeros_like(labels), ROWS
        )  # the accuracy is computed below
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if logits.shape[1] != classes:
        raise ValueError(
            f"{path}: has {logits.shape[1]} outputs, but the data set has {classes} classes; use another model"
        )
    if not logits.isfinite().all():
        raise ValueError(f"{path}: returns NaN or infinite outputs on clean images; check its mean, std and bounds")
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    loss = cross_entropy(logits, labels).item()
    return {"step": [0], "epoch": [0.0], "loss": [loss], "accuracy": [accuracy]}
