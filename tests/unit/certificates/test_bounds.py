"""Interval bounds against closed forms, random points, and what they must refuse."""

import pytest
import torch
from torch import nn

from advgen.certificates.bounds import HALVINGS, bound_margins, certified_radii
from advgen.io.checkpoints import build
from advgen.specs.networks import ConvNetwork, EnsembleNetwork, FcNetwork

CLASSES = 4
NETWORKS = {
    "linear": FcNetwork(kind="fc"),
    "fully connected": FcNetwork(kind="fc", hidden=(12, 8), dropout=0.3),
    "sigmoid": FcNetwork(kind="fc", hidden=(12,), activation="sigmoid"),
    "convolutions": ConvNetwork(kind="conv", channels=(3, 4), kernel=3, padding=1, hidden=(9,)),
    "strides": ConvNetwork(kind="conv", channels=(3, 4), kernel=4, stride=2, padding=1, pool=1, activation="tanh"),
    "batch norm": ConvNetwork(
        kind="conv", channels=(3, 4), kernel=3, padding=1, batch_norm=True, activation="leaky_relu", dropout=0.2
    ),
}


def network(spec: FcNetwork | ConvNetwork) -> nn.Module:
    """An untrained one whose batch norms have seen something, some with negative weights."""
    torch.manual_seed(0)
    model = build("networks", spec.fit((1, 12, 12)), CLASSES)
    for _ in range(3):
        model.train()(images(seed=9))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return model.eval()


def images(n: int = 5, seed: int = 1) -> torch.Tensor:
    return torch.rand(n, 1, 12, 12, generator=torch.Generator().manual_seed(seed))


def leads(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return logits.gather(1, y[:, None]) - logits


@pytest.mark.parametrize("name", NETWORKS)
def test_the_bounds_hold_at_random_points_and_corners(name: str) -> None:
    model, x, y = network(NETWORKS[name]), images(), torch.arange(5) % CLASSES
    generator = torch.Generator().manual_seed(2)
    for eps in (0.003, 0.05, 0.4):
        low, high = (x - eps).clamp(0, 1), (x + eps).clamp(0, 1)
        with torch.no_grad():
            bound = bound_margins(model, low, high, y)
            for number in range(200):
                share = torch.rand(x.shape, generator=generator)
                inside = low + (share.round() if number % 2 else share) * (high - low)
                assert (leads(model(inside), y) >= bound - 1e-5).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_at_a_point_they_are_the_network_itself(name: str) -> None:
    model, x, y = network(NETWORKS[name]), images(), torch.arange(5) % CLASSES
    torch.testing.assert_close(bound_margins(model, x, x, y), leads(model(x), y), atol=1e-5, rtol=1e-5)


def test_the_radius_of_a_linear_classifier_is_exact() -> None:
    """The least lead over the L1 norm of the weights' difference, where the box does not cut the ball."""
    model, x = network(NETWORKS["linear"]), 0.4 + 0.2 * images(20)
    with torch.no_grad():
        logits = model(x)
    y = logits.argmax(1)
    weight = model.head.weight.detach()[y][:, None] - model.head.weight.detach()  # type: ignore[union-attr, index]
    distance = (leads(logits, y) / weight.abs().sum(2)).scatter(1, y[:, None], torch.inf).amin(1)
    assert distance.max() < 0.4
    found = certified_radii(model, x, y)
    assert (found <= distance).all()
    torch.testing.assert_close(found, distance, atol=2.0**-HALVINGS + 1e-4, rtol=0)


def test_a_label_that_nothing_changes_is_certified_in_the_whole_box() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 2))
    nn.init.zeros_(model[1].weight)
    with torch.no_grad():
        model[1].bias.copy_(torch.tensor([0.0, 1.0]))
    assert certified_radii(model, images(3), torch.tensor([1, 1, 0])).tolist() == [1, 1, 0]


def test_the_model_is_left_as_it_is() -> None:
    model = network(NETWORKS["batch norm"]).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    certified_radii(model, images(), torch.zeros(5, dtype=torch.long))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Flatten(), nn.Softplus(), nn.Linear(144, 2)),
        nn.Sequential(nn.Flatten(), nn.LeakyReLU(-0.1), nn.Linear(144, 2)),
        nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), nn.Flatten(), nn.Linear(288, 2)),
        nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False), nn.Flatten(), nn.Linear(144, 2)),
        nn.Sequential(nn.Flatten(), nn.Linear(144, 2), nn.Tanh()),
        build("networks", EnsembleNetwork(kind="ensemble", member=FcNetwork(kind="fc")).fit((1, 12, 12)), 2),
    ],
    ids=["unknown", "falling", "circular", "statistics of the batch", "no linear end", "ensemble"],
)
def test_a_network_without_known_bounds_is_refused_in_one_line(model: nn.Module) -> None:
    with pytest.raises(ValueError, match="interval bounds") as caught:
        certified_radii(model, images(2), torch.zeros(2, dtype=torch.long))
    assert len(str(caught.value).splitlines()) == 1
