"""A network and images that are small and oblong enough for attacks in plain loops."""

import pytest
import torch

N, CHANNELS, HEIGHT, WIDTH, CLASSES = 6, 2, 4, 7, 5


@pytest.fixture
def model():
    generator = torch.Generator().manual_seed(0)
    layers = [torch.nn.Linear(CHANNELS * HEIGHT * WIDTH, 30), torch.nn.Tanh(), torch.nn.Linear(30, CLASSES)]
    network = torch.nn.Sequential(torch.nn.Flatten(), *layers).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
    return network


@pytest.fixture
def x():
    """Some pixels are at an end of the box."""
    draws = torch.rand(N, CHANNELS, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (1.2 * draws - 0.1).clamp(0, 1)


@pytest.fixture
def y(model, x):
    """What the network says, but for the last image."""
    with torch.no_grad():
        label = model(x).argmax(1)
    label[-1] = (label[-1] + 1) % CLASSES
    return label


@pytest.fixture
def indices():
    return [5, 17, 3, 40, 8, 21]
