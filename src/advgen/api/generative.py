"""Samples of a generator, the latent vectors of given images, images restored, distances between sets of images."""

from __future__ import annotations

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
from advgen.api.inputs import existing_file, pixels, to_batch, validate_spec
from advgen.experiments.gans.evaluate import drawn
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
        generator: one of ours, or its checkpoint.
        n: how many; the first of them are the same for every n.
        seed: of the latent vectors.

    Raises:
        ValueError: n is no positive number, or the generator is none of ours.
    """
    if not isinstance(n, int) or n < 1:
        raise ValueError(f"n = {n!r}: must be a whole number, at least 1")
    return drawn(_generator(generator), n, seed)[1]


def invert(generator: Generator | str | Path, images: Any, *, seed: int = 0, **keys: Any) -> SearchResult:
    """The latent vectors whose images are nearest to given ones, by gradient search from several starts.

    The result holds, on the CPU, `z` (N, S, D), `mse` (N, S), `images` (N, S, C, H, W) and the `history` of the loss
    for S starts, and `best()`, the nearest image of each (N, C, H, W).

    Args:
        generator: one of ours, or its checkpoint.
        images: (N, C, H, W), uint8 or floats in [0, 1].
        seed: of the starts.
        keys: of the search, as in a study: steps, starts, optimizer, lr.

    Raises:
        ValueError: a key is wrong, the images have another shape than the generator's, or the search diverges.
    """
    net, x_NCHW = _generator(generator), pixels(images)
    told, numbers = Progress("invert", stream=sys.stderr), list(range(len(x_NCHW)))
    return latent_search(
        net, x_NCHW, validate_spec(LatentSearch, keys, "invert"), seed=seed, indices=numbers, progress=told
    )


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
    """Images of a generator that explain what a mask leaves of given ones, (N, C, H, W) as float32, on the CPU.

    Args:
        generator: one of ours, or its checkpoint.
        images: (N, C, H, W), uint8 or floats in [0, 1]; missing pixels may hold anything, NaN too.
        mask: bool (H, W) or (N, H, W), true where a pixel is known; or a mask's keys, such as {"kind": "square"}.
        method: "full", "contextual" or "contextual_prior".
        discriminator: images to one logit each, for "contextual_prior"; or its checkpoint.
        seed: of the starts and of the mask.
        keys: of the search, as in a study: steps, starts, optimizer, lr, prior.

    Raises:
        ValueError: a key, the method or the mask is wrong, or the search fails.
    """
    net, any_NCHW = _generator(generator), to_batch(images)
    known_NHW = _known(mask, any_NCHW, seed)
    x_NCHW = pixels(torch.where(known_NHW[:, None], any_NCHW, 0))
    if isinstance(discriminator, str | Path):
        discriminator = load_model(existing_file(discriminator))
    if discriminator is not None and not isinstance(discriminator, nn.Module):
        raise ValueError(
            f"the discriminator is of type {type(discriminator).__name__}; give a module, or its checkpoint"
        )
    return restore(
        net,
        x_NCHW,
        known_NHW,
        method,
        validate_spec(LatentSearch, keys, "inpaint"),
        seed=seed,
        indices=list(range(len(x_NCHW))),
        discriminator=discriminator,
        progress=Progress("inpaint", stream=sys.stderr),
    ).cpu()


def _known(mask: Any, x_NCHW: Tensor, seed: int) -> Tensor:
    """Which pixels are known, (N, H, W)."""
    count, channels, height, width = x_NCHW.shape
    if isinstance(mask, dict):
        kinds = registry.kinds("masks")
        if (kind := mask.get("kind")) not in kinds:
            raise ValueError(f"mask: kind {kind!r} is unknown; one of {', '.join(kinds)}")
        spec = validate_spec(kinds[kind], mask, "mask")
        assert isinstance(spec, MaskSpec)
        missing = spec.missing((channels, height, width))
        if not 0 < missing < height * width:
            raise ValueError(f"mask: leaves nothing or everything of {height}×{width} images; change it")
        known: Tensor = registry.resolve(spec)(spec, (channels, height, width), seed=seed, indices=list(range(count)))
        return known
    if not isinstance(mask, Tensor | np.ndarray | list):
        raise ValueError(
            f"mask = {mask!r}: give bool ({height}, {width}), or a mask's keys, such as {{'kind': 'square'}}"
        )
    known = torch.as_tensor(mask).cpu()
    if known.dtype != torch.bool or known.shape not in ((height, width), (count, height, width)):
        told = f"{str(known.dtype).removeprefix('torch.')} of shape {tuple(known.shape)}"
        raise ValueError(f"mask: {told}; give bool ({height}, {width}), true where a pixel is known")
    return known.expand(count, height, width)


def _generator(generator: Generator | str | Path) -> Generator:
    found = load_model(existing_file(generator)) if isinstance(generator, str | Path) else generator
    if not isinstance(found, Generator):
        raise ValueError(f"the generator is of type {type(found).__name__}; give one of ours, or its checkpoint")
    return found


@dataclass(frozen=True)
class Distance:
    """A Fréchet distance, its bias at this number of images, and the judge's distances of images of known quality.

    The distance is biased upwards, the more so the fewer images there are. `null_mean` and `null_sd` are its mean and
    standard deviation for two samples of one distribution with these sizes; `excess` is the distance beyond that, near
    0 for samples of one distribution at every size. If the distributions differ, the excess is slightly too small.

    `calibration` has a row per level: level, n, frechet_distance and more; it is empty where none stands beside the
    judge. Compare distances only if judge and number of images are the same.
    """

    value: float
    n: tuple[int, int]
    calibration: pd.DataFrame
    null_mean: float
    null_sd: float

    @property
    def excess(self) -> float:
        """The distance without its bias at this number of images; negative values are chance."""
        return self.value - self.null_mean

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        lines = [
            f"Fréchet distance {self.value:.2f} of {self.n[0]:,} from {self.n[1]:,} images",
            f"two samples of one distribution, of these sizes: {self.null_mean:.2f} ± {self.null_sd:.2f} (sd)",
            f"excess over that: {self.excess:.2f}",
        ]
        if len(self.calibration):
            lines.append("by the same judge, against the whole test split (fewer images, larger distance):")
            for row in self.calibration.sort_values("frechet_distance").itertuples():
                lines.append(f"  {row.frechet_distance:10.2f}  {row.level} (n = {row.n:,})")
        return "\n".join(lines)


def frechet_distance(a: Any, b: Any, *, reference: Network | str | Path) -> Distance:
    """The Fréchet distance between two sets of images by a judge's features, its bias and calibration [heusel2017gans].

    `float()` of the result is the distance itself, `.excess` the distance without its bias at this number of images,
    estimated from random splits of both sets together.

    Args:
        a: images (N, C, H, W), uint8 or floats in [0, 1].
        b: images (M, C, H, W) to compare them with.
        reference: the judge, or its checkpoint `judge.safetensors`; of one that `calibration.parquet` stands beside, as
            a study leaves it, the distances of images of known quality are shown, too.

    Raises:
        ValueError: the judge has no features, or a set has fewer than two images.
    """
    judge, levels = reference, pd.DataFrame()
    if isinstance(reference, str | Path):
        judge = load_model(existing_file(reference))
        beside = Path(reference).with_name("calibration.parquet")
        if beside.is_file():
            levels = read_table(beside, "calibration").to_pandas()
    if not isinstance(judge, Network):
        raise ValueError(f"the judge is of type {type(judge).__name__}; give a classifier of ours, or its checkpoint")
    sides = [pixels(images) for images in (a, b)]
    spec: Any = judge.spec
    wanted = spec.image
    for side in sides:
        channels, height, width = side.shape[1:]
        shape = (channels, height, width)
        if shape != wanted:
            raise ValueError(f"the judge looks at {format_shape(wanted)} images, and these are {format_shape(shape)}")
    features_a, features_b = (features_and_probabilities(judge, side)[0] for side in sides)
    sizes = len(sides[0]), len(sides[1])
    return Distance(frechet(features_a, features_b), sizes, levels, *frechet_null(features_a, features_b))


def images(
    table: pa.Table | pd.DataFrame | str | Path, column: str = "image", *, shape: tuple[int, int, int] | None = None
) -> np.ndarray[Any, Any]:
    """An image column of one of our tables, (N, C, H, W), of its own dtype: uint8, or float32 in [0, 1].

    Args:
        table: the table, or the path of its Parquet file; or the data frame that pandas made of it.
        column: "image", "adversarial", "reconstruction", "restored", …
        shape: channels, height and width; needed where pandas or another library read the table or wrote it again,
            since they keep an image's bytes and drop its shape. It is ignored where the table has one.

    Raises:
        ValueError: the file is damaged, or has no such column (the message lists those there are); the shape is missing
            or does not fit.
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
            "give shape=(channels, height, width), or the original file"
        )
    return decode_images(rows.column(column).to_pylist(), shape).copy()
