"""What a comparison holds equal of a run: all that a study settles of it, by dotted key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

from advgen.core.definitions import Study
from advgen.experiments.autoencoders.experiment import AutoencoderDefinition
from advgen.experiments.classifiers.experiment import ClassifierDefinition
from advgen.experiments.gans.experiment import GanDefinition
from advgen.experiments.inversions.experiment import InversionDefinition
from advgen.experiments.probes.experiment import ProbeDefinition
from advgen.geometry.steps import steps_in
from advgen.specs.datasets import DerivedDataset
from advgen.specs.training import ClassifierTraining

Facts = dict[str, Any]
"""What is settled, by dotted key; what has no value is not there."""
NO_POINT = {"seeds", "kind", "obfuscated_gradients", "tested_on"}
"""Keys of definitions in which arms may always differ; seeds and test images count for each run."""
CLASSIFIERS = {"beta1": 0.9, "real_label": 1.0, "r1": 0.0, "gradient_penalty": 0.0, "adversarial_eps": 0.0}
"""How classifiers are trained in what only GANs have a key for."""
DISCRIMINATOR = {"epochs", "batch", "lr_discriminator", *CLASSIFIERS}
"""Keys of a GAN's training that are told of its discriminator in the words of a classifier."""


class Difference(NamedTuple):
    """A key in which runs of two arms are not alike, with its first values; None where there is none."""

    arm: str
    other: str
    key: str
    values: tuple[Any, Any]

    def named_by(self, name: str) -> bool:
        """Whether a name in the study says so: the key itself, or one above it.

        The latter stands for the kind below it and for the keys that only one arm has. Where both have a value, it is a
        difference of its own.
        """
        of_one = None in self.values or self.key.endswith(".kind")
        return self.key == name or (of_one and self.key.startswith(f"{name}."))


def find_differences(runs: Mapping[str, list[Facts]], baseline: str) -> Iterator[Difference]:
    """In what the arms' n-th runs differ, pair by pair of arms, the baseline's first."""
    for other, arm in combinations([baseline, *(arm for arm in runs if arm != baseline)], 2):
        found = dict[str, tuple[Any, Any]]()
        for one, two in zip(runs[arm], runs[other], strict=True):
            for key in {**two, **one}:
                values = (one.get(key), two.get(key))
                if values[0] != values[1] and None in found.get(key, (None,)):
                    found[key] = values
        yield from (Difference(arm, other, key, values) for key, values in found.items())


def describe_model(study: Study, name: str) -> Facts:
    """What a model is, what it was trained on and how, and the images that it is tested on."""
    return flatten({**_trained(study, name), "test images": _tests(study, study.tested_on(name))})


def describe_inversion(study: Study, name: str, generator: str) -> Facts:
    """How the images of one generator are searched, by what help, and how the generator was trained."""
    definition: InversionDefinition = study.inversions[name]
    told = definition.model_dump(mode="json", exclude={"generators", "encoder"})
    told["generators"] = _trained(study, generator)
    if definition.encoder:
        told["encoder"] = study.encoders[definition.encoder].model_dump(mode="json", exclude={"generator"})
    return flatten({**told, "test images": _tests(study, study.dataset_of(generator))})


def _trained(study: Study, name: str) -> dict[str, Any]:
    """The keys of a model's definition, each name in it replaced by what it stands for, and what follows from them."""
    definition = getattr(study, study.family_of(name))[name]
    told: dict[str, Any] = definition.model_dump(mode="json", exclude=NO_POINT)
    told["dataset"] = _dataset(study, definition.dataset)
    if "eps" in (told.get("defence") or ()):  # the change of a pixel, where no other norm is named
        told["defence"] = {"norm": "linf", **told["defence"]}
    if isinstance(definition, ClassifierDefinition | ProbeDefinition):
        told["training"] |= CLASSIFIERS
        told.setdefault("threshold", "fitted")  # to the training images, as a bias is
    if isinstance(definition, ClassifierDefinition | GanDefinition | AutoencoderDefinition | ProbeDefinition):
        images = getattr(definition, "images", None) or study.training_images(definition.dataset)
        told |= {"images": images, "steps": steps_in(definition.training.epochs, definition.training.batch, images)}
    for key in {"generator", "discriminator", "model"} & told.keys():
        told[key] = getattr(definition, key).fit(study.facts(definition.dataset).shape).model_dump(mode="json")
    if isinstance(definition, ProbeDefinition):
        told |= _taken(study, definition)
    return told


def _taken(study: Study, probe: ProbeDefinition) -> dict[str, Any]:
    """What a probe is taken out of; a decision is told in the words of a classifier, as a discriminator's body is."""
    of, words = _trained(study, probe.of), dict[str, Any]()
    if probe.of in study.gans:
        words, of = _discriminator(study.gans[probe.of], of)
    if probe.part == "decision":
        return {**words, "dataset": _dataset(study, probe.dataset), "of": of, "body": None}
    of |= {**words, "training": of["training"] | words.get("training", {})}
    # of a random body nothing but the network is left
    return {"of": {"model": of["model"]} if probe.body == "random" else of}


def _discriminator(gan: GanDefinition, told: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A discriminator in the words of a classifier, and all else that is told of its GAN."""
    training = told["training"]
    # a step sees as many generated images as real ones
    words = ClassifierTraining(
        epochs=gan.training.epochs, batch=2 * gan.training.batch, lr=gan.training.lr_discriminator, decay=False
    )
    discriminator = {
        "dataset": told["dataset"],
        "model": told["discriminator"],
        "training": words.model_dump(mode="json") | {key: training[key] for key in CLASSIFIERS},
        "images": told["images"],
        "steps": gan.training.discriminator_steps * told["steps"],
    }
    rest = {key: value for key, value in training.items() if key not in DISCRIMINATOR}
    return discriminator, {"generator": told["generator"], "training": rest}


def _dataset(study: Study, name: str) -> dict[str, Any]:
    """The keys of a data set and of those that it is made from, by kind, and the kinds from the last to the first."""
    told, kinds = dict[str, Any](), list[str]()
    while True:
        spec = study.datasets[name]
        own = spec.model_dump(mode="json", exclude={"kind", "base"})
        for need in spec.needs() if isinstance(spec, DerivedDataset) else ():
            [model] = need.names
            own |= {key: _trained(study, model) for key, value in own.items() if value == model}
        kinds.append(spec.kind)
        told[spec.kind if spec.kind not in told else f"{spec.kind} {kinds.count(spec.kind)}"] = own
        if not isinstance(spec, DerivedDataset):
            return {"kind": " of ".join(kinds), **told}
        name = spec.base


def _tests(study: Study, dataset: str) -> str:
    """The data set whose test images another one has."""
    spec = study.datasets[dataset]
    made = isinstance(spec, DerivedDataset) and "test" not in spec.splits
    return _tests(study, spec.base) if made else dataset


def flatten(value: Mapping[str, Any], above: str = "") -> Facts:
    """Nested maps as one with dotted keys, without what has no value."""
    told: Facts = {}
    for key, one in value.items():
        if isinstance(one, Mapping):
            told |= flatten(one, f"{above}{key}.")
        elif one is not None:
            told[f"{above}{key}"] = one
    return told
