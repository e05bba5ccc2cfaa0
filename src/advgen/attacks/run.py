"""Crafting of adversarial examples in three steps: run the attack, measure its result, predict on its controls."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from advgen.attacks.checks import assert_within_threat_model, check_inputs, compute_clean_logits, logits_differ
from advgen.attacks.common import Goal, Loss, frozen, input_gradient, measure_perturbations, quantize, resolve_goal
from advgen.attacks.controls import make_controls
from advgen.models.graphs import uses_cuda_graphs
from advgen.models.predict import device_of, predict, scale_batch_size, to_unit_range
from advgen.specs.attacks import AttackSpec

Array = np.ndarray[Any, Any]
ROWS = 250  # images attacked in one batch on the CPU


@dataclass(frozen=True)
class AttackResult:
    """The adversarial examples of N images, and what they cost."""

    x_adv: Array
    """(N, C, H, W) float32."""
    found_by: list[str | None] | None
    """The member of an ensemble that found each example; None without members."""
    forward_calls: float
    """Images per example that went forward through the model."""
    gradient_calls: float
    """Gradients per example. Both counts are means: an attack does not report which rows it has finished."""


@dataclass(frozen=True)
class Measurements:
    """Properties of N adversarial examples, (N,) each."""

    target_label: Array | None
    """None without targets."""
    predicted_clean: Array
    predicted: Array
    predicted_rounded: Array
    """After rounding to 256 grey levels."""
    confidence: Array
    """Probability of `predicted`."""
    linf: Array
    l2: Array
    l0: Array
    """Number of changed pixels."""
    rms: Array
    """Root mean square of the change; like the norms, on the [0, 1] scale."""
    zero_gradient: Array
    """Whether the gradient of the loss at the clean image is 0: of the cross-entropy if the attack uses it, else of the
    margin."""
    unstable: Array
    """Whether the logits of the clean image differ in another batch."""


@dataclass(frozen=True)
class CraftedExamples:
    """All results of `craft`."""

    attack: AttackResult
    measurements: Measurements
    predicted_unaimed: Array
    """Prediction on the control (N,); with several controls, on the first that fools the model."""

    def columns(self) -> dict[str, Any]:
        """The results as columns of the table `examples`."""
        attack = dict(vars(self.attack))
        adversarial = attack.pop("x_adv")
        controls = {"predicted_unaimed": self.predicted_unaimed}
        return {"adversarial": adversarial, **vars(self.measurements), **controls, **attack}


def craft(
    attack: Callable[..., Any],
    model: nn.Module,
    images_NCHW: Tensor,
    labels_N: Tensor,
    spec: AttackSpec,
    *,
    seed: int,
    indices: list[int],
    others: tuple[Tensor, Tensor] | None = None,
    batch: int | None = None,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
) -> CraftedExamples:
    """Attack images and measure the result.

    Args:
        attack: the attack function of `spec`.
        model: images to logits (B, K).
        images_NCHW: uint8, or float in [0, 1].
        labels_N: integers.
        spec: the attack's settings.
        seed: of random starts and targets.
        indices: the position of each image in its data set, which determines its random numbers.
        others: images and labels for an attack that first learns from images; by default, the attacked images.
        batch: images attacked in one batch; by default, as many as the device can hold.
        progress: called after each batch with the number of finished images, the number of all, and {}.

    Raises:
        ValueError: the images, the labels or the model's outputs are not suitable.
    """
    check_inputs(model, images_NCHW, labels_N, indices)
    device, x_NCHW = device_of(model), to_unit_range(images_NCHW).cpu()
    task = CraftTask(model, x_NCHW, labels_N, spec, seed, indices, batch or scale_batch_size(ROWS, device))
    clean_NK = compute_clean_logits(model, x_NCHW, labels_N, task.batch)
    result = run_attack(task, attack, (images_NCHW, labels_N) if others is None else others, progress)
    x_adv_NCHW = torch.from_numpy(result.x_adv)
    return CraftedExamples(result, measure(task, x_adv_NCHW, clean_NK), predict_controls(task, x_adv_NCHW))


@dataclass(frozen=True)
class CraftTask:
    """What all steps need; the images are floats on the CPU."""

    model: nn.Module
    x_NCHW: Tensor
    labels_N: Tensor
    spec: AttackSpec
    seed: int
    indices: list[int]
    batch: int

    def batches(self) -> Iterator[tuple[Tensor, Tensor, dict[str, Any]]]:
        """Images and labels on the model's device, with the seed and the indices of these images."""
        device = device_of(self.model)
        for start in range(0, len(self.x_NCHW), self.batch):
            rows = slice(start, start + self.batch)
            keys = {"seed": self.seed, "indices": self.indices[rows]}
            yield self.x_NCHW[rows].to(device), self.labels_N[rows].to(device), keys


def run_attack(
    task: CraftTask,
    attack: Callable[..., Any],
    others: tuple[Tensor, Tensor],
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
) -> AttackResult:
    """Run an attack in batches, count its model calls, and assert that it respects its threat model."""
    model, spec, n = task.model, task.spec, len(task.x_NCHW)
    device, calls = device_of(model), CallCounts()
    if uses_cuda_graphs(device):
        calls = CallCounts(*torch.zeros(2, dtype=torch.long, device=device).unbind())
    names: list[str | None] = [*spec.members(), None]  # -1 means that no member found an example
    found_by: list[str | None] = []
    options: dict[str, Any] = {}
    if spec.members():
        options["note"] = lambda member_B: found_by.extend(names[member] for member in member_B.tolist())
    if spec.others():
        with count_calls(model, calls):
            attack = attack(model, to_unit_range(others[0]).to(device), others[1].to(device), spec, seed=task.seed)
    parts: list[Tensor] = []
    for x_BCHW, y_B, keys in task.batches():
        with count_calls(model, calls):
            x_adv_BCHW = attack(model, x_BCHW, y_B, spec, **keys, **options)
        assert_within_threat_model(attack, x_adv_BCHW, x_BCHW, spec, **keys)
        parts.append(x_adv_BCHW.cpu())
        if progress is not None:
            progress(sum(map(len, parts)), n, {})
    forward, gradient = float(calls.forward) / n, float(calls.gradient) / n
    return AttackResult(torch.cat(parts).numpy(), found_by or None, forward, gradient)


def measure(task: CraftTask, x_adv_NCHW: Tensor, clean_NK: Tensor) -> Measurements:
    """Measure adversarial examples; `clean_NK` are the logits of the clean images in other batches."""
    model, spec = task.model, task.spec
    # the cross-entropy of other attacks could saturate; the margin does not
    loss: Loss = "cross_entropy" if "cross_entropy" in spec.threat().loss else "margin"
    targets, zero_gradients, logits = [], [], []
    for x_BCHW, y_B, keys in task.batches():
        with frozen(model), torch.no_grad():
            goal = resolve_goal(model, x_BCHW, y_B, spec, **keys)
            gradient_BCHW, logits_BK = input_gradient(model, x_BCHW, partial(Goal(y_B).loss, loss))
        if goal.target_B is not None:
            targets.append(goal.target_B.cpu())
        zero_gradients.append((gradient_BCHW == 0).flatten(1).all(1).cpu())
        logits.append(logits_BK.cpu())
    predicted_N, logits_NK = predict(model, x_adv_NCHW, task.batch)
    rounded_N, _ = predict(model, quantize(x_adv_NCHW).clamp(0, 1), task.batch)
    return Measurements(
        target_label=torch.cat(targets).numpy() if targets else None,
        predicted_clean=clean_NK.argmax(1).numpy(),
        predicted=predicted_N.numpy(),
        predicted_rounded=rounded_N.numpy(),
        confidence=logits_NK.softmax(1).amax(1).numpy(),
        **{name: size_N.numpy() for name, size_N in measure_perturbations(x_adv_NCHW, task.x_NCHW).items()},
        zero_gradient=torch.cat(zero_gradients).numpy(),
        unstable=logits_differ(torch.cat(logits), clean_NK).numpy(),
    )


def predict_controls(task: CraftTask, x_adv_NCHW: Tensor) -> Array:
    """Predictions on the controls of adversarial examples; of several controls, the first that fools the model."""
    controls = make_controls(task.x_NCHW, x_adv_NCHW, task.spec, seed=task.seed, indices=task.indices)
    predicted_N, *more = (predict(task.model, control_NCHW, task.batch)[0] for control_NCHW in controls)
    for next_N in more:
        predicted_N = torch.where(predicted_N == task.labels_N.cpu(), next_N, predicted_N)
    return predicted_N.numpy()


@dataclass
class CallCounts:
    """The number of images that went forward through a model, and of gradients that came back.

    Python does not run when a CUDA graph is replayed, so there the counts are tensors on the device.
    """

    forward: int | Tensor = 0
    gradient: int | Tensor = 0


@contextmanager
def count_calls(model: nn.Module, calls: CallCounts) -> Iterator[None]:
    """Count the images and gradients that pass through the model inside the block."""

    def backward(gradient_BK: Tensor) -> None:
        calls.gradient += len(gradient_BK)

    def forward(module: nn.Module, inputs: Any, logits_BK: Tensor) -> None:
        calls.forward += len(logits_BK)
        if logits_BK.requires_grad:
            logits_BK.register_hook(backward)

    hook = model.register_forward_hook(forward)
    try:
        yield
    finally:
        hook.remove()
