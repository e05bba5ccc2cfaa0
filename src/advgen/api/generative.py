"""Generator samples, GAN inversion, inpainting, Fréchet distances, and image columns of tables."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor, nn

from advgen import registry
from advgen.api.inputs import existing_file, to_batch, to_unit_pixels, validate_spec
from advgen.experiments.gans.evaluate import draw_samples
from advgen.inpainting.restore import restore
from advgen.inversion.search import SearchResult
from advgen.inversion.search import search as latent_search
from advgen.io.checkpoints import load_model
from advgen.io.tables import decode_images, read_images, read_table
from advgen.jobs.progress import Progress
from advgen.metrics.distribution import frechet, frechet_null
from advgen.models.generators import Generator
from advgen.models.networks import Network
from advgen.models.predict import features_and_probabilities
from advgen.specs.base import format_shape
from advgen.specs.masks import MaskSpec
from advgen.specs.searches import LatentSearch


def sample(generator: Generator | str | Path, n: int, *, seed: int = 0) -> Tensor:
    """Images (n, C, H, W) as float32 in [0, 1] of latent vectors drawn from N(0, I), on the CPU.

    Args:
        generator: a generator of this package, or its checkpoint.
        n: number of images; the first images are the same for every n.
        seed: of the latent vectors.

    Raises:
        ValueError: n is not a positive integer, or the generator is not one of this package.
    """
    if not isinstance(n, int) or n < 1:
        raise ValueError(f"n = {n!r}: must be a whole number, at least 1")
    return draw_samples(_load_generator(generator), n, seed)[1]


def invert(generator: Generator | str | Path, images: Any, *, seed: int = 0, **keys: Any) -> SearchResult:
    """Find the latent vectors whose images are nearest to the given images, by gradient descent from several starts.

    The result holds, on the CPU and for S starts, `z` (N, S, D), `mse` (N, S), `images` (N, S, C, H, W) and the
    `history` of the loss. Its method `best()` returns the nearest image of each (N, C, H, W).

    Args:
        generator: a generator of this package, or its checkpoint.
        images: (N, C, H, W), uint8 or floats in [0, 1].
        seed: of the starts.
        keys: of the search, as in a study: steps, starts, optimizer, lr.

    Raises:
        ValueError: a key is wrong, the images do not have the generator's shape, or the search diverges.
    """
    net, x_NCHW = _load_generator(generator), to_unit_pixels(images)
    options: dict[str, Any] = {"seed": seed, "indices": list(range(len(x_NCHW)))}
    progress = Progress("invert", stream=sys.stderr)
    return latent_search(net, x_NCHW, validate_spec(LatentSearch, keys, "invert"), **options, progress=progress)


def inpaint(
    generator: Generator | str | Path,
    images: Any,
    mask: Any,
    *,
    method: str = "contextual",
    discriminator: Any = None,
    seed: int = 0,
    **keys: Any,
) -> Tensor:
    """Fill the missing pixels of images with a generator, (N, C, H, W) as float32, on the CPU.

    Args:
        generator: a generator of this package, or its checkpoint.
        images: (N, C, H, W), uint8 or floats in [0, 1]; missing pixels may have any value, including NaN.
        mask: bool (H, W) or (N, H, W), true for known pixels; or the keys of a mask, such as {"kind": "square"}.
        method: "full", "contextual" or "contextual_prior".
        discriminator: images to one logit each, for "contextual_prior"; or its checkpoint.
        seed: of the starts and of the mask.
        keys: of the search, as in a study: steps, starts, optimizer, lr, prior.

    Raises:
        ValueError: a key, the method or the mask is wrong, or the search fails.
    """
    net, any_NCHW = _load_generator(generator), to_batch(images)
    known_NHW = _resolve_mask(mask, any_NCHW, seed)
    x_NCHW = to_unit_pixels(torch.where(known_NHW[:, None], any_NCHW, 0))
    if isinstance(discriminator, str | Path):
        discriminator = load_model(existing_file(discriminator))
    if discriminator is not None and not isinstance(discriminator, nn.Module):
        raise ValueError(
            f"the discriminator is of type {type(discriminator).__name__}; pass a module or the path of its checkpoint"
        )
    spec = validate_spec(LatentSearch, keys, "inpaint")
    options: dict[str, Any] = {"seed": seed, "indices": list(range(len(x_NCHW))), "discriminator": discriminator}
    progress = Progress("inpaint", stream=sys.stderr)
    return restore(net, x_NCHW, known_NHW, method, spec, **options, progress=progress).cpu()


def _resolve_mask(mask: Any, x_NCHW: Tensor, seed: int) -> Tensor:
    """Which pixels are known, (N, H, W)."""
    count, channels, height, width = x_NCHW.shape
    if isinstance(mask, dict):
        kinds = registry.kinds("masks")
        if (kind := mask.get("kind")) not in kinds:
            raise ValueError(f"mask: kind {kind!r} is unknown; use one of {', '.join(kinds)}")
        spec = validate_spec(kinds[kind], mask, "mask")
        assert isinstance(spec, MaskSpec)
        if not 0 < spec.missing((channels, height, width)) < height * width:
            raise ValueError(f"mask: hides nothing or everything of {height}×{width} images; change its keys")
        known: Tensor = registry.resolve(spec)(spec, (channels, height, width), seed=seed, indices=list(range(count)))
        return known
    if not isinstance(mask, Tensor | np.ndarray | list):
        raise ValueError(
            f"mask = {mask!r}: pass bool ({height}, {width}), or the keys of a mask, such as {{'kind': 'square'}}"
        )
    known = torch.as_tensor(mask).cpu()
    if known.dtype != torch.bool or known.shape not in ((height, width), (count, height, width)):
        actual = f"{str(known.dtype).removeprefix('torch.')} of shape {tuple(known.shape)}"
        raise ValueError(f"mask is {actual}; pass bool ({height}, {width}), true for known pixels")
    return known.expand(count, height, width)


def _load_generator(generator: Generator | str | Path) -> Generator:
    loaded = load_model(existing_file(generator)) if isinstance(generator, str | Path) else generator
    if not isinstance(loaded, Generator):
        raise ValueError(
            f"the generator is of type {type(loaded).__name__}; pass a generator of this package or its checkpoint"
        )
    return loaded


@dataclass(frozen=True)
class Distance:
    """A Fréchet distance with its bias at this number of images, and a calibration of the reference classifier.

    The distance is biased upwards, and more strongly for fewer images. `null_mean` and `null_sd` are its mean and
    standard deviation for two samples of one distribution with these sizes. `excess` is the distance minus `null_mean`.
    It is near 0 for samples of one distribution at every size, and slightly too small for different distributions.

    `calibration` has one row per level of image quality: level, n, frechet_distance and more. It is empty if the
    reference classifier comes without one. Compare distances only for the same reference and number of images.
    """

    value: float
    n: tuple[int, int]
    calibration: pd.DataFrame
    null_mean: float
    null_sd: float

    @property
    def excess(self) -> float:
        """The distance minus its bias at this number of images; negative values are due to chance."""
        return self.value - self.null_mean

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        lines = [
            f"Fréchet distance {self.value:.2f} between {self.n[0]:,} and {self.n[1]:,} images",
            f"two samples of one distribution with these sizes: {self.null_mean:.2f} ± {self.null_sd:.2f} (sd)",
            f"excess over that: {self.excess:.2f}",
        ]
        if len(self.calibration):
            lines.append(
                "calibration by the same reference against the whole test split (fewer images, larger distance):"
            )
            for row in self.calibration.sort_values("frechet_distance").itertuples():
                lines.append(f"  {row.frechet_distance:10.2f}  {row.level} (n = {row.n:,})")
        return "\n".join(lines)


def frechet_distance(a: Any, b: Any, *, reference: Network | str | Path) -> Distance:
    """The Fréchet distance between the features of two sets of images, its bias and calibration [heusel2017gans].

    `float()` of the result is the distance, and `.excess` the distance minus its bias at this number of images. The
    bias is estimated from random splits of both sets together.

    Args:
        a: images (N, C, H, W), uint8 or floats in [0, 1].
        b: images (M, C, H, W) to compare them with.
        reference: the reference classifier whose features are compared, or its checkpoint `judge.safetensors`. The
            result includes the calibration of a checkpoint with a `calibration.parquet` in its folder, as in a study.

    Raises:
        ValueError: the reference is not a classifier of this package, or a set has fewer than two images.
    """
    network, levels = reference, pd.DataFrame()
    if isinstance(reference, str | Path):
        network = load_model(existing_file(reference))
        calibration = Path(reference).with_name("calibration.parquet")
        if calibration.is_file():
            levels = read_table(calibration, "calibration").to_pandas()
    if not isinstance(network, Network):
        raise ValueError(
            f"the reference is of type {type(network).__name__}; pass a classifier of this package or its checkpoint"
        )
    sets = [to_unit_pixels(images) for images in (a, b)]
    spec: Any = network.spec
    for x_NCHW in sets:
        channels, height, width = x_NCHW.shape[1:]
        if (channels, height, width) != spec.image:
            actual = format_shape((channels, height, width))
            raise ValueError(f"the reference classifies {format_shape(spec.image)} images, and these are {actual}")
    features_a, features_b = (features_and_probabilities(network, x_NCHW)[0] for x_NCHW in sets)
    sizes = len(sets[0]), len(sets[1])
    return Distance(frechet(features_a, features_b), sizes, levels, *frechet_null(features_a, features_b))


def images(
    table: pa.Table | pd.DataFrame | str | Path, column: str = "image", *, shape: tuple[int, int, int] | None = None
) -> np.ndarray[Any, Any]:
    """An image column of a table of this package, (N, C, H, W), with its dtype: uint8, or float32 in [0, 1].

    Args:
        table: an Arrow table, the path of its Parquet file, or the data frame that pandas read from it.
        column: "image", "adversarial", "reconstruction", "restored", …
        shape: channels, height and width. Needed if pandas or another library has read the table or written it again,
            because they keep the bytes of an image and drop its shape. Ignored if the table has the shape.

    Raises:
        ValueError: the file is damaged, or has no such column (the message lists its columns); the shape is missing or
            does not fit.
    """
    if isinstance(table, pd.DataFrame):
        of_bytes = [name for name in table if len(table) and isinstance(table[name].iloc[0], bytes)]
        rows = pa.Table.from_pandas(table[of_bytes], preserve_index=False)
    else:
        rows = table if isinstance(table, pa.Table) else read_table(existing_file(table))
    known = [field.name for field in rows.schema if "binary" in str(field.type)]
    if column not in known:
        raise ValueError(f"no image column {column!r}; the table has {', '.join(known) or 'none'}")
    if b"shape" in (rows.schema.field(column).metadata or {}):
        return read_images(rows, column).copy()
    if shape is None:
        raise ValueError(
            f"image column {column!r} has lost its shape, as when pandas writes a table again; "
            "pass shape=(channels, height, width), or the original file"
        )
    return decode_images(rows.column(column).to_pylist(), shape).copy()
