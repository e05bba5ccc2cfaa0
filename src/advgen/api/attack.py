"""Adversarial images of one attack, and how they transfer between models."""

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
from advgen.attacks.run import Measurements, craft
from advgen.core.deprecated import warn_renamed
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

    Attacks that search for the smallest change often end so close to the decision boundary that saving their images
    with 8 bits per channel undoes them. A warning says how many; rounded=True returns images that fool after rounding.

    The model stays unchanged, and runs on the device of its weights. The result depends on the arguments only, not on
    the global random state. Progress is printed to stderr every five seconds.

    Args:
        model: images (B, C, H, W) to logits (B, K), a torch.nn.Module or the path of a file (`docs/api.md`).
        images: (N, C, H, W), (N, H, W, C) or (N, H, W): uint8, or floats in `bounds`.
        labels: (N,) integers, starting at 0.
        attack: a kind of the registry, such as "pgd", "apgd" or "ensemble"; `config/README.md` lists them.
        seed: of random starts and targets.
        bounds: lowest and highest pixel value of the images and of the model's inputs.
        mean: subtracted from the pixels before the model sees them, one number or one per channel.
        std: divides the pixels afterwards, one number or one per channel.
        keys: of the attack, as in a study: eps, norm, steps, target, …. Lengths are on the scale on which pixels are
            0 to 1, whatever `bounds` is: 8 of 255 grey levels are eps=8 / 255.

    Raises:
        ValueError: a key, the model, an image or a label is not suitable; the message is one line.
    """
    spec, inputs = attack_spec(attack, keys), prepare_inputs(model, images, labels, bounds, mean, std)
    check_attack_fits(spec, inputs)
    low, high = bounds
    return low + (high - low) * _craft(inputs, spec, seed, attack)


def _craft(inputs: PreparedInputs, spec: AttackSpec, seed: int, label: str) -> Tensor:
    """Adversarial images (N, C, H, W) in [0, 1]."""
    function, progress = registry.resolve(spec), Progress(label, stream=sys.stderr)
    keys: dict[str, Any] = {"seed": seed, "indices": inputs.indices, "progress": progress}
    crafted = craft(function, inputs.model, inputs.images, inputs.labels, spec, **keys)
    if isinstance(spec, MinimumNormAttack) and not spec.rounded:
        _warn_of_rounding(crafted.measurements, inputs.labels.numpy())
    return torch.from_numpy(crafted.attack.x_adv)


def _warn_of_rounding(found: Measurements, labels_N: np.ndarray[Any, Any]) -> None:
    """Warn if adversarial images stop fooling the model when they are saved as 8-bit images."""
    exact_N, rounded_N = (
        predicted_N != labels_N if found.target_label is None else predicted_N == found.target_label
        for predicted_N in (found.predicted, found.predicted_rounded)
    )
    if undone := int((exact_N & ~rounded_N).sum()):
        warnings.warn(
            f"{undone} of {exact_N.sum()} adversarial images no longer fool the model when they are saved with 8 bits "
            "per channel (256 grey levels); pass rounded=True for images that do",
            stacklevel=4,
        )


@dataclass(frozen=True)
class Transfer:
    """The errors of target models on adversarial examples crafted against source models.

    `table` has one row per pair: source, target, n, error, error_low, error_high (Wilson, 95 %), error_unaimed (under
    noise of the same norms), clean_error, and rms, the mean size of the changes that fooled the source.
    """

    table: pd.DataFrame

    @property
    def error(self) -> pd.DataFrame:
        """The error of each target as a share, sources by targets."""
        return self._matrix("error")

    @property
    def low(self) -> pd.DataFrame:
        """The lower ends of the intervals, sources by targets."""
        return self._matrix("error_low")

    @property
    def high(self) -> pd.DataFrame:
        """The upper ends of the intervals, sources by targets."""
        return self._matrix("error_high")

    def _matrix(self, column: str) -> pd.DataFrame:
        rows, columns = (list(dict.fromkeys(self.table[name])) for name in ("source", "target"))
        return self.table.pivot(index="source", columns="target", values=column).loc[rows, columns]

    def format(self) -> pd.DataFrame:
        """The matrix as text: the error in percent with its interval."""
        ends = zip(self.table["error"], self.table["error_low"], self.table["error_high"], strict=True)
        cells = [f"{100 * error:.1f} [{100 * low:.1f}, {100 * high:.1f}]" for error, low, high in ends]
        return Transfer(self.table.assign(error=cells)).error

    def shown(self) -> pd.DataFrame:
        """Deprecated name of `format`."""
        warn_renamed("Transfer.shown", "format")
        return self.format()

    def __repr__(self) -> str:
        return f"Errors in % on {self.table['n'].iloc[0]:,} images; rows: source model\n{self.format()}"

    def _repr_html_(self) -> str:
        return str(self.format().to_html())


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
    """Craft adversarial examples against each model, and measure the errors of all models on them.

    Args:
        models: two or more by name, or in a list, in which case their positions are their names. All other arguments
            are those of `attack`, and hold for all models.

    Raises:
        ValueError: as in `attack`; or there are fewer than two models.
    """
    if not isinstance(models, Mapping | Sequence) or isinstance(models, str):
        raise ValueError(f"models is of type {type(models).__name__}; pass two or more models in a list or by name")
    named = dict(models) if isinstance(models, Mapping) else {str(number): one for number, one in enumerate(models)}
    if len(named) < 2:
        raise ValueError(f"transfer needs at least two models and got {len(named)}; for one model call attack")
    spec = attack_spec(attack, keys)
    prepared = {name: prepare_inputs(model, images, labels, bounds, mean, std) for name, model in named.items()}
    rows = []
    for source, inputs in prepared.items():
        check_attack_fits(spec, inputs)
        crafted = _craft(inputs, spec, seed, f"{attack} on {source}")
        labels_N, rms_N = inputs.labels.numpy(), measure_perturbations(crafted, inputs.images)["rms"].numpy()
        control = shuffle_perturbation(inputs.images, crafted, seed, inputs.indices)
        control = control.clamp(0, 1) if spec.stays_in_box() else control
        predictions = {
            target: predict_variants(other.model, inputs.images, crafted, control) for target, other in prepared.items()
        }
        shared = {"source": source, "rms": average_over_fooled(rms_N, predictions[source], labels_N)}
        rows += [{**shared, "target": target, **measure_errors(one, labels_N)} for target, one in predictions.items()]
    return Transfer(pd.DataFrame(rows))
