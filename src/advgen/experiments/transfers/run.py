"""One row of a transfer matrix: every target on one set of examples."""

from typing import Any

import torch
from torch import nn

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
    labels = table.column("label").to_numpy()
    clean, adversarial = (torch.from_numpy(read_images(table, column).copy()) for column in ("image", "adversarial"))
    if spec.rms is not None:
        adversarial = amplified(clean, adversarial, spec.rms)
    facts |= {"study": spec.study, "amplified": spec.rms is not None}
    rows = []
    for name, seed, path in zip(spec.targets, spec.seeds, job.inputs["targets"], strict=True):
        model = load_model(path).to(job.device)
        rows.append({**facts, "target": name, "target_seed": seed, **cell(model, clean, adversarial, labels)})
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    write_table(job.output(), arrow_table("transfer", columns), job.stamp)


def cell(model: nn.Module, clean: torch.Tensor, adversarial: torch.Tensor, labels: Any) -> dict[str, Any]:
    """A target's error on adversarial images (N, C, H, W) with its interval, on the clean ones, and their distance."""
    wrong = int((predict(model, adversarial)[0].numpy() != labels).sum())
    low, high = wilson(wrong, len(labels))
    rms = (adversarial - clean).double().square().flatten(1).mean(1).sqrt()
    return {
        "rms": rms.mean().item(),
        "n": len(labels),
        "error": wrong / len(labels),
        "error_low": low,
        "error_high": high,
        "clean_error": float((predict(model, clean)[0].numpy() != labels).mean()),
    }


def amplified(clean: torch.Tensor, adversarial: torch.Tensor, rms: float) -> torch.Tensor:
    """Each perturbation scaled to an RMS, as szegedy2014intriguing; the images may leave the box, as theirs did.

    The paper's formula, r · rms / ‖r‖₂, would give an RMS smaller by the square root of the number of pixels.
    """
    change = adversarial - clean
    scale = rms / change.double().square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
    return clean + change * scale.to(change.dtype)
