"""Evaluate samples of a generator at several truncation thresholds."""

import torch

from advgen.data.choice import permutation
from advgen.data.images import load_images
from advgen.experiments.truncations.experiment import Truncate
from advgen.io.checkpoints import load_model
from advgen.io.tables import arrow_table, concatenate, write_table
from advgen.jobs.job import Job
from advgen.metrics.judging import judge_digest, judge_samples, real_distance
from advgen.models.generators import truncated_normal
from advgen.models.predict import ROWS, scale_batch_size
from advgen.seeds import uniform


def run(job: Job[Truncate]) -> None:
    """Evaluate n samples for each threshold, all from the same random numbers."""
    spec = job.spec
    generator = load_model(job.input("generator")).to(job.device)
    judge, second = (load_model(job.input(name)).to(job.device) for name in ("judge", "second"))
    real, _ = load_images(job.input("data"))
    real = real[permutation(len(real), 0, "reference")]
    u = uniform(spec.seed, "truncation", list(range(spec.n)), generator.latent)
    tables = []
    for threshold in spec.thresholds:
        z = truncated_normal(u, threshold).to(job.device)
        with torch.inference_mode():
            samples = torch.cat([generator(part) for part in z.split(scale_batch_size(ROWS, z.device))]).cpu()
        columns = {
            "truncation": spec.name,
            "generator": spec.generator_name,
            "seed": spec.seed,
            "threshold": [threshold],
            "n": spec.n,
            **judge_samples(judge, second, samples, real, judge.outputs),
            "frechet_distance_real": real_distance(job.input("calibration")),
            "judge": judge_digest(job.input("judge")),
        }
        tables.append(arrow_table("truncation", columns))
    write_table(job.output(), concatenate(tables), job.stamp)
