"""Train the reference classifier of a data set, and a second one to check it."""

from advgen.data.choice import split_validation
from advgen.data.images import load_images
from advgen.experiments.classifiers import train
from advgen.experiments.judges.experiment import TrainJudge
from advgen.io.checkpoints import build, save_model
from advgen.jobs.job import Job
from advgen.training.classifier import train_classifier
from advgen.training.initial import build_seeded
from advgen.training.state import Callbacks


def run(job: Job[TrainJudge]) -> None:
    """Train the second classifier, which takes seconds and saves no state, then the reference classifier."""
    spec, seed = job.spec, job.spec.seed + 1
    assert spec.training is not None
    (images, labels), validation = split_validation(*load_images(job.input("data")), spec.validation)
    second = build_seeded(build, "networks", spec.second, spec.classes, seed=seed)
    train_classifier(
        second, images, labels, spec.training, seed, validation=validation, device=job.device, callbacks=Callbacks()
    )
    save_model(job.output("out-second"), second, job.stamp)
    train.run(job)  # type: ignore[arg-type]  # TrainJudge is a TrainClassifier
