"""Contracts: checks that every attack, mask, network and figure must pass, built-in or custom.

A check takes a spec and raises AssertionError with the problem. It returns the reason if it does not apply, else "".
"""

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
    """Return a network with batch norm and dropout whose modes and gradients are deliberately mixed."""
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
    """Return images with pixels at both ends of the box and in between."""
    return (torch.rand(N, 1, 12, 12, generator=torch.Generator().manual_seed(1)) * 1.6 - 0.3).clamp(0, 1)


def examples() -> tuple[Tensor, Tensor]:
    """Return images (N, 1, 12, 12) and labels (N,)."""
    return _images().clone(), torch.arange(N) % CLASSES


def run_attack(
    spec: AttackSpec, model: nn.Module, x: Tensor, y: Tensor, indices: list[int] = INDICES, seed: int = 0
) -> Tensor:
    """Return the images after an attack; one that is trained on other images first gets all examples."""
    attack = registry.resolve(spec)
    if spec.others():
        others, labels = examples()
        attack = attack(model, others.to(x.dtype), labels, spec, seed=seed)
    found: Tensor = attack(model, x, y, spec, seed=seed, indices=indices)
    return found


def snapshot(model: nn.Module) -> dict[str, Any]:
    """Return all state of a model that an attack could change, and the global random state."""
    return {
        "modes": [module.training for module in model.modules()],
        "weights": {name: value.clone() for name, value in model.state_dict().items()},
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "grad": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "random": torch.get_rng_state(),
    }


def assert_unchanged(before: dict[str, Any], model: nn.Module) -> str:
    """Raise AssertionError if the state of a model differs from `before`."""
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


def returns_images_like_its_input(spec: AttackSpec) -> str:
    """Returns images of the shape and dtype of its input, and does not change its input."""
    model, (x, y) = classifier(), examples()
    found = run_attack(spec, model, x, y)
    assert isinstance(found, Tensor), f"returns a {type(found).__name__}, not a tensor"
    assert (found.shape, found.dtype) == (x.shape, x.dtype), f"returns {tuple(found.shape)} of {found.dtype}"
    assert not found.requires_grad, "returns images with a graph; detach them"
    assert torch.equal(x, examples()[0]), "changes its input"
    assert not torch.equal(found, x), "returns the input unchanged"
    return ""


def stays_in_ball_and_box(spec: AttackSpec) -> str:
    """Stays in the box [0, 1] and in the ball of `threat()`."""
    x, y = examples()
    found, threat = run_attack(spec, classifier(), x, y), spec.threat()
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


def is_deterministic(spec: AttackSpec) -> str:
    """Returns the same examples for the same seed, whatever the global random state."""
    model, (x, y) = classifier(), examples()
    first = run_attack(spec, model, x, y)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        assert torch.equal(run_attack(spec, model, x, y), first), (
            "returns other examples for the same seed; draw with advgen.seeds"
        )
    return ""


def is_independent_of_the_batch(spec: AttackSpec) -> str:
    """Returns rows that do not depend on the batch: in float64, so that rounding does not flip signs of gradients."""
    tolerance = 1e-6 if getattr(spec, "kind", "") == "lbfgs" else 1e-9  # which amplifies rounding errors
    model, (x, y) = classifier().double(), examples()
    x = x.double()
    whole = run_attack(spec, model, x, y)
    for rows in ([3], [11, 0, 5], list(range(1, 9))):
        part = run_attack(spec, model, x[rows], y[rows], [INDICES[row] for row in rows])
        off = (part - whole[rows]).abs().max().item()
        assert off <= tolerance, (
            f"returns other examples in another batch, by {off:g}; draw per index, do not average over the batch"
        )
    return ""


def is_the_identity_without_a_budget(spec: AttackSpec) -> str:
    """Is the identity at eps = 0."""
    if "eps" not in type(spec).model_fields:
        return "has no eps"
    if spec.members():
        return "has members, which need a budget"
    x, y = examples()
    found = run_attack(spec.model_copy(update={"eps": 0.0}), classifier(), x, y)
    assert torch.equal(found, x), "changes images at eps = 0"
    return ""


def restores_the_model(spec: AttackSpec) -> str:
    """Leaves parameters, gradients, modes and the global random state unchanged."""
    model = classifier()
    before = snapshot(model)
    run_attack(spec, model, *examples())
    return assert_unchanged(before, model)


def restores_the_model_after_an_error(spec: AttackSpec) -> str:
    """Does so even if the model raises an error."""
    model: Any = classifier()
    calls = []

    def fail_late(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 2 or spec.threat().steps == 1:
            raise RuntimeError("out of memory")

    model.head.register_forward_hook(fail_late)
    before = snapshot(model)
    with contextlib.suppress(RuntimeError):
        run_attack(spec, model, *examples())
    return assert_unchanged(before, model)


def works_inside_no_grad(spec: AttackSpec) -> str:
    """Works inside torch.no_grad."""
    model, (x, y) = classifier(), examples()
    with torch.no_grad():
        inside = run_attack(spec, model, x, y)
    assert torch.equal(inside, run_attack(spec, model, x, y)), "returns other examples inside torch.no_grad"
    return ""


def raises_the_loss(spec: AttackSpec) -> str:
    """Raises the cross-entropy of the labels."""
    if spec.threat().access == "none" or spec.threat().norm == "spatial":
        return "does not query the model, or does not start at the image"
    model, (x, y) = classifier(), examples()
    found = run_attack(spec, model, x, y)
    model.eval()
    with torch.no_grad():
        before, after = (nn.functional.cross_entropy(model(images), y).item() for images in (x, found))
    message = f"lowers the loss of the labels, from {before:.3g} to {after:.3g}; is it too weak with these keys?"
    assert after > before, message
    return ""


# --- every family ----------------------------------------------------------------------------------------------------


def rejects_invalid_keys(spec: Spec) -> str:
    """Rejects unknown keys, NaN, and text and booleans in place of numbers."""
    keys = spec.model_dump()
    numbers = [name for name, value in keys.items() if type(value) in (int, float)]
    invalid = [("no_such_key", 1), *((name, value) for name in numbers for value in ("1", float("nan"), True))]
    for name, value in invalid:
        with contextlib.suppress(ValidationError, ValueError):
            type(spec)(**{**keys, name: value})
            raise AssertionError(f"accepts {name} = {value!r}")
    return ""


def survives_a_round_trip_through_json(spec: Spec) -> str:
    """Is equal after a round trip through JSON, in which jobs receive it."""
    family = next(family for family, kinds in registry.FAMILIES.items() if type(spec) in kinds)
    again = registry.parse(family, type(spec).model_validate_json(spec.canonical()).model_dump())
    assert again == spec, "differs after a round trip through JSON; use plain types for its keys"
    return ""


def describes_its_keys(spec: Spec) -> str:
    """Has a docstring and a description of each key, for the reference of config keys."""
    assert type(spec).__doc__, "has no docstring"
    bare = [name for name, field in type(spec).model_fields.items() if not field.description]
    assert not bare, f"{bare[0]} has no description; write Field(…, description=…)"
    return ""


# --- masks -----------------------------------------------------------------------------------------------------------


def hides_as_many_pixels_as_missing(spec: MaskSpec) -> str:
    """Hides exactly `missing()` pixels, at least one and not all, on images of any shape."""
    for shape in SHAPES:
        known = registry.resolve(spec)(spec, shape, seed=0, indices=list(range(50)))
        assert known.dtype == torch.bool and known.shape == (50, *shape[1:]), (
            "does not return (images, height, width) of bool"
        )
        lost = set((~known).flatten(1).sum(1).tolist())
        assert lost == {spec.missing(shape)}, f"hides {sorted(lost)[:3]} pixels, but missing() is {spec.missing(shape)}"
        assert 0 < spec.missing(shape) < shape[1] * shape[2], "hides no pixel, or all"
    return ""


def depends_on_seed_and_index_only(spec: MaskSpec) -> str:
    """Depends on seed and index, not on the batch or the global random state, which it leaves unchanged."""
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


def returns_logits_and_features(spec: NetworkSpec) -> str:
    """Returns finite logits (B, outputs) for grey and colour images, and the features that its head uses."""
    for network, x in _networks(spec):
        logits = network.eval()(x)
        assert logits.shape == (8, 7) and logits.dtype == torch.float32, f"returns {tuple(logits.shape)}, not (8, 7)"
        assert torch.isfinite(logits).all(), "returns logits that are not finite"
        features = network.features(x)
        assert features.ndim == 2, f"has features {tuple(features.shape)}, not (B, F)"
        assert torch.equal(network.head(features), logits), "head(features(x)) differs from its output"
    return ""


def has_gradients_for_all_parameters(spec: NetworkSpec) -> str:
    """Has a finite gradient for every parameter."""
    for network, x in _networks(spec):
        network.train()
        nn.functional.cross_entropy(network(x), torch.arange(8) % 7).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), f"{name} has no finite gradient"
    return ""


def predicts_independently_of_the_batch(spec: NetworkSpec) -> str:
    """Returns the same logits for an image in any batch, in eval mode."""
    for network, x in _networks(spec):
        _, whole = predict(network, x)
        _, parts = predict(network, x, batch=3)
        off = (whole - parts).abs().max().item()
        assert off < 1e-4, f"returns other logits in another batch, by {off:g}"
    return ""


def has_a_caption(spec: FigureSpec) -> str:
    """Has a caption for the report, in the folder of its code."""
    file = sibling_file(registry.target(spec), f"{registry.kind_of(type(spec))}.rst")
    assert Path(file).is_file(), f"{file}: no such file; write the caption there"
    return ""


EVERY: tuple[Check, ...] = (describes_its_keys, rejects_invalid_keys, survives_a_round_trip_through_json)
CHECKS: dict[str, tuple[Check, ...]] = {
    "attacks": (
        returns_images_like_its_input,
        stays_in_ball_and_box,
        is_deterministic,
        is_independent_of_the_batch,
        is_the_identity_without_a_budget,
        restores_the_model,
        restores_the_model_after_an_error,
        works_inside_no_grad,
        raises_the_loss,
    ),
    "masks": (hides_as_many_pixels_as_missing, depends_on_seed_and_index_only),
    "networks": (returns_logits_and_features, has_gradients_for_all_parameters, predicts_independently_of_the_batch),
    "figures": (has_a_caption,),
}
"""The checks of each family, besides those for all families."""


def run_checks(family: str, spec: Spec) -> Iterator[tuple[str, str, str]]:
    """Yield each check's status (pass, skip or fail), its name in words, and the reason."""
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
