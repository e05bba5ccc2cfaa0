"""Reconstruct the test images and evaluate them with the reference classifier."""

import torch
from scipy.stats import kstest

from advgen.data.choice import permutation
from advgen.data.images import load_images
from advgen.experiments.autoencoders.experiment import EvaluateAutoencoder
from advgen.io.checkpoints import load_model
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.metrics.distribution import frechet
from advgen.metrics.image import laplacian_variance, mse
from advgen.metrics.intervals import wilson
from advgen.metrics.judging import judge_digest, judge_labels, real_distance
from advgen.metrics.trivial import (
    MAX_TRAINING_IMAGES,
    nearest_training_images,
    reconstruct_by_pca,
    sample_fitted_gaussian,
)
from advgen.models.layers import count_parameters
from advgen.models.predict import ROWS, device_of, features_and_probabilities, scale_batch_size, to_unit_range
from advgen.seeds import normal


def run(job: Job[EvaluateAutoencoder]) -> None:
    """Evaluate all reconstructions, decoded samples and baselines; store the measures and the first few images."""
    spec = job.spec
    model = load_model(job.input("model")).to(job.device)
    judge = load_model(job.input("judge")).to(job.device)
    stored, labels = load_images(job.input("data"))
    images = to_unit_range(stored)
    rows = scale_batch_size(ROWS, device_of(model))
    with torch.inference_mode():
        parts = [model(part.to(job.device)) for part in images.split(rows)]
    reconstructions = torch.cat([image.cpu() for image, _ in parts])
    z = torch.cat([z.cpu() for _, z in parts])
    judged, _ = judge_labels(judge, reconstructions)
    agree, n = int((judged == labels.numpy()).sum()), len(labels)
    low, high = wilson(agree, n)
    errors = mse(reconstructions, images)
    normal_z = normal(spec.seed, "decoded", list(range(spec.n)), model.latent)
    train, _ = load_images(job.input("train"))
    train = train[permutation(len(train), 0, "baselines")[:MAX_TRAINING_IMAGES]]
    with torch.inference_mode():
        encoded = torch.cat([model(to_unit_range(part).to(job.device))[1].cpu() for part in train.split(rows)])
        decoded, fitted = (
            torch.cat([model.decode(part.to(job.device)).cpu() for part in draws.split(rows)])
            for draws in (normal_z, sample_fitted_gaussian(encoded, normal_z))
        )
    baselines = {"principal": reconstruct_by_pca(train, images.to(job.device), model.latent)}
    baselines["nearest"] = nearest_training_images(train, images.to(job.device))
    baselines = {name: reconstructed.cpu() for name, reconstructed in baselines.items()}
    baseline_errors = {f"mse_{name}": mse(reconstructed, images) for name, reconstructed in baselines.items()}
    reference, of_images = features_and_probabilities(judge, images)
    distances = [
        frechet(reference, features_and_probabilities(judge, samples)[0])
        for samples in (reconstructions, decoded, fitted)
    ]
    ks = [kstest(column, "norm").statistic for column in z.double().numpy().T]
    columns = {
        "autoencoder": spec.name,
        "seed": spec.seed,
        "parameters": count_parameters(model),
        "latent": model.latent,
        "n": n,
        "mse": [float(errors.double().mean())],
        **{name: float(values.double().mean()) for name, values in baseline_errors.items()},
        "class_kept": agree / n,
        "class_kept_low": low,
        "class_kept_high": high,
        # Upper bound for class_kept: the accuracy on the original images.
        "class_kept_real": (of_images.argmax(1) == labels).double().mean().item(),
        "moments": spec.moments.kind if spec.moments else "none",
        "frechet_distance_real": real_distance(job.input("calibration")),
        "frechet_distance_reconstructions": distances[0],
        "frechet_distance_decoded": distances[1],
        "frechet_distance_fitted": distances[2],
        "sharpness_real": laplacian_variance(images).mean().item(),
        "sharpness_reconstructions": laplacian_variance(reconstructions).mean().item(),
        "sharpness_decoded": laplacian_variance(decoded).mean().item(),
        "ks_pooled": kstest(z.double().flatten().numpy(), "norm").statistic,
        "ks_dimension_mean": sum(ks) / len(ks),
        "ks_dimension_max": max(ks),
        "spectrum": [torch.linalg.eigvalsh(z.double().T.cov()).flip(0).tolist()],
        "judge": judge_digest(job.input("judge")),
    }
    write_table(job.output("out-quality"), arrow_table("autoencoder_quality", columns), job.stamp)
    label, confidence = judge_labels(judge, decoded[: spec.stored])
    columns = {
        "autoencoder": spec.name,
        "seed": spec.seed,
        "index": list(range(len(label))),
        "label": label,
        "confidence": confidence,
        "image": decoded[: spec.stored].numpy(),
    }
    write_table(job.output("out-decoded"), arrow_table("decoded", columns), job.stamp)
    first = slice(0, spec.stored)
    columns = {
        "autoencoder": spec.name,
        "seed": spec.seed,
        "index": list(range(len(labels)))[first],
        "label": labels[first].numpy(),
        "judged": judged[first],
        "judged_real": of_images.argmax(1)[first].numpy(),
        "mse": errors[first].numpy(),
        **{name: values[first].numpy() for name, values in baseline_errors.items()},
        "z": z[first].numpy(),
        "image": images[first].numpy(),
        "reconstruction": reconstructions[first].numpy(),
        **{name: values[first].numpy() for name, values in baselines.items()},
    }
    write_table(job.output("out-reconstructions"), arrow_table("reconstructions", columns), job.stamp)
