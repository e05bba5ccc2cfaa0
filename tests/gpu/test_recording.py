"""Steps that are replayed find the numbers of plain ones, and the pretended CUDA graph refuses what torch's refuses."""

import numpy as np
import pytest
import torch
from tests.gpu import device
from tests.gpu.costs import classifier, of_training
from tests.gpu.device import CUDA, OnGpu, PretendedGpu
from tests.gpu.test_numbers import CLASSES, GENERATOR, NETWORK, TRAININGS, N, data, numbers, on_gpu

from advgen import registry
from advgen.attacks.common import CHECK_INTERVAL
from advgen.attacks.run import craft
from advgen.inversion.search import search
from advgen.io import devices
from advgen.io.checkpoints import build
from advgen.models import graphs
from advgen.models.graphs import WARM, capture_step
from advgen.specs.searches import LatentSearch
from advgen.training.state import Callbacks

DEVICE = "cuda:0"


@pytest.fixture
def recorded(monkeypatch):
    monkeypatch.setenv("ADVGEN_CUDA_GRAPHS", "1")


@pytest.fixture
def gpu():
    with PretendedGpu() as gpu:
        yield gpu


def record(step):
    """A graph of a step, recorded after it has run once."""
    step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=None):
        step()
    return graph


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (lambda x: x.sum().item(), "the host waits"),
        (lambda x: x[x > 1], "the host waits"),
        (lambda x: x.tolist(), "the host waits"),
        (lambda x: x + torch.ones(3).to(DEVICE), "the host's memory"),
        (lambda x: x + torch.ones(3).to(DEVICE, non_blocking=True), "the host's memory"),
        (lambda x: x.copy_(torch.ones(3)), "the host's memory"),
    ],
)
@pytest.mark.usefixtures("gpu")
def test_what_cannot_be_recorded_is_refused(step, why):
    x = torch.ones(3).to(DEVICE)
    with pytest.raises(RuntimeError, match=f"capturing: .*{why}"):
        record(lambda: step(x))


@pytest.mark.usefixtures("gpu")
def test_an_adam_that_was_not_told_is_refused():
    weight = torch.ones(3).to(DEVICE).requires_grad_()

    def step():
        weight.grad = torch.ones_like(weight)
        optimizer.step()

    optimizer = torch.optim.Adam([weight], fused=True)
    with pytest.raises(RuntimeError, match="capturable is False"):
        record(step)
    optimizer = torch.optim.Adam([weight], fused=True, capturable=True)
    record(step)


@pytest.mark.usefixtures("gpu")
def test_nothing_is_computed_while_it_is_recorded():
    x, made = torch.ones(3).to(DEVICE), []

    def step():
        x.add_(1)
        made.append(torch.rand_like(x) + x)

    step()
    drawn = torch.get_rng_state()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=None):
        step()
    assert x.tolist() == [2, 2, 2]
    assert torch.equal(torch.get_rng_state(), drawn)
    assert made[1].isnan().all().item(), "what was made holds nothing yet"
    graph.replay()
    assert x.tolist() == [3, 3, 3]
    assert (made[1] >= 3).all().item()


@pytest.mark.usefixtures("gpu")
def test_numbers_of_python_stay_what_they_were_and_new_tensors_are_not_seen():
    number, x, seen = [1.0], torch.zeros(3).to(DEVICE), torch.ones(1).to(DEVICE)
    graph = record(lambda: x.add_(number[0] * seen))
    number[0] = 100.0
    graph.replay()
    assert x.tolist() == [2, 2, 2]
    kept, seen = seen, torch.full((1,), 7.0).to(DEVICE)
    graph.replay()
    assert x.tolist() == [3, 3, 3]
    del kept
    with pytest.raises(RuntimeError, match="memory that has been freed"):
        graph.replay()


@pytest.mark.usefixtures("gpu", "recorded")
def test_a_step_runs_plainly_then_is_recorded_for_each_shape():
    total, calls = torch.zeros(()).to(DEVICE), []

    def step(x_N, factor, squared):
        calls.append((len(x_N), squared))
        total.add_((factor * (x_N.square() if squared else x_N)).sum())
        return total + 0

    replayed, expected = capture_step(step, CUDA), 0.0
    found = []
    for number in range(8):
        for rows, squared in ((2, False), (3, False), (3, True)):
            expected += (0.5 + number) * rows * (4 if squared else 2)
            found.append((replayed(torch.full((rows,), 2.0), 0.5 + number, squared), expected))
    assert [one.item() for one, _ in found] == [expected for _, expected in found]
    assert all(isinstance(one, OnGpu) for one, _ in found)
    assert calls.count((2, False)) == calls.count((3, False)) == calls.count((3, True)) == WARM + 1


@pytest.fixture
def replays(monkeypatch):
    """What is replayed, with steps recorded after their first call, so that short trainings show it."""
    replays, plainly = [], device.Graph.replay
    monkeypatch.setattr(graphs, "WARM", 1)
    monkeypatch.setattr(device.Graph, "replay", lambda graph: (replays.append(graph), plainly(graph)))
    return replays


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_that_is_replayed_finds_the_numbers_of_a_plain_one(name, replays, monkeypatch):
    plain, weights = on_gpu(TRAININGS[name], Callbacks())
    assert not replays
    monkeypatch.setenv("ADVGEN_CUDA_GRAPHS", "1")
    states = []
    found, again = on_gpu(TRAININGS[name], Callbacks(save=lambda take: states.append(take())))
    assert len(replays) >= 3
    torch.testing.assert_close(numbers(found), numbers(plain), rtol=0, atol=0, equal_nan=True)
    assert all(map(torch.equal, again, weights))
    resumed, again = on_gpu(TRAININGS[name], Callbacks(state=states[1]))
    torch.testing.assert_close(numbers(resumed), numbers(plain), rtol=0, atol=0, equal_nan=True)
    assert all(map(torch.equal, again, weights))


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("pgd", {"steps": 8, "loss": "dlr", "restarts": 2}),
        ("pgd", {"steps": 8, "norm": "l2", "eps": 1.0, "step_size": 0.2}),
        ("region", {"steps": 2 * CHECK_INTERVAL + 5, "region": {"kind": "square", "size": 3}, "step_size": 0.02}),
        ("carlini_wagner", {"steps": 12, "searches": 2, "initial_c": 10, "lr": 0.05}),
        ("carlini_wagner", {"steps": 2 * CHECK_INTERVAL + 10, "searches": 2, "initial_c": 1, "lr": 0.05}),
    ],
)
def test_an_attack_that_is_replayed_finds_the_same_examples(kind, keys, replays, monkeypatch):
    images, labels = data()
    spec = registry.parse("attacks", {"kind": kind, **keys})

    def crafted_columns():
        torch.manual_seed(0)
        model = build("networks", NETWORK, CLASSES).eval()
        keys = {"seed": 0, "indices": list(range(N))}
        with PretendedGpu():
            return craft(registry.resolve(spec), model.to(DEVICE), images, labels, spec, **keys).columns()

    plain = crafted_columns()
    assert not replays
    monkeypatch.setenv("ADVGEN_CUDA_GRAPHS", "1")
    found = crafted_columns()
    assert len(replays) >= 7
    # among them how many images the model was shown, which Python cannot count
    for name, fact in plain.items():
        np.testing.assert_array_equal(found[name], fact, err_msg=name)
    assert plain["gradient_calls"] > 3


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_search_that_is_replayed_finds_the_same_vectors(optimizer, replays, monkeypatch):
    images = data()[0][:4].float() / 255
    spec = LatentSearch(steps=8, starts=2, optimizer=optimizer)

    def searched():
        torch.manual_seed(0)
        generator = build("generators", GENERATOR).eval()
        with PretendedGpu():
            return search(generator.to(DEVICE), images, spec, seed=0, indices=list(range(4)), record_every=2)

    plain = searched()
    assert not replays
    monkeypatch.setenv("ADVGEN_CUDA_GRAPHS", "1")
    found = searched()
    assert len(replays) == 7
    for name in ("z", "mse", "images", "history"):
        assert torch.equal(getattr(found, name), getattr(plain, name)), name


def test_a_recorded_step_is_launched_as_a_whole():
    launches = {}
    for recorded in ("0", "1"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ADVGEN_CUDA_GRAPHS", recorded)
            launches[recorded] = of_training(classifier).launches
    assert launches["1"] < launches["0"] / 3


@pytest.mark.parametrize("value", ["yes", "", "2"])
def test_graphs_are_asked_for_by_a_one(value, monkeypatch):
    monkeypatch.setenv("ADVGEN_CUDA_GRAPHS", value)
    with pytest.raises(SystemExit, match=f"^ADVGEN_CUDA_GRAPHS={value}: "):
        devices.cuda_graphs()


@pytest.mark.usefixtures("gpu", "recorded")
def test_the_stamp_tells_that_steps_were_recorded():
    assert devices.device_name(DEVICE) == "pretended with CUDA graphs"
