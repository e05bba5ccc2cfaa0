"""Draw samples from a generator and evaluate them with the reference classifiers."""

import torch

from advgen.data.choice import permutation
from advgen.data.images import load_images
from advgen.experiments.gans.experiment import EvaluateGan
from advgen.io.checkpoints import load_model
from advgen.io.tables import arrow_table, read_table, write_table
from advgen.jobs.job import Job
from advgen.metrics.detect import is_collapsed
from advgen.metrics.image import isolated_energy, laplacian_variance
from advgen.metrics.judging import judge_digest, judge_labels, judge_samples, real_distance
from advgen.models.generators import Generator
from advgen.models.layers import count_parameters
from advgen.models.predict import ROWS, device_of, eval_mode, scale_batch_size, to_unit_range
from advgen.seeds import normal


def draw_samples(generator: Generator, n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return n latent vectors (n, D) of a seed and their images (n, C, H, W), on the CPU."""
    z = normal(seed, "samples", list(range(n)), generator.latent)
    device = device_of(generator)
    with eval_mode(generator), torch.inference_mode():
        parts = [generator(part.to(device)) for part in z.split(scale_batch_size(ROWS, device))]
    return z, torch.cat(parts).cpu()


def run(job: Job[EvaluateGan]) -> None:
    """Evaluate n samples, and store the measures and the first few samples."""
    spec = job.spec
    generator = load_model(job.input("generator")).to(job.device)
    discriminator = load_model(job.input("discriminator"))
    judge, second = (load_model(job.input(name)).to(job.device) for name in ("judge", "second"))
    history = read_table(job.input("history"), "gan_history")
    real, _ = load_images(job.input("data"))
    z, samples = draw_samples(generator, spec.n, spec.seed)
    quality = judge_samples(judge, second, samples, real[permutation(len(real), 0, "reference")], judge.outputs)
    columns = {
        "gan": spec.name,
        "seed": spec.seed,
        "generator": generator.spec.canonical(),
        "discriminator": discriminator.spec.canonical(),
        "parameters_generator": count_parameters(generator),
        "parameters_discriminator": count_parameters(discriminator),
        "loss": spec.training.loss,
        "generator_steps": spec.training.generator_steps,
        "discriminator_steps": spec.training.discriminator_steps,
        "unroll": spec.training.unroll,
        "batch": spec.training.batch,
        "n": spec.n,
        **quality,
        "frechet_distance_real": real_distance(job.input("calibration")),
        "collapsed": is_collapsed(quality["class_share"][0], quality["variety"]),
        "vanishing": history.column("vanishing").to_numpy().mean(),
        "overpowered": history.column("overpowered").to_numpy().mean(),
        "isolated_energy": isolated_energy(samples).mean().item(),
        "sharpness": laplacian_variance(samples).mean().item(),
        "sharpness_real": laplacian_variance(to_unit_range(real)).mean().item(),
        "judge": judge_digest(job.input("judge")),
    }
    write_table(job.output("out-quality"), arrow_table("gan_quality", columns), job.stamp)
    stored = samples[: spec.stored]
    label, confidence = judge_labels(judge, stored)
    columns = {
        "gan": spec.name,
        "seed": spec.seed,
        "index": list(range(len(stored))),
        "z": z[: spec.stored].numpy(),
        "label": label,
        "confidence": confidence,
        "image": stored.numpy(),
    }
    write_table(job.output("out-samples"), arrow_table("gan_samples", columns), job.stamp)
