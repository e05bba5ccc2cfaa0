"""One row of a transfer matrix: every target on one set of examples."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from advgen.attacks.common import rounded
from advgen.attacks.run import distances
from advgen.experiments.transfers.experiment import Transfer
from advgen.io.checkpoints import load_model
from advgen.io.jobs import Job
from advgen.io.tables import arrow_table, read_images, read_table, write_table
from advgen.metrics.intervals import wilson
from advgen.models.predict import predict


def run(job: Job[Transfer]) -> None:
    """Show each target the adversarial examples and the clean images behind them."""
    spec = job.spec
    table = read_table(job.input("examples"), "examples")
    facts = table.select(["source", "source_seed", "attack", "norm", "eps"]).slice(0, 1).to_pylist()[0]
    facts |= {"study": spec.study, "amplified": spec.rms is not None}
    labels = table.column("label").to_numpy()
    clean, adversarial = (torch.from_numpy(read_images(table, column).copy()) for column in ("image", "adversarial"))
    if spec.rms is not None:
        adversarial = amplified(clean, adversarial, spec.rms)
    sizes = {name: size.numpy() for name, size in distances(adversarial, clean).items()}
    rows, answered = [], []
    for name, seed, path in zip(spec.targets, spec.seeds, job.inputs["targets"], strict=True):
        answered.append(answers(load_model(path).to(job.device), clean, adversarial))
        counted = cell(answered[-1], labels)
        rows.append({**facts, "rms": sizes["rms"].mean(), "target": name, "target_seed": seed, **counted})
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


def answers(model: nn.Module, clean: torch.Tensor, adversarial: torch.Tensor) -> dict[str, NDArray[Any]]:
    """What a target says of clean and adversarial images (N, C, H, W), of the latter as uint8 too, and how surely."""
    shown = {"predicted_clean": clean, "predicted": adversarial, "predicted_rounded": rounded(adversarial).clamp(0, 1)}
    told = {column: predict(model, images) for column, images in shown.items()}
    answer = {column: predicted.numpy() for column, (predicted, _) in told.items()}
    return {**answer, "confidence": told["predicted"][1].softmax(1).amax(1).numpy()}


def cell(answer: dict[str, NDArray[Any]], labels: NDArray[Any]) -> dict[str, Any]:
    """A target's error on adversarial images with its interval, in 256 grey levels, and on the clean ones."""
    wrong = int((answer["predicted"] != labels).sum())
    low, high = wilson(wrong, len(labels))
    return {
        "n": len(labels),
        "error": wrong / len(labels),
        "error_low": low,
        "error_high": high,
        "error_rounded": float((answer["predicted_rounded"] != labels).mean()),
        "clean_error": float((answer["predicted_clean"] != labels).mean()),
    }


def amplified(clean: torch.Tensor, adversarial: torch.Tensor, rms: float) -> torch.Tensor:
    """Each perturbation scaled to an RMS, as szegedy2014intriguing; the images may leave the box, as theirs did.

    The paper's formula, r · rms / ‖r‖₂, would give an RMS smaller by the square root of the number of pixels.
    """
    change = adversarial - clean
    scale = rms / change.double().square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
    return clean + change * scale.to(change.dtype)
