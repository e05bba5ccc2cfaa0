"""Train a GAN and record its history and snapshots of its images."""

from advgen import registry
from advgen.data.choice import split_validation
from advgen.data.images import load_images
from advgen.experiments.gans.experiment import TrainGan
from advgen.experiments.gans.snapshots import Snapshots
from advgen.geometry.steps import steps_in
from advgen.io.checkpoints import build, load_model, save_model
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.metrics.detect import find_overpowering, find_vanishing_gradients
from advgen.training.gan import train_gan
from advgen.training.initial import build_seeded
from advgen.training.state import Callbacks


def run(job: Job[TrainGan]) -> None:
    """Train, then write both networks, the history and the snapshots."""
    spec = job.spec
    (images, _), (held_out, _) = split_validation(*load_images(job.input("data")), spec.validation)
    generator = build_seeded(build, "generators", spec.generator, seed=spec.seed)
    discriminator = build_seeded(build, "networks", spec.discriminator, 1, seed=spec.seed)
    score = None
    if spec.selects_checkpoint:
        build_score = registry.load_target(spec.scorer)
        score = build_score(load_model(job.input("judge")).to(job.device), held_out, spec.seed, job.device)
    total = steps_in(spec.training.epochs, spec.training.batch, len(images))
    callbacks = Callbacks(**job.callbacks())
    snapshots = Snapshots(generator, total, spec.seed, bool(spec.training.ema), callbacks)
    history = train_gan(
        generator,
        discriminator,
        images,
        spec.training,
        spec.seed,
        device=job.device,
        callbacks=snapshots.callbacks(),
        score=score,
    )
    flags = {"vanishing": find_vanishing_gradients(history["gradient_generator"], history["loss_generator"])}
    flags["overpowered"] = find_overpowering(history["logit_real"], history["logit_fake"])
    if spec.training.loss == "wasserstein":  # Its critic has no probabilities that could saturate.
        flags["overpowered"][:] = False
    columns = {"gan": spec.name, "seed": spec.seed, **history, **flags}
    write_table(job.output("out-history"), arrow_table("gan_history", columns), job.stamp)
    columns = {"gan": spec.name, "seed": spec.seed, **snapshots.columns()}
    write_table(job.output("out-snapshots"), arrow_table("gan_snapshots", columns), job.stamp)
    save_model(job.output("out-discriminator"), discriminator, job.stamp)
    save_model(job.output("out-generator"), generator, job.stamp)
    job.finish()
