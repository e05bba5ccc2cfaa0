"""Training a classifier: resuming, batches, history, errors."""

import itertools
import math
import random

import pytest
import torch

from advgen.io.checkpoints import build, load_state, save_state
from advgen.specs.networks import ConvNetwork, FcNetwork
from advgen.specs.training import ClassifierTraining
from advgen.training.classifier import accuracy, train_classifier
from advgen.training.state import Callbacks

FC = FcNetwork(kind="fc", hidden=(12,), dropout=0.4)
CONV = ConvNetwork(kind="conv", channels=(3, 5), kernel=3, padding=1, hidden=(9,), batch_norm=True, dropout=0.3)


class Interrupted(Exception):
    """Stands for the job's end."""


def data(n=70):
    """Three classes that differ in which rows are bright."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % 3
    images = torch.randint(0, 120, (n, 1, 9, 9), generator=generator, dtype=torch.uint8)
    for row in range(3):
        images[labels == row, :, 3 * row : 3 * row + 3] += 100
    return images, labels


def fresh(network):
    torch.manual_seed(4)
    return build("networks", network.fit((1, 9, 9)), 3)


def train(model, training, callbacks=None, seed=0):
    images, labels = data()
    return train_classifier(
        model, images[:50], labels[:50], training, seed, (images[50:], labels[50:]), "cpu", callbacks or Callbacks()
    )


def train_with_interruptions(network, training, moments, tmp_path):
    """Each life saves its state after so many steps, goes on for some more and dies; the next one picks it up."""
    path = tmp_path / "state.safetensors"
    for moment, extra in moments:
        with pytest.raises(Interrupted):
            live(network, training, path, moment, extra)
    return live(network, training, path)


def live(network, training, path, moment=None, extra=0):
    state = load_state(path, "key") if path.exists() else None
    model = fresh(network) if state is None else build("networks", network.fit((1, 9, 9)), 3)
    torch.manual_seed(moment or 7)  # nothing may hang on what the process drew before
    steps = itertools.count(1)

    def save(take):
        step = next(steps)
        if step == moment:
            save_state(path, take(), "key")
        if moment is not None and step == moment + extra:
            raise Interrupted

    return model, train(model, training, Callbacks(save=save, state=state))


def assert_same(a, b):
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name]), name


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("network", [FC, CONV], ids=["fc", "conv"])
def test_an_interrupted_run_ends_bit_equal(network, optimizer, tmp_path):
    training = ClassifierTraining(epochs=6, batch=8, optimizer=optimizer, lr=0.01, weight_decay=1e-3)
    chance = random.Random(optimizer)
    moments = [(chance.randint(1, 9), chance.randint(0, 3)) for _ in range(3)]
    whole = fresh(network)
    history = train(whole, training)
    pieces, history_of_pieces = train_with_interruptions(network, training, moments, tmp_path)
    assert_same(whole, pieces)
    assert history["step"] == history_of_pieces["step"]
    assert history["loss"] == history_of_pieces["loss"]
    assert [str(value) for value in history["accuracy"]] == [str(value) for value in history_of_pieces["accuracy"]]


def test_a_finished_run_is_not_trained_further():
    training = ClassifierTraining(epochs=2, batch=10)
    states, steps = [], []
    model = fresh(CONV)
    history = train(model, training, Callbacks(save=lambda take: states.append(take())))
    again = fresh(CONV)
    repeated = train(again, training, Callbacks(state=states[-1], progress=lambda *args: steps.append(args)))
    assert_same(model, again)
    assert repeated["loss"] == history["loss"]
    assert steps == []


def test_it_learns_and_says_so():
    model = fresh(FC)
    history = train(model, ClassifierTraining(epochs=30, batch=10, lr=0.01))
    measured = [value for value in history["accuracy"] if not math.isnan(value)]
    assert len(measured) == 30
    assert measured[-1] == 1
    assert sum(history["loss"][-5:]) < 0.5 * sum(history["loss"][:5])
    assert not model.training


def test_the_seed_decides():
    training = ClassifierTraining(epochs=2, batch=10)
    first, again, other = fresh(FC), fresh(FC), fresh(FC)
    train(first, training, seed=1)
    torch.manual_seed(123)
    train(again, training, seed=1)
    train(other, training, seed=2)
    assert_same(first, again)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_fractional_epochs_and_a_last_batch_that_is_not_full():
    seen = []
    training = ClassifierTraining(epochs=1.5, batch=8)
    history = train(fresh(FC), training, Callbacks(progress=lambda *args: seen.append(args)))
    # 50 images in batches of 8 are 7 steps; one and a half epochs are 10.5, rounded to even.
    assert history["step"] == list(range(1, 11))
    assert history["epoch"][6] == 1
    assert [i for i, value in enumerate(history["accuracy"]) if not math.isnan(value)] == [6, 9]
    assert [(step, total) for step, total, _ in seen] == [(step, 10) for step in range(1, 11)]
    assert [numbers["loss"] for *_, numbers in seen] == pytest.approx(history["loss"])


def test_every_image_is_seen_once_per_epoch():
    images, labels = data(50)
    images[:, 0, 0, 0] = torch.arange(50, dtype=torch.uint8)
    model, seen = fresh(FC), []
    model.register_forward_pre_hook(
        lambda module, inputs: seen.append((inputs[0][:, 0, 0, 0] * 255).round()) if module.training else None
    )
    training = ClassifierTraining(epochs=2, batch=8)
    train_classifier(model, images, labels, training, 0, (images[:5], labels[:5]), "cpu", Callbacks())
    first, second = torch.cat(seen[:7]), torch.cat(seen[7:])
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(50))
    assert first.tolist() != second.tolist()


def test_the_learning_rate_decays_unless_told_otherwise(monkeypatch):
    rates = []
    step = torch.optim.SGD.step
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self: rates.append(self.param_groups[0]["lr"]) or step(self))
    train(fresh(FC), ClassifierTraining(epochs=2, batch=10, optimizer="sgd", lr=0.1))
    assert rates[0] == 0.1
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))
    assert rates[-1] < 0.01
    rates.clear()
    train(fresh(FC), ClassifierTraining(epochs=1, batch=10, optimizer="sgd", lr=0.1, decay=False))
    assert set(rates) == {0.1}


def test_weight_decay_shrinks_weights():
    plain, decayed = fresh(FC), fresh(FC)
    train(plain, ClassifierTraining(epochs=20, batch=10, lr=0.01))
    train(decayed, ClassifierTraining(epochs=20, batch=10, lr=0.01, weight_decay=0.1))
    assert decayed.head.weight.norm() < 0.9 * plain.head.weight.norm()


def test_divergence_is_an_error_that_says_what_to_do():
    training = ClassifierTraining(epochs=5, batch=10, optimizer="sgd").model_copy(update={"lr": 1e30})
    with pytest.raises(ValueError, match="lower lr"):
        train(fresh(FC), training)


def test_accuracy_counts():
    images, _ = data(9)
    model = fresh(FC)
    predicted = model.eval()(images / 255).argmax(1)
    assert accuracy(model, images, predicted) == 1
    assert accuracy(model, images, (predicted + torch.tensor([1] * 3 + [0] * 6)) % 3) == pytest.approx(6 / 9)
