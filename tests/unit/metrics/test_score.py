"""The score by which a generator is chosen is the Fréchet distance of its samples, always of the same z."""

from types import SimpleNamespace

import pytest
import torch

from advgen.metrics import score
from advgen.metrics.distribution import frechet
from advgen.seeds import normal


def test_the_score_is_the_distance_of_the_samples(monkeypatch):
    """The judge's feature is the mean of an image, so that the numbers can be worked out."""
    monkeypatch.setattr(score, "SAMPLES", 700)  # more than are generated at once
    monkeypatch.setattr(
        score, "features_and_probabilities", lambda judge, images: (images.flatten(1).mean(1, keepdim=True), None)
    )
    held_out = torch.linspace(0, 1, 50).view(-1, 1, 1, 1)
    parts = []

    def shifted(z_BD):
        assert not torch.is_grad_enabled()
        parts.append(len(z_BD))
        return 2 + z_BD[:, :1, None, None]

    shifted.latent = 3
    found = score.scorer(SimpleNamespace(), held_out, 5, "cpu")(shifted)
    z = normal(5, "score", list(range(700)), 3)[:, 0].double()
    reference = held_out.flatten().double()
    # of two Gaussians on a line: (m - m')² + (s - s')²
    distance = (2 + z.mean() - 0.5) ** 2 + (z.std() - reference.std()) ** 2
    assert found == pytest.approx(distance.item(), rel=1e-5)
    assert found == pytest.approx(frechet(held_out.flatten(1), 2 + z[:, None]), rel=1e-5)
    assert parts == [500, 200]
    assert found == score.scorer(SimpleNamespace(), held_out, 5, "cpu")(shifted)
    assert found != score.scorer(SimpleNamespace(), held_out, 6, "cpu")(shifted)
