"""GAN training: the history, the roll-back of unrolling, resuming bit for bit, averaging."""

import copy
import random

import pytest
import torch
from tests.project import ROOT

from advgen.io.checkpoints import build
from advgen.specs.generators import FcGenerator, TransposedConvGenerator
from advgen.specs.networks import ConvNetwork, FcNetwork
from advgen.specs.training import GanTraining
from advgen.study.load import load_file
from advgen.training.game import NUMBERS, DiscriminatorStep, Game
from advgen.training.gan import is_selection_step, train_gan
from advgen.training.losses import generator_loss, gradient_penalty, r1
from advgen.training.state import Callbacks
from advgen.training.unrolling import rolled_back

IMAGES = torch.randint(0, 256, (50, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
GENERATOR = TransposedConvGenerator(kind="transposed_conv", latent=5, start=(6, 2, 2), channels=(4,), image_channels=1)
DISCRIMINATORS = {
    "fc": FcNetwork(kind="fc", image=(1, 8, 8), hidden=(12, 8), activation="leaky_relu", dropout=0.3),
    "conv": ConvNetwork(
        kind="conv", image=(1, 8, 8), channels=(6, 8), kernel=4, stride=2, padding=1, pool=1, batch_norm=True
    ),
}
QUICK = {"epochs": 3, "batch": 16, "lr_generator": 1e-2, "lr_discriminator": 1e-2}


def networks(discriminator="fc"):
    torch.manual_seed(1)
    return build("generators", GENERATOR), build("networks", DISCRIMINATORS[discriminator], 1)


def train(spec, discriminator="fc", callbacks=Callbacks(), seed=3, images=IMAGES):  # noqa: B008
    pair = networks(discriminator)
    history = train_gan(*pair, images, spec, seed, "cpu", callbacks)
    return *pair, history


def same(one, other):
    ones, others = one.state_dict(), other.state_dict()
    return ones.keys() == others.keys() and all(torch.equal(ones[key], others[key]) for key in ones)


def test_every_image_is_seen_once_an_epoch():
    seen = []

    def watch(module, inputs, output):
        seen.extend((inputs[0] * 255).round().to(torch.uint8)[: len(inputs[0]) // 2])

    generator, discriminator = networks()
    discriminator.register_forward_hook(watch)
    game_rows = [16, 16, 16, 2]
    train_gan(generator, discriminator, IMAGES, GanTraining(**{**QUICK, "epochs": 1}), 3, "cpu", Callbacks())
    # Each batch passes through the discriminator twice: real with fake, then fakes alone for the generator.
    real, at = [], 0
    for rows in game_rows:
        real += seen[at : at + rows]
        at += rows + rows // 2
    assert sorted(image.flatten().tolist() for image in real) == sorted(image.flatten().tolist() for image in IMAGES)


@pytest.mark.parametrize("loss", ["non_saturating", "cross_entropy", "mse"])
@pytest.mark.parametrize("discriminator", DISCRIMINATORS)
def test_same_seed_same_bits_other_seed_other_bits(loss, discriminator):
    spec = GanTraining(**QUICK, loss=loss)
    first, again, other = (train(spec, discriminator, seed=seed) for seed in (3, 3, 4))
    assert same(first[0], again[0])
    assert same(first[1], again[1])
    assert first[2] == again[2]
    assert not same(first[0], other[0])
    assert not first[0].training
    assert not first[1].training


def test_training_learns_to_paint_the_colour_of_the_data():
    bright = torch.full((64, 1, 8, 8), 230, dtype=torch.uint8)
    spec = GanTraining(epochs=60, batch=32, lr_generator=1e-2, lr_discriminator=1e-2, ema=0.9)
    generator, *_ = train(spec, "fc", images=bright)
    x_BCHW = generator(torch.randn(100, 5, generator=torch.Generator().manual_seed(0)))
    assert abs(x_BCHW.mean().item() - 230 / 255) < 0.06


@pytest.mark.parametrize("discriminator", DISCRIMINATORS)
def test_unrolling_leaves_no_trace_in_the_discriminator(discriminator):
    pair = networks(discriminator)
    game = Game(*pair, GanTraining(**QUICK, unroll=3))
    real_BCHW = torch.rand(16, 1, 8, 8)
    game.step_discriminator(real_BCHW)
    before = copy.deepcopy([pair[1].state_dict(), game.optimizer_discriminator.state_dict()])
    advanced = []
    pair[1].register_forward_pre_hook(lambda module, inputs: advanced.append(module.head.weight.detach().clone()))
    generator_before = copy.deepcopy(pair[0])
    game.step_generator(real_BCHW)

    assert not same(generator_before, pair[0])
    assert not torch.equal(advanced[0], advanced[-1]), "the generator met a discriminator that was not advanced"
    assert len({tuple(weight.flatten().tolist()) for weight in advanced}) == 4
    after = [pair[1].state_dict(), game.optimizer_discriminator.state_dict()]
    assert before[0].keys() == after[0].keys()
    assert all(torch.equal(before[0][key], after[0][key]) for key in before[0])
    for index, moments in before[1]["state"].items():
        assert set(moments) == {"step", "exp_avg", "exp_avg_sq"}
        for key, value in moments.items():
            assert torch.equal(value, after[1]["state"][index][key])
            assert value.stride() == after[1]["state"][index][key].stride()
    assert all(parameter.requires_grad for parameter in pair[1].parameters())


def test_r1_is_a_mean_over_images():
    """At x the logit x²·[x > 0] summed has the gradient 2x: half its squared norm is 2·Σx²."""
    x_BCHW = torch.rand(4, 1, 2, 2)
    square = torch.nn.Module()
    square.forward = lambda x_BCHW: x_BCHW.square().flatten(1).sum(1, keepdim=True)
    assert torch.allclose(r1(square, x_BCHW), 2 * x_BCHW.square().flatten(1).sum(1).mean())


@pytest.mark.parametrize("discriminator", DISCRIMINATORS)
def test_r1_comes_every_few_steps_and_makes_gradients_small(discriminator):
    x_BCHW = IMAGES.float() / 255
    norms = {}
    for weight, every in ((0, 8), (50, 1), (50, 4)):
        _, trained, history = train(GanTraining(**{**QUICK, "epochs": 20}, r1=weight, r1_every=every), discriminator)
        norms[weight, every] = r1(trained, x_BCHW).item()
        assert all(abs(one) < 50 for one in history["loss_discriminator"])
    assert norms[50, 1] < norms[0, 8] / 4
    assert norms[50, 4] < norms[0, 8] / 4
    plain, never = (train(GanTraining(**QUICK, r1_every=every), discriminator) for every in (8, 2))
    assert same(plain[1], never[1])


def test_r1_counts_as_often_as_it_is_left_out():
    """One penalised step with r1_every n has the gradient of n times the weight."""
    moved = []
    for weight, every in ((2.0, 6), (6.0, 2)):
        game = Game(*networks(), GanTraining(**QUICK, r1=weight, r1_every=every))
        torch.manual_seed(4)
        game.step_discriminator(IMAGES[:16] / 255, penalised=True)
        moved.append(game.discriminator)
    assert same(*moved)


def test_the_attack_on_a_linear_discriminator_ends_in_the_corner_that_fools_it():
    """Whatever the number of steps: real images move against the weights' signs, generated ones with them."""
    x_BCHW = 0.3 + 0.4 * torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    for steps in (1, 3):
        game = Game(*networks(), GanTraining(**QUICK, adversarial_eps=0.1, adversarial_steps=steps))
        game.discriminator = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 1))
        towards = game.discriminator[1].weight.sign().view(1, 1, 8, 8)
        real, fake = game.attack(x_BCHW, x_BCHW)
        torch.testing.assert_close(real, x_BCHW - 0.1 * towards)
        torch.testing.assert_close(fake, x_BCHW + 0.1 * towards)


@pytest.mark.parametrize("discriminator", DISCRIMINATORS)
def test_the_discriminator_learns_on_attacked_images_inside_ball_and_box(discriminator):
    game = Game(*networks(discriminator), GanTraining(**QUICK, adversarial_eps=0.2))
    inputs, x_BCHW = [], IMAGES[:16] / 255
    game.discriminator.register_forward_pre_hook(lambda module, arguments: inputs.append((module.training, *arguments)))
    game.step_discriminator(x_BCHW)
    learnt = torch.cat([x for training, x in inputs if training])[:16]
    assert 0.15 < (learnt - x_BCHW).abs().max() <= 0.2 + 1e-6
    assert learnt.min() >= 0 and learnt.max() <= 1
    assert game.discriminator.training and all(one.requires_grad for one in game.discriminator.parameters())


def test_exact_unrolling_knows_no_attacked_images():
    with pytest.raises(ValueError, match=r"adversarial_eps = 0\.1: cannot be combined with exact unrolling"):
        GanTraining(adversarial_eps=0.1, unroll=2, unroll_mode="exact")


def test_the_gradient_penalty_of_a_linear_critic_is_its_squared_distance_from_norm_one():
    torch.manual_seed(0)
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 1))
    norm = linear[1].weight.norm()
    penalty = gradient_penalty(linear, torch.rand(5, 3, 2, 2))
    torch.testing.assert_close(penalty, (norm - 1) ** 2)
    penalty.backward()
    torch.testing.assert_close(linear[1].weight.grad, 2 * (1 - 1 / norm.detach()) * linear[1].weight.detach())
    with torch.no_grad():
        linear[1].weight.zero_()
    penalty = gradient_penalty(linear, torch.rand(5, 3, 2, 2))
    assert penalty == 1
    penalty.backward()
    assert linear[1].weight.grad.isfinite().all()


def test_the_gradient_penalty_is_taken_on_the_lines_between_real_and_generated_images():
    """At x the logit Σx²/2 has the gradient x, so that its norm tells the point."""
    game = Game(*networks(), GanTraining(**QUICK, gradient_penalty=2.0))
    z_BD = game.next_latents(16)
    assert z_BD.shape == (16, 5)
    assert ((game.positions_B1 >= 0) & (game.positions_B1 < 1)).all()
    assert game.positions_B1.unique().numel() == 16
    real_BCHW, fake_BCHW = torch.zeros(16, 1, 8, 8), torch.ones(16, 1, 8, 8)
    found = game.line_penalty(lambda x_BCHW: x_BCHW.square().flatten(1).sum(1) / 2, real_BCHW, fake_BCHW)
    torch.testing.assert_close(found, 2 * (8 * game.positions_B1 - 1).square().mean())


def test_a_penalised_critic_becomes_nearly_lipschitz():
    norms = {}
    for weight in (0.0, 10.0):
        game = Game(*networks(), GanTraining(**QUICK, loss="wasserstein", gradient_penalty=weight))
        with torch.no_grad():
            for one in game.discriminator.parameters():
                one.mul_(3)
        for _ in range(60):
            game.play(IMAGES / 255)
        x_BCHW = (IMAGES / 255).requires_grad_()
        slopes = torch.autograd.grad(game.discriminator.eval()(x_BCHW).sum(), x_BCHW)[0]
        norms[weight] = slopes.flatten(1).norm(dim=1).mean()
    assert 0.2 < norms[10.0] < 2 < 4 < norms[0.0]


def test_the_loss_is_told_without_the_gradient_penalty():
    losses = []
    for weight in (0.0, 1e3):
        game = Game(*networks(), GanTraining(**QUICK, loss="wasserstein", gradient_penalty=weight))
        game.queue = [torch.full((16, 5 + (weight > 0)), 0.5)]
        torch.manual_seed(0)
        losses.append(game.step_discriminator(IMAGES[:16] / 255).loss)
    torch.testing.assert_close(*losses)


def test_no_unrolling_is_the_plain_game():
    """With k = 0 the generator follows the gradient against the discriminator as it stands."""
    pair = networks("conv")
    game = Game(*pair, GanTraining(**QUICK))
    twin = copy.deepcopy(pair)
    real_BCHW = torch.rand(16, 1, 8, 8)
    torch.manual_seed(5)
    loss, gradient = game.step_generator(real_BCHW)
    torch.manual_seed(5)
    expected = generator_loss("non_saturating", twin[1](twin[0](torch.randn(16, 5))))
    expected.backward()
    torch.testing.assert_close(loss, expected.detach())
    norm = torch.stack([p.grad.square().sum() for p in twin[0].parameters()]).sum().sqrt()
    torch.testing.assert_close(gradient, norm)


def test_steps_per_batch_are_counted():
    pair = networks()
    spec = GanTraining(**QUICK, generator_steps=3, discriminator_steps=2, unroll=4)
    game = Game(*pair, spec)
    game.play(torch.rand(16, 1, 8, 8))
    assert game.optimizer_generator.state_dict()["state"][0]["step"] == 3
    assert game.optimizer_discriminator.state_dict()["state"][0]["step"] == 2


def test_the_numbers_of_a_batch_are_in_their_order(monkeypatch):
    game = Game(*networks(), GanTraining(**QUICK))
    monkeypatch.setattr(game, "step_discriminator", lambda *arguments: DiscriminatorStep(2, 4, 5, 6))
    monkeypatch.setattr(game, "step_generator", lambda real_BCHW: (1, 3))
    assert tuple(game.play(IMAGES)) == (1, 2, 3, 4, 5, 6)
    assert NUMBERS[:4:2] == ("loss_generator", "gradient_generator")
    assert NUMBERS[4:] == ("logit_real", "logit_fake")


def tiny_game(**settings):
    """A game in double precision on smooth networks, two updates old, so that Adam has moments."""
    torch.manual_seed(2)
    generator = build("generators", FcGenerator(kind="fc", latent=3, hidden=(5,), activation="tanh", image=(1, 3, 3)))
    body = FcNetwork(kind="fc", image=(1, 3, 3), hidden=(6, 4), activation="tanh")
    pair = generator.double(), build("networks", body, 1).double()
    game = Game(*pair, GanTraining(**{**QUICK, **settings}))
    real_BCHW = torch.rand(8, 1, 3, 3, dtype=torch.float64)
    for _ in range(2):
        game.step_discriminator(real_BCHW)
    return game, real_BCHW


@pytest.mark.parametrize("loss", ["non_saturating", "cross_entropy", "mse"])
@pytest.mark.parametrize("unroll", [1, 2, 4])
def test_exact_unrolling_has_the_gradient_of_finite_differences(loss, unroll):
    game, real_BCHW = tiny_game(loss=loss, unroll=unroll, unroll_mode="exact", real_label=0.9)

    def value():
        torch.manual_seed(7)
        return game.unrolled_loss(real_BCHW)

    gradients = torch.autograd.grad(value(), list(game.generator.parameters()))
    _, taken_as_given = looked_ahead(game, real_BCHW)
    step = 1e-6
    for weight, gradient in zip(game.generator.parameters(), gradients, strict=True):
        for place in range(0, weight.numel(), 3):
            values = []
            for change in (step, -2 * step, step):
                with torch.no_grad():
                    weight.view(-1)[place] += change
                values.append(value().item())
            expected = (values[0] - values[1]) / (2 * step)
            assert gradient.flatten()[place].item() == pytest.approx(expected, rel=1e-4, abs=1e-8)
    different = [(one - other).norm() / one.norm() for one, other in zip(gradients, taken_as_given, strict=True)]
    assert max(different) > 0.01, "the gradient does not go through the discriminator's updates"


def looked_ahead(game, real_BCHW):
    """The generator's loss after `unroll` real updates of the discriminator, and its gradient given those."""
    torch.manual_seed(7)
    with rolled_back(game.discriminator, game.optimizer_discriminator):
        for _ in range(game.spec.unroll):
            game.step_discriminator(real_BCHW)
        fake_BCHW = game.generator(game.next_latents(len(real_BCHW)))
        loss = generator_loss(game.spec.loss, game.discriminator(fake_BCHW))
        return loss.detach(), torch.autograd.grad(loss, list(game.generator.parameters()))


@pytest.mark.parametrize("unroll", [1, 3])
def test_exact_unrolling_foresees_what_the_optimiser_would_do(unroll):
    game, real_BCHW = tiny_game(unroll=unroll, unroll_mode="exact")
    torch.manual_seed(7)
    exact = game.unrolled_loss(real_BCHW)
    torch.testing.assert_close(exact.detach(), looked_ahead(game, real_BCHW)[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("discriminator", DISCRIMINATORS)
def test_exact_unrolling_moves_the_generator_alone(discriminator):
    pair = networks(discriminator)
    game = Game(*pair, GanTraining(**QUICK, unroll=2, unroll_mode="exact"))
    real_BCHW = torch.rand(16, 1, 8, 8)
    game.step_discriminator(real_BCHW)
    before = copy.deepcopy([pair[1].state_dict(), game.optimizer_discriminator.state_dict()["state"], pair[0]])
    gradients = [parameter.grad.clone() for parameter in pair[1].parameters()]
    loss, gradient = game.step_generator(real_BCHW)
    assert torch.isfinite(loss)
    assert gradient > 0
    assert not same(before[2], pair[0])
    assert all(torch.equal(value, pair[1].state_dict()[key]) for key, value in before[0].items())
    for index, moments in game.optimizer_discriminator.state_dict()["state"].items():
        assert all(torch.equal(value, before[1][index][key]) for key, value in moments.items())
    assert all(torch.equal(parameter.grad, old) for parameter, old in zip(pair[1].parameters(), gradients, strict=True))


def test_a_dead_unit_does_not_break_exact_unrolling():
    game, real_BCHW = tiny_game(unroll=2, unroll_mode="exact")
    with torch.no_grad():
        game.discriminator.head.weight.zero_()
    game.optimizer_discriminator.state.clear()
    game.step_generator(real_BCHW)
    assert all(torch.isfinite(weight).all() for weight in game.generator.parameters())


@pytest.mark.parametrize("average", [0.0, 0.5])
def test_the_best_of_several_generators_is_kept(average):
    spec = GanTraining(**QUICK, checkpoint_selection=4, ema=average)
    scores, seen = iter([3.0, 1.0, 2.0, 4.0]), []

    def score(generator):
        assert not generator.training
        seen.append(copy.deepcopy(generator))
        return next(scores)

    pair = networks()
    history = train_gan(*pair, IMAGES, spec, 3, "cpu", Callbacks(), score)
    assert len(seen) == 4
    assert same(pair[0], seen[1])
    plain = train(GanTraining(**QUICK, ema=average))
    assert history == plain[2], "scoring changes the training"
    assert same(plain[0], seen[-1])


def test_selection_steps_are_evenly_spaced_and_end_with_the_last():
    assert [number for number in range(10) if is_selection_step(number, 10, 3)] == [3, 6, 9]
    assert [number for number in range(5) if is_selection_step(number, 5, 100)] == [0, 1, 2, 3, 4]
    assert not any(is_selection_step(number, 10, 0) for number in range(10))


def test_a_resumed_run_remembers_its_best_generator():
    spec = GanTraining(**QUICK, checkpoint_selection=6)
    values = [5.0, 1.0, 4.0, 3.0, 2.0, 6.0]

    def run(callbacks, first):
        left = iter(values[first:])
        pair = networks()
        train_gan(*pair, IMAGES, spec, 3, "cpu", callbacks, lambda generator: next(left))
        return pair[0]

    states = []
    whole = run(Callbacks(save=lambda take: states.append(take())), 0)
    for stop in (3, 6, 9):
        assert same(whole, run(Callbacks(state={key: t.clone() for key, t in states[stop].items()}), (stop + 1) // 2))


RESUMED = {
    "plain fc": ("fc", {}),
    "plain conv": ("conv", {}),
    "exactly unrolled conv": ("conv", {"unroll": 2, "unroll_mode": "exact"}),
    "unrolled, averaged fc": ("fc", {"unroll": 2, "ema": 0.9}),
    "unrolled, averaged conv": ("conv", {"unroll": 2, "ema": 0.9, "generator_steps": 2, "real_label": 0.9}),
}


@pytest.mark.parametrize(("discriminator", "settings"), RESUMED.values(), ids=RESUMED.keys())
def test_resumed_run_equals_uninterrupted_run(discriminator, settings):
    spec = GanTraining(**QUICK, **settings)
    states, reports = [], []
    callbacks = Callbacks(lambda take: states.append(take()), lambda *report: reports.append(report))
    whole = train(spec, discriminator, callbacks)
    assert len(states) == len(reports) == 12
    for stop in [*random.Random(0).sample(range(11), 3), 11]:
        resumed = train(spec, discriminator, Callbacks(state={key: t.clone() for key, t in states[stop].items()}))
        assert same(whole[0], resumed[0]), f"generator after stop {stop}"
        assert same(whole[1], resumed[1]), f"discriminator after stop {stop}"
        assert whole[2] == resumed[2], f"history after stop {stop}"


NAMED = {"report-mnist": 24, "report-faces": 4, "faces-that-worked": 8}
"""The report's runs in config/paper.yaml, and the batches that fit into a test."""


@pytest.mark.parametrize(("name", "batch"), NAMED.items())
def test_the_reports_runs_start_and_resume(name, batch):
    study = load_file(ROOT / "config/paper.yaml").study
    gan = study.gans[name]
    spec = gan.training.model_copy(update={"epochs": 1, "batch": batch})
    assert batch <= gan.training.batch
    shape = study.facts(gan.dataset).shape
    images = torch.randint(0, 256, (2 * batch, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def run(callbacks):
        torch.manual_seed(1)
        pair = build("generators", gan.generator.fit(shape)), build("networks", gan.discriminator.fit(shape), 1)
        return *pair, train_gan(*pair, images, spec, 3, "cpu", callbacks)

    states = []
    whole = run(Callbacks(save=lambda take: states.append({key: one.clone() for key, one in take().items()})))
    resumed = run(Callbacks(state=states[0]))
    assert len(states) == 2
    assert same(whole[0], resumed[0])
    assert same(whole[1], resumed[1])


def test_average_is_saved_and_does_not_steer_the_training():
    states = {}
    for average in (0.0, 0.5):
        spec = GanTraining(**QUICK, ema=average)
        taken = []
        generator, discriminator, history = train(spec, "fc", Callbacks(save=lambda take, to=taken: to.append(take())))
        states[average] = generator, discriminator, history, taken
    plain, averaged = states[0.0], states[0.5]
    assert plain[2] == averaged[2]
    assert same(plain[1], averaged[1])
    expected = dict(networks()[0].named_parameters())
    for step, state in enumerate(averaged[3]):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = {
            key: decay * mean.detach() + (1 - decay) * state[f"generator/{key}"] for key, mean in expected.items()
        }
    for key, mean in expected.items():
        torch.testing.assert_close(averaged[0].state_dict()[key], mean)
        assert not torch.equal(plain[0].state_dict()[key], mean)
    for key, value in averaged[0].named_buffers():
        assert torch.equal(value, plain[0].state_dict()[key])


def test_broken_training_ends_in_a_sentence():
    generator, discriminator = networks()
    with torch.no_grad():
        discriminator.head.bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="lower lr_generator"):
        train_gan(generator, discriminator, IMAGES, GanTraining(**QUICK), 0, "cpu", Callbacks())
