"""Train an autoencoder and record its history and latent distribution."""

from advgen.data.choice import split_validation
from advgen.data.images import load_images
from advgen.experiments.autoencoders.experiment import TrainAutoencoder
from advgen.io.checkpoints import build, save_model
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.training.autoencoder import train_autoencoder
from advgen.training.initial import build_seeded
from advgen.training.state import Callbacks


def run(job: Job[TrainAutoencoder]) -> None:
    """Train, then write the weights and the history."""
    spec = job.spec
    (images, _), _ = split_validation(*load_images(job.input("data")), spec.validation)
    model = build_seeded(build, "autoencoders", spec.model, seed=spec.seed)
    history, snapshots = train_autoencoder(
        model, images, spec.training, spec.seed, device=job.device, callbacks=Callbacks(**job.callbacks())
    )
    run_columns = {"autoencoder": spec.name, "seed": spec.seed}
    write_table(job.output("out-history"), arrow_table("autoencoder_history", {**run_columns, **history}), job.stamp)
    write_table(job.output("out-snapshots"), arrow_table("latent_snapshots", {**run_columns, **snapshots}), job.stamp)
    save_model(job.output("out-model"), model, job.stamp)
    job.finish()
