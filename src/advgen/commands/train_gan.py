"""A trained generator and discriminator, and their history."""

from collections.abc import Callable

import torch

from advgen.checkpoints import build, load_model, save_model
from advgen.data.choice import split
from advgen.data.images import load
from advgen.jobs import Job
from advgen.metrics.detect import vanishing
from advgen.metrics.distribution import frechet
from advgen.models.generators import Generator
from advgen.models.predict import features_and_probabilities
from advgen.seeds import normal
from advgen.tables import arrow_table, write_table
from advgen.tasks import TrainGan
from advgen.training.gan import train_gan
from advgen.training.initial import fresh

SAMPLES = 1000
"""By which a generator is scored during training."""


def run(job: Job[TrainGan]) -> None:
    """Train, then write both networks and the history."""
    spec = job.spec
    (images, _), (held_out, _) = split(*load(job.input("data")), spec.validation)
    generator = fresh(build, "generators", spec.generator, seed=spec.seed)
    discriminator = fresh(build, "networks", spec.discriminator, 1, seed=spec.seed)
    history = train_gan(
        generator,
        discriminator,
        images,
        spec.training,
        spec.seed,
        device=job.device,
        callbacks=job.callbacks(),
        score=scoring(job, held_out) if spec.judged else None,
    )
    flags = vanishing(history["gradient_generator"], history["loss_generator"])
    columns = {"gan": spec.name, "seed": spec.seed, **history, "vanishing": flags}
    write_table(job.output("out-history"), arrow_table("gan_history", columns), job.stamp)
    save_model(job.output("out-discriminator"), discriminator, job.stamp)
    save_model(job.output("out-generator"), generator, job.stamp)
    job.finish()


def scoring(job: Job[TrainGan], held_out_NCHW: torch.Tensor) -> Callable[[Generator], float]:
    """The judge's Fréchet distance of a generator's samples from the validation images; always of the same z."""
    judge = load_model(job.input("judge")).to(job.device)
    reference, _ = features_and_probabilities(judge, held_out_NCHW)

    def score(generator: Generator) -> float:
        z = normal(job.spec.seed, "score", list(range(SAMPLES)), generator.latent).to(job.device)
        with torch.inference_mode():
            samples = torch.cat([generator(part) for part in z.split(500)])
        return frechet(reference, features_and_probabilities(judge, samples)[0])

    return score
