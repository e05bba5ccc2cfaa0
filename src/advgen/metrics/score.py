"""The quality of a generator during its training."""

from collections.abc import Callable

import torch
from torch import Tensor

from advgen.metrics.distribution import frechet
from advgen.models.generators import Generator
from advgen.models.networks import Network
from advgen.models.predict import ROWS, features_and_probabilities, scale_batch_size
from advgen.seeds import normal

SAMPLES = 1000
"""Samples per score."""


def scorer(judge: Network, held_out_NCHW: Tensor, seed: int, device: str) -> Callable[[Generator], float]:
    """A function for the Fréchet distance of a generator's samples from held-out images, always for the same z."""
    reference_NF, _ = features_and_probabilities(judge, held_out_NCHW)

    def score(generator: Generator) -> float:
        z_ND = normal(seed, "score", list(range(SAMPLES)), generator.latent).to(device)
        with torch.inference_mode():
            samples_NCHW = torch.cat(
                [generator(part_BD) for part_BD in z_ND.split(scale_batch_size(ROWS, z_ND.device))]
            )
        return frechet(reference_NF, features_and_probabilities(judge, samples_NCHW)[0])

    return score
