"""Compute one row of a transfer matrix: the error of each target on one set of examples."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from advgen import seeds
from advgen.attacks.common import measure_perturbations, quantize
from advgen.experiments.transfers.experiment import Transfer
from advgen.io.checkpoints import load_model
from advgen.io.tables import arrow_table, read_images, read_table, write_table
from advgen.jobs.job import Job
from advgen.metrics.intervals import wilson
from advgen.models.predict import predict


def run(job: Job[Transfer]) -> None:
    """Test each target on adversarial examples, their clean images, and random noise of the same norm."""
    spec = job.spec
    table = read_table(job.input("examples"), "examples")
    facts = table.select(["source", "source_seed", "attack", "norm", "eps"]).slice(0, 1).to_pylist()[0]
    facts |= {"study": spec.study, "amplified": spec.rms is not None}
    columns = {name: table.column(name).to_numpy() for name in ("index", "label", "gradient_calls", "forward_calls")}
    labels, indices = columns["label"], columns["index"].tolist()
    columns["forward_calls"] = columns["forward_calls"] + 1  # the prediction of the target
    clean, adversarial = (torch.from_numpy(read_images(table, column).copy()) for column in ("image", "adversarial"))
    if spec.rms is not None:
        adversarial = scale_to_rms(clean, adversarial, spec.rms)
    control = shuffle_perturbation(clean, adversarial, facts["source_seed"], indices)
    if is_in_box(adversarial):
        control = control.clamp(0, 1)
    of_source = {name: table.column(name).to_numpy() for name in ("predicted_clean", "predicted")}
    sizes = {name: size.numpy() for name, size in measure_perturbations(adversarial, clean).items()}
    rms = average_over_fooled(sizes["rms"], of_source, labels)
    rows, predictions = [], []
    for name, seed, path in zip(spec.targets, spec.seeds, job.inputs["targets"], strict=True):
        predictions.append(predict_variants(load_model(path).to(job.device), clean, adversarial, control))
        errors = measure_errors(predictions[-1], labels)
        rows.append({**facts, "rms": rms, "target": name, "target_seed": seed, **errors})
    row_columns = {column: [row[column] for row in rows] for column in rows[0]}
    write_table(job.output("out-row"), arrow_table("transfer", row_columns), job.stamp)
    examples = {
        **facts,
        "tested_on": table.column("tested_on")[0].as_py(),
        "target": np.repeat(spec.targets, len(labels)),
        "target_seed": np.repeat(spec.seeds, len(labels)),
        **{name: np.tile(values, len(rows)) for name, values in {**sizes, **columns}.items()},
        **{name: np.concatenate([of_target[name] for of_target in predictions]) for name in predictions[0]},
    }
    write_table(job.output("out-examples"), arrow_table("transferred", examples), job.stamp)


def predict_variants(
    model: nn.Module, clean: torch.Tensor, adversarial: torch.Tensor, control: torch.Tensor
) -> dict[str, NDArray[Any]]:
    """Return the predictions of a target for clean, adversarial, rounded and control images, and the confidence."""
    rounded = quantize(adversarial).clamp(0, 1)
    images = {"predicted_clean": clean, "predicted": adversarial, "predicted_rounded": rounded}
    outputs = {column: predict(model, x) for column, x in {**images, "predicted_unaimed": control}.items()}
    predictions = {column: predicted.numpy() for column, (predicted, _) in outputs.items()}
    return {**predictions, "confidence": outputs["predicted"][1].softmax(1).amax(1).numpy()}


def measure_errors(predictions: dict[str, NDArray[Any]], labels: NDArray[Any]) -> dict[str, Any]:
    """Return the error of a target on adversarial images with its interval, on rounded, control and clean images."""
    wrong = int((predictions["predicted"] != labels).sum())
    low, high = wilson(wrong, len(labels))
    return {
        "n": len(labels),
        "error": wrong / len(labels),
        "error_low": low,
        "error_high": high,
        "error_rounded": float((predictions["predicted_rounded"] != labels).mean()),
        "error_unaimed": float((predictions["predicted_unaimed"] != labels).mean()),
        "clean_error": float((predictions["predicted_clean"] != labels).mean()),
    }


def average_over_fooled(size: NDArray[Any], predictions: dict[str, NDArray[Any]], labels: NDArray[Any]) -> float | None:
    """Return the mean size of perturbations that fooled their source, by its predictions; None without any."""
    fooled = (predictions["predicted_clean"] == labels) & (predictions["predicted"] != labels)
    return float(size[fooled].mean()) if fooled.any() else None


def shuffle_perturbation(clean: torch.Tensor, adversarial: torch.Tensor, seed: int, indices: list[int]) -> torch.Tensor:
    """Return random noise of the same norms: each perturbation with its pixels shuffled, by the index of its image."""
    change = (adversarial - clean).flatten(2)
    order = seeds.uniform(seed, "shuffled", indices, change.shape[2]).argsort(1).to(change.device)
    return clean + change.gather(2, order[:, None].expand_as(change)).view_as(clean)


def is_in_box(images: torch.Tensor) -> bool:
    """Whether all pixels are in [0, 1]; amplified examples and unclipped noise may leave it."""
    return bool(images.min() >= 0 and images.max() <= 1)


def scale_to_rms(clean: torch.Tensor, adversarial: torch.Tensor, rms: float) -> torch.Tensor:
    """Scale each perturbation to an RMS [szegedy2014intriguing]; as in the paper, pixels may leave [0, 1].

    The paper's formula, r · rms / ‖r‖₂, gives an RMS that is smaller by the square root of the number of pixels.
    """
    change = adversarial - clean
    scale = rms / change.double().square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
    return clean + change * scale.to(change.dtype)
