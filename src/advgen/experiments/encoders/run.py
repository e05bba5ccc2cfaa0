"""Train an encoder that predicts the latent vectors of a generator's images."""

from advgen.experiments.encoders.experiment import TrainEncoder
from advgen.io.checkpoints import build, load_model, save_model
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.training.encoder import train_encoder
from advgen.training.initial import build_seeded
from advgen.training.state import Callbacks


def run(job: Job[TrainEncoder]) -> None:
    """Train, then write the weights and the history."""
    spec = job.spec
    generator = load_model(job.input("generator"))
    encoder = build_seeded(build, "networks", spec.model, generator.latent, seed=spec.seed)
    history = train_encoder(
        encoder, generator, spec.training, spec.seed, device=job.device, callbacks=Callbacks(**job.callbacks())
    )
    columns = {"model": spec.name, "seed": spec.seed, **history}
    write_table(job.output("out-history"), arrow_table("training", columns), job.stamp)
    save_model(job.output("out-model"), encoder, job.stamp)
    job.finish()
