"""Adversarial images of one attack, and how they transfer."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from advgen import registry
from advgen.api.inputs import Bounds, Model, PreparedInputs, attack_spec, check_attack_fits, prepare_inputs
from advgen.attacks.common import measure_perturbations
from advgen.attacks.run import CraftedExamples, craft
from advgen.experiments.transfers.run import average_over_fooled, measure_errors, predict_variants, shuffle_perturbation
from advgen.jobs.progress import Progress
from advgen.models.custom import Channels
from advgen.specs.attacks import AttackSpec, MinimumNormAttack


def attack(
    model: Model,
    images: Any,
    labels: Any,
    attack: str,
    /,
    *,
    seed: int = 0,
    bounds: Bounds = (0, 1),
    mean: Channels = None,
    std: Channels = None,
    **keys: Any,
) -> Tensor:
    """Adversarial images of one attack, (N, C, H, W) as float32 in `bounds`, on the CPU.

    An attack that seeks the smallest change often ends so near the decision boundary that saving its images with 8 bits
    per channel undoes them. A warning says how many; rounded=True gives images that fool after rounding.

    The model is left as it was, and computes where its weights lie. The same call gives the same images, whatever else
    drew random numbers before. A line on stderr tells the progress every five seconds.

    Args:
        model: images (B, C, H, W) to logits (B, K), a torch.nn.Module or the path of a file (`docs/api.md`).
        images: (N, C, H, W), (N, H, W, C) or (N, H, W): uint8, or floats in `bounds`.
        labels: (N,) integers from 0 on.
        attack: a kind of the registry, such as "pgd", "apgd" or "ensemble"; `config/README.md` lists them.
        seed: of random starts and targets.
        bounds: lowest and highest pixel that the images have and the model takes.
        mean: subtracted from the pixels before the model sees them, a number or one for each channel.
        std: the pixels are divided by it then, likewise.
        keys: the attack's own, as in a study: eps, norm, steps, target, …. Lengths are on the scale on which pixels
            are from 0 to 1, whatever `bounds` is: 8 of 255 grey levels are eps=8 / 255.

    Raises:
        ValueError: a key, the model, an image or a label is none that the attack can work on; one line says which.
    """
    spec, what = attack_spec(attack, keys), prepare_inputs(model, images, labels, bounds, mean, std)
    check_attack_fits(spec, what)
    low, high = bounds
    return low + (high - low) * adversarial(what, spec, seed, attack)


def adversarial(what: PreparedInputs, spec: AttackSpec, seed: int, label: str) -> Tensor:
    """Adversarial images (N, C, H, W) in [0, 1]."""
    attack, told = registry.resolve(spec), Progress(label, stream=sys.stderr)
    found = craft(attack, what.model, what.images, what.labels, spec, seed=seed, indices=what.indices, progress=told)
    _warn_of_rounding(spec, found, np.asarray(what.labels))
    return torch.from_numpy(found.attack.x_adv)


def _warn_of_rounding(spec: AttackSpec, found: CraftedExamples, labels_N: np.ndarray[Any, Any]) -> None:
    """Warn if images of the smallest changes stop fooling when they are saved as 8-bit images."""
    if not isinstance(spec, MinimumNormAttack) or spec.rounded:
        return
    target_N = found.measurements.target_label
    exact_N, rounded_N = (
        predicted_N != labels_N if target_N is None else predicted_N == target_N
        for predicted_N in (found.measurements.predicted, found.measurements.predicted_rounded)
    )
    if undone := int((exact_N & ~rounded_N).sum()):
        warnings.warn(
            f"{undone} of {exact_N.sum()} adversarial images no longer fool the model when they are saved with 8 bits "
            "per channel (256 grey levels); give rounded=True for images that do",
            stacklevel=4,
        )


@dataclass(frozen=True)
class Transfer:
    """How often the examples crafted on each source fool each target.

    `table` has a row per pair: source, target, n, error, error_low, error_high (Wilson, 95 %), error_unaimed (under
    noise of the same norms), clean_error, and rms, the mean of the changes that fooled the source.
    """

    table: pd.DataFrame

    @property
    def error(self) -> pd.DataFrame:
        """Share of the examples that each target gets wrong, sources by targets."""
        return self._matrix("error")

    @property
    def low(self) -> pd.DataFrame:
        """Lower ends of the intervals, sources by targets."""
        return self._matrix("error_low")

    @property
    def high(self) -> pd.DataFrame:
        """Upper ends of the intervals, sources by targets."""
        return self._matrix("error_high")

    def _matrix(self, column: str) -> pd.DataFrame:
        rows, columns = (list(dict.fromkeys(self.table[name])) for name in ("source", "target"))
        return self.table.pivot(index="source", columns="target", values=column).loc[rows, columns]

    def shown(self) -> pd.DataFrame:
        """The matrix as words: error in percent with its interval."""
        ends = zip(self.table["error"], self.table["error_low"], self.table["error_high"], strict=True)
        cells = [f"{100 * error:.1f} [{100 * low:.1f}, {100 * high:.1f}]" for error, low, high in ends]
        return Transfer(self.table.assign(error=cells)).error

    def __repr__(self) -> str:
        return f"Errors in % on {self.table['n'].iloc[0]:,} images, crafted on the row's model\n{self.shown()}"

    def _repr_html_(self) -> str:
        return str(self.shown().to_html())


def transfer(
    models: Mapping[str, Model] | Sequence[Model],
    images: Any,
    labels: Any,
    attack: str,
    *,
    seed: int = 0,
    bounds: Bounds = (0, 1),
    mean: Channels = None,
    std: Channels = None,
    **keys: Any,
) -> Transfer:
    """The examples crafted on each model, shown to all of them: a matrix of errors with intervals.

    Args:
        models: two or more by name, or in a list, where their numbers are their names.
        images: as for `attack`, and so are all others.
        labels: (N,) integers from 0 on.
        attack: a kind of the registry.
        seed: of random starts and targets.
        bounds: lowest and highest pixel.
        mean: what all models have subtracted from the pixels.
        std: what the pixels are divided by then.
        keys: the attack's own.

    Raises:
        ValueError: as `attack`; or there are fewer than two models.
    """
    if not isinstance(models, Mapping | Sequence) or isinstance(models, str):
        raise ValueError(f"the models are of type {type(models).__name__}; give two or more in a list, or by name")
    named = dict(models) if isinstance(models, Mapping) else {str(number): one for number, one in enumerate(models)}
    if len(named) < 2:
        raise ValueError(f"a transfer needs two models, and there are {len(named)}; attack does with one")
    spec = attack_spec(attack, keys)
    ready = {name: prepare_inputs(model, images, labels, bounds, mean, std) for name, model in named.items()}
    rows = []
    for source, what in ready.items():
        check_attack_fits(spec, what)
        crafted = adversarial(what, spec, seed, f"{attack} on {source}")
        labels_N, rms_N = np.asarray(what.labels), measure_perturbations(crafted, what.images)["rms"].numpy()
        control = shuffle_perturbation(what.images, crafted, seed, list(range(len(labels_N))))
        control = control.clamp(0, 1) if spec.stays_in_box() else control
        said = {target: predict_variants(other.model, what.images, crafted, control) for target, other in ready.items()}
        same = {"source": source, "rms": average_over_fooled(rms_N, said[source], labels_N)}
        rows += [{**same, "target": target, **measure_errors(answer, labels_N)} for target, answer in said.items()]
    return Transfer(pd.DataFrame(rows))
