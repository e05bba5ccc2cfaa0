"""One row of a transfer matrix: every target on one set of examples."""

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
    """Show each target the adversarial examples, the clean images behind them, and noise of the same norms."""
    spec = job.spec
    table = read_table(job.input("examples"), "examples")
    facts = table.select(["source", "source_seed", "attack", "norm", "eps"]).slice(0, 1).to_pylist()[0]
    facts |= {"study": spec.study, "amplified": spec.rms is not None}
    labels = table.column("label").to_numpy()
    clean, adversarial = (torch.from_numpy(read_images(table, column).copy()) for column in ("image", "adversarial"))
    control_seed, indices = facts["source_seed"], table.column("index").to_pylist()
    if spec.rms is not None:
        adversarial = scale_to_rms(clean, adversarial, spec.rms)
    control = shuffle_perturbation(clean, adversarial, control_seed, indices)
    if is_in_box(adversarial):
        control = control.clamp(0, 1)
    own = {name: table.column(name).to_numpy() for name in ("predicted_clean", "predicted")}
    sizes = {name: size.numpy() for name, size in measure_perturbations(adversarial, clean).items()}
    rows, answered = [], []
    for name, seed, path in zip(spec.targets, spec.seeds, job.inputs["targets"], strict=True):
        answered.append(predict_variants(load_model(path).to(job.device), clean, adversarial, control))
        counted = measure_errors(answered[-1], labels)
        size = average_over_fooled(sizes["rms"], own, labels)
        rows.append({**facts, "rms": size, "target": name, "target_seed": seed, **counted})
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    write_table(job.output("out-row"), arrow_table("transfer", columns), job.stamp)
    of_examples = {
        **sizes,
        **{name: table.column(name).to_numpy() for name in ("index", "label", "gradient_calls")},
        "forward_calls": table.column("forward_calls").to_numpy() + 1,  # its target's answer
    }
    examples = {
        **facts,
        "tested_on": table.column("tested_on")[0].as_py(),
        "target": np.repeat(spec.targets, len(labels)),
        "target_seed": np.repeat(spec.seeds, len(labels)),
        **{name: np.tile(values, len(rows)) for name, values in of_examples.items()},
        **{name: np.concatenate([answer[name] for answer in answered]) for name in answered[0]},
    }
    write_table(job.output("out-examples"), arrow_table("transferred", examples), job.stamp)


def predict_variants(
    model: nn.Module, clean: torch.Tensor, adversarial: torch.Tensor, control: torch.Tensor
) -> dict[str, NDArray[Any]]:
    """What a target says of images (N, C, H, W): clean, adversarial and how surely, these as uint8, and a control."""
    shown = {"predicted_clean": clean, "predicted": adversarial, "predicted_rounded": quantize(adversarial).clamp(0, 1)}
    shown["predicted_unaimed"] = control
    told = {column: predict(model, images) for column, images in shown.items()}
    answer = {column: predicted.numpy() for column, (predicted, _) in told.items()}
    return {**answer, "confidence": told["predicted"][1].softmax(1).amax(1).numpy()}


def measure_errors(answer: dict[str, NDArray[Any]], labels: NDArray[Any]) -> dict[str, Any]:
    """A target's error on adversarial images with its interval, in 256 grey levels, on the control and when clean."""
    wrong = int((answer["predicted"] != labels).sum())
    low, high = wilson(wrong, len(labels))
    return {
        "n": len(labels),
        "error": wrong / len(labels),
        "error_low": low,
        "error_high": high,
        "error_rounded": float((answer["predicted_rounded"] != labels).mean()),
        "error_unaimed": float((answer["predicted_unaimed"] != labels).mean()),
        "clean_error": float((answer["predicted_clean"] != labels).mean()),
    }


def average_over_fooled(size: NDArray[Any], own: dict[str, NDArray[Any]], labels: NDArray[Any]) -> float | None:
    """Mean over the images that fooled the net they were crafted on, by its answers; none if none did."""
    fooled = (own["predicted_clean"] == labels) & (own["predicted"] != labels)
    return float(size[fooled].mean()) if fooled.any() else None


def shuffle_perturbation(clean: torch.Tensor, adversarial: torch.Tensor, seed: int, indices: list[int]) -> torch.Tensor:
    """Noise of the same norms: each image with its own change at other pixels, in an order drawn for its index."""
    change = (adversarial - clean).flatten(2)
    order = seeds.uniform(seed, "shuffled", indices, change.shape[2]).argsort(1).to(change.device)
    return clean + change.gather(2, order[:, None].expand_as(change)).view_as(clean)


def is_in_box(images: torch.Tensor) -> bool:
    """Whether no pixel leaves [0, 1], as those of amplified examples and of unclipped noise do."""
    return bool(images.min() >= 0 and images.max() <= 1)


def scale_to_rms(clean: torch.Tensor, adversarial: torch.Tensor, rms: float) -> torch.Tensor:
    """Each perturbation scaled to an RMS, as szegedy2014intriguing; the images may leave the box, as theirs did.

    The paper's formula, r · rms / ‖r‖₂, would give an RMS smaller by the square root of the number of pixels.
    """
    change = adversarial - clean
    scale = rms / change.double().square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
    return clean + change * scale.to(change.dtype)
