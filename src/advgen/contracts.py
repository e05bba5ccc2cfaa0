"""What every attack, mask and network must do: asked of all registered ones by the tests, of a plug-in by its author.

A check takes a spec and raises AssertionError with what is wrong. It gives a reason where it does not apply, else "".
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from advgen import registry
from advgen.core.code import sibling_file
from advgen.io.checkpoints import build
from advgen.models.predict import predict
from advgen.specs.attacks import AttackSpec
from advgen.specs.base import Spec
from advgen.specs.figures import FigureSpec
from advgen.specs.masks import MaskSpec
from advgen.specs.networks import ConvNetwork, NetworkSpec

N, CLASSES = 12, 5
INDICES = [100 + 7 * row for row in range(N)]
SHAPES = ((1, 28, 28), (3, 32, 32))

Check = Callable[[Any], str]


def classifier() -> nn.Module:
    """Convolution, batch norm and dropout, so that a wrong mode shows; modes and gradients deliberately mixed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ConvNetwork(kind="conv", channels=(4, 4), kernel=3, padding=1, batch_norm=True, dropout=0.5)
        model: Any = build("networks", network.fit((1, 12, 12)), CLASSES)
    with torch.no_grad():
        model.head.weight.mul_(5)
    model.train()
    model.body[0].eval()
    model.head.bias.requires_grad_(False)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    module: nn.Module = model
    return module


@cache
def _images() -> Tensor:
    """With pixels at both ends of the box and between."""
    return (torch.rand(N, 1, 12, 12, generator=torch.Generator().manual_seed(1)) * 1.6 - 0.3).clamp(0, 1)


def examples() -> tuple[Tensor, Tensor]:
    """Images (N, 1, 12, 12) and labels (N,)."""
    return _images().clone(), torch.arange(N) % CLASSES


def attacked(
    spec: AttackSpec, model: nn.Module, x: Tensor, y: Tensor, indices: list[int] = INDICES, seed: int = 0
) -> Tensor:
    """What an attack makes of images; one that learns from others first is given all examples."""
    attack = registry.resolve(spec)
    if spec.others():
        others, labels = examples()
        attack = attack(model, others.to(x.dtype), labels, spec, seed=seed)
    found: Tensor = attack(model, x, y, spec, seed=seed, indices=indices)
    return found


def snapshot(model: nn.Module) -> dict[str, Any]:
    """Everything about a model that an attack could disturb, and the global random state."""
    return {
        "modes": [module.training for module in model.modules()],
        "weights": {name: value.clone() for name, value in model.state_dict().items()},
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "grad": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "random": torch.get_rng_state(),
    }


def untouched(before: dict[str, Any], model: nn.Module) -> str:
    """Fail if anything of a model is other than before."""
    after = snapshot(model)
    assert after["modes"] == before["modes"], "changes the model's training flags; use attacks.common.frozen"
    assert after["requires_grad"] == before["requires_grad"], "changes what needs a gradient; use attacks.common.frozen"
    assert torch.equal(after["random"], before["random"]), "changes the global random state; draw with advgen.seeds"
    for name, value in before["weights"].items():
        assert torch.equal(after["weights"][name], value), f"changes the model's {name}; use attacks.common.frozen"
    for a, b in zip(after["grad"], before["grad"], strict=True):
        assert a is b is None or torch.equal(a, b), "leaves gradients in the model; use torch.autograd.grad"
    return ""


# --- attacks ---------------------------------------------------------------------------------------------------------


def gives_images_like_its_input(spec: AttackSpec) -> str:
    """Gives images of the shape and type that it is given, and leaves those alone."""
    model, (x, y) = classifier(), examples()
    found = attacked(spec, model, x, y)
    assert isinstance(found, Tensor), f"gives a {type(found).__name__}, not a tensor"
    assert (found.shape, found.dtype) == (x.shape, x.dtype), f"gives {tuple(found.shape)} of {found.dtype}"
    assert not found.requires_grad, "gives images that still have a graph; detach them"
    assert torch.equal(x, examples()[0]), "writes into its input"
    assert not torch.equal(found, x), "changes nothing"
    return ""


def stays_in_ball_and_box(spec: AttackSpec) -> str:
    """Stays in the box [0, 1] and in the ball that `threat()` tells."""
    x, y = examples()
    found, threat = attacked(spec, classifier(), x, y), spec.threat()
    in_box = found.min() >= 0 and found.max() <= 1
    assert in_box or not spec.stays_in_box(), f"leaves the box: pixels from {found.min():g} to {found.max():g}"
    delta = (found.double() - x.double()).flatten(1)
    sizes = {
        "linf": delta.abs().amax(1),
        "l2": delta.norm(dim=1),
        "l1": delta.norm(1, dim=1),
        "l0": (delta != 0).sum(1),
    }
    if threat.eps is None or threat.norm not in sizes:
        return "has no ball"
    farthest = sizes[threat.norm].max().item()
    slack = 1e-6 * max(1, threat.eps)
    assert farthest <= threat.eps + slack, f"leaves the {threat.norm} ball: {farthest:g} > eps {threat.eps:g}"
    return ""


def repeats_itself(spec: AttackSpec) -> str:
    """Gives the same examples for the same seed, whatever the global random state."""
    model, (x, y) = classifier(), examples()
    first = attacked(spec, model, x, y)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        assert torch.equal(attacked(spec, model, x, y), first), "differs at the same seed; draw with advgen.seeds"
    return ""


def keeps_rows_apart(spec: AttackSpec) -> str:
    """Gives a row that does not depend on its batch: in float64, where no sum's order turns a gradient's sign."""
    tolerance = 1e-6 if getattr(spec, "kind", "") == "lbfgs" else 1e-9  # which amplifies it
    model, (x, y) = classifier().double(), examples()
    x = x.double()
    whole = attacked(spec, model, x, y)
    for rows in ([3], [11, 0, 5], list(range(1, 9))):
        part = attacked(spec, model, x[rows], y[rows], [INDICES[row] for row in rows])
        off = (part - whole[rows]).abs().max().item()
        assert off <= tolerance, f"gives other examples in another batch, by {off:g}; draw per index, sum no losses up"
    return ""


def does_nothing_without_a_budget(spec: AttackSpec) -> str:
    """Is the identity at eps = 0."""
    if "eps" not in type(spec).model_fields:
        return "has no eps"
    if spec.members():
        return "has members, and each refuses to be made without a budget"
    x, y = examples()
    found = attacked(spec.model_copy(update={"eps": 0.0}), classifier(), x, y)
    assert torch.equal(found, x), "changes images at eps = 0"
    return ""


def leaves_the_model_alone(spec: AttackSpec) -> str:
    """Leaves parameters, gradients, modes and the global random state as they were."""
    model = classifier()
    before = snapshot(model)
    attacked(spec, model, *examples())
    return untouched(before, model)


def leaves_the_model_alone_when_it_fails(spec: AttackSpec) -> str:
    """The same when the model raises in the middle."""
    model: Any = classifier()
    calls = []

    def fail_late(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 2 or spec.threat().steps == 1:
            raise RuntimeError("out of memory")

    model.head.register_forward_hook(fail_late)
    before = snapshot(model)
    with contextlib.suppress(RuntimeError):
        attacked(spec, model, *examples())
    return untouched(before, model)


def works_without_gradients_around_it(spec: AttackSpec) -> str:
    """Works inside torch.no_grad."""
    model, (x, y) = classifier(), examples()
    with torch.no_grad():
        inside = attacked(spec, model, x, y)
    assert torch.equal(inside, attacked(spec, model, x, y)), "gives other examples inside torch.no_grad"
    return ""


def raises_the_loss(spec: AttackSpec) -> str:
    """Makes the model less sure of the labels."""
    if spec.threat().access == "none" or spec.threat().norm == "spatial":
        return "looks at nothing, or has no start at the image itself"
    model, (x, y) = classifier(), examples()
    found = attacked(spec, model, x, y)
    model.eval()
    with torch.no_grad():
        before, after = (nn.functional.cross_entropy(model(images), y).item() for images in (x, found))
    assert after > before, f"lowers the loss, from {before:.3g} to {after:.3g}"
    return ""


# --- every family ----------------------------------------------------------------------------------------------------


def refuses_bad_keys(spec: Spec) -> str:
    """Refuses keys that it does not know, numbers that are none, and words for numbers."""
    given = spec.model_dump()
    tried: list[dict[str, Any]] = [{"no_such_key": 1}]
    numbers = [name for name, value in given.items() if type(value) in (int, float)]
    tried += [{name: value} for name in numbers for value in ("1", float("nan"), True)]
    for one in tried:
        with contextlib.suppress(ValidationError, ValueError):
            type(spec)(**{**given, **one})
            [(name, value)] = one.items()
            raise AssertionError(f"takes {name} = {value!r}")
    return ""


def reads_its_own_keys(spec: Spec) -> str:
    """Comes back from what a job is told, which is JSON."""
    family = next(family for family, kinds in registry.FAMILIES.items() if type(spec) in kinds)
    again = registry.parse(family, type(spec).model_validate_json(spec.canonical()).model_dump())
    assert again == spec, "is another after a way through JSON; keep its keys plain"
    return ""


def describes_its_keys(spec: Spec) -> str:
    """Says what it is and what each key means: the page of config keys is made of it."""
    assert type(spec).__doc__, "has no docstring"
    bare = [name for name, field in type(spec).model_fields.items() if not field.description]
    assert not bare, f"{bare[0]} has no description; write Field(…, description=…)"
    return ""


# --- masks -----------------------------------------------------------------------------------------------------------


def loses_what_it_promises(spec: MaskSpec) -> str:
    """Blackens as many pixels as `missing()` says, some and not all, on images of any shape."""
    for shape in SHAPES:
        known = registry.resolve(spec)(spec, shape, seed=0, indices=list(range(50)))
        assert known.dtype == torch.bool and known.shape == (50, *shape[1:]), "gives no (images, height, width) of bool"
        lost = set((~known).flatten(1).sum(1).tolist())
        assert lost == {spec.missing(shape)}, f"loses {sorted(lost)[:3]} pixels, and missing() is {spec.missing(shape)}"
        assert 0 < spec.missing(shape) < shape[1] * shape[2], "loses nothing, or everything"
    return ""


def is_drawn_per_image(spec: MaskSpec) -> str:
    """Depends on seed and index, neither on the batch nor on the global random state, which it leaves alone."""
    mask, before = registry.resolve(spec), torch.get_rng_state()
    indices = [7, 3, 123, 0, 9999]
    known = mask(spec, SHAPES[0], seed=1, indices=indices)
    alone = torch.cat([mask(spec, SHAPES[0], seed=1, indices=[index]) for index in indices])
    assert torch.equal(known, alone), "depends on the batch; draw with advgen.seeds per index"
    assert torch.equal(before, torch.get_rng_state()), "changes the global random state; draw with advgen.seeds"
    return ""


# --- networks --------------------------------------------------------------------------------------------------------


def _networks(spec: NetworkSpec) -> Iterator[tuple[Any, Tensor]]:
    for shape in SHAPES:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = build("networks", spec.fit(shape), 7)
            yield network, torch.rand(8, *shape)


def gives_logits_and_features(spec: NetworkSpec) -> str:
    """Gives finite logits (B, outputs) of grey and of colour images, and features that its head sees."""
    for network, x in _networks(spec):
        logits = network.eval()(x)
        assert logits.shape == (8, 7) and logits.dtype == torch.float32, f"gives {tuple(logits.shape)}, not (8, 7)"
        assert torch.isfinite(logits).all(), "gives logits that are not finite"
        features = network.features(x)
        assert features.ndim == 2, f"has features {tuple(features.shape)}, not (B, F)"
        assert torch.equal(network.head(features), logits), "head(features(x)) is not what it gives"
    return ""


def learns_everywhere(spec: NetworkSpec) -> str:
    """Has a finite gradient at every parameter."""
    for network, x in _networks(spec):
        network.train()
        nn.functional.cross_entropy(network(x), torch.arange(8) % 7).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), f"{name} has no finite gradient"
    return ""


def predicts_row_by_row(spec: NetworkSpec) -> str:
    """Gives an image the same logits in any batch, in eval mode."""
    for network, x in _networks(spec):
        _, whole = predict(network, x)
        _, parts = predict(network, x, batch=3)
        off = (whole - parts).abs().max().item()
        assert off < 1e-4, f"gives other logits in another batch, by {off:g}"
    return ""


def has_a_caption(spec: FigureSpec) -> str:
    """Has a caption beside the code that draws it, for the report."""
    file = sibling_file(registry.target(spec), f"{registry.kind_of(type(spec))}.rst")
    assert Path(file).is_file(), f"{file}: no such file; write the caption there"
    return ""


EVERY: tuple[Check, ...] = (describes_its_keys, refuses_bad_keys, reads_its_own_keys)
CHECKS: dict[str, tuple[Check, ...]] = {
    "attacks": (
        gives_images_like_its_input,
        stays_in_ball_and_box,
        repeats_itself,
        keeps_rows_apart,
        does_nothing_without_a_budget,
        leaves_the_model_alone,
        leaves_the_model_alone_when_it_fails,
        works_without_gradients_around_it,
        raises_the_loss,
    ),
    "masks": (loses_what_it_promises, is_drawn_per_image),
    "networks": (gives_logits_and_features, learns_everywhere, predicts_row_by_row),
    "figures": (has_a_caption,),
}
"""Beside those for every family."""


def run_checks(family: str, spec: Spec) -> Iterator[tuple[str, str, str]]:
    """Each check's status (pass, skip or fail), its name in words, and the reason."""
    for check in (*CHECKS.get(family, ()), *EVERY):
        words = check.__name__.replace("_", " ")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                reason = check(spec)
                yield "skip" if reason else "pass", words, reason
            except AssertionError as error:
                yield "fail", words, str(error)
            except Exception as error:
                yield "fail", words, f"raises {type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
