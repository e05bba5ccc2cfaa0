"""The settings of a run that a comparison holds equal: everything that a study defines for it, by dotted key."""

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
"""Settings by dotted key; keys without a value are missing."""
IGNORED = {"seeds", "kind", "obfuscated_gradients", "tested_on"}
"""Keys of definitions in which arms may differ; seeds and test images are compared for each run."""
CLASSIFIER_TRAINING = {"beta1": 0.9, "real_label": 1.0, "r1": 0.0, "gradient_penalty": 0.0, "adversarial_eps": 0.0}
"""Values with which classifiers are trained for keys that only GANs have."""
DISCRIMINATOR_KEYS = {"epochs", "batch", "lr_discriminator", *CLASSIFIER_TRAINING}
"""Keys of a GAN's training that describe its discriminator, with the keys of a classifier."""


class Difference(NamedTuple):
    """A key in which runs of two arms differ, with its first values; None for a missing value."""

    arm: str
    other: str
    key: str
    values: tuple[Any, Any]

    def is_covered_by(self, name: str) -> bool:
        """Whether a name in the study covers this key: the key itself, or one above it.

        A key above it covers the kind below it and keys that only one arm has.
        """
        of_one_arm = None in self.values or self.key.endswith(".kind")
        return self.key == name or (of_one_arm and self.key.startswith(f"{name}."))


def compare_arms(runs: Mapping[str, list[Facts]], baseline: str) -> Iterator[Difference]:
    """Yield the differences between the n-th runs of each pair of arms, the pairs with the baseline first."""
    for other, arm in combinations([baseline, *(arm for arm in runs if arm != baseline)], 2):
        found = dict[str, tuple[Any, Any]]()
        for of_arm, of_other in zip(runs[arm], runs[other], strict=True):
            for key in {**of_other, **of_arm}:
                values = (of_arm.get(key), of_other.get(key))
                if values[0] != values[1] and None in found.get(key, (None,)):
                    found[key] = values
        yield from (Difference(arm, other, key, values) for key, values in found.items())


def describe_model(study: Study, name: str) -> Facts:
    """Return the settings of a model, its training and its test images."""
    return flatten({**_describe_training(study, name), "test images": _find_test_images(study, study.tested_on(name))})


def describe_inversion(study: Study, name: str, generator: str) -> Facts:
    """Return the settings of an inversion with one generator, of the generator, and of the encoder if there is one."""
    definition: InversionDefinition = study.inversions[name]
    facts = definition.model_dump(mode="json", exclude={"generators", "encoder"})
    facts["generators"] = _describe_training(study, generator)
    if definition.encoder:
        facts["encoder"] = study.encoders[definition.encoder].model_dump(mode="json", exclude={"generator"})
    return flatten({**facts, "test images": _find_test_images(study, study.dataset_of(generator))})


def _describe_training(study: Study, name: str) -> dict[str, Any]:
    """Return the keys of a model's definition, with names replaced by their definitions, and the training steps."""
    definition = getattr(study, study.family_of(name))[name]
    facts: dict[str, Any] = definition.model_dump(mode="json", exclude=IGNORED)
    facts["dataset"] = _describe_dataset(study, definition.dataset)
    if "eps" in (facts.get("defence") or ()):  # in L∞, unless the defence names another norm
        facts["defence"] = {"norm": "linf", **facts["defence"]}
    if isinstance(definition, ClassifierDefinition | ProbeDefinition):
        facts["training"] |= CLASSIFIER_TRAINING
        facts.setdefault("threshold", "fitted")  # a classifier's bias is fitted to the training images, too
    if isinstance(definition, ClassifierDefinition | GanDefinition | AutoencoderDefinition | ProbeDefinition):
        images = getattr(definition, "images", None) or study.training_images(definition.dataset)
        facts |= {"images": images, "steps": steps_in(definition.training.epochs, definition.training.batch, images)}
    for key in {"generator", "discriminator", "model"} & facts.keys():
        facts[key] = getattr(definition, key).fit(study.facts(definition.dataset).shape).model_dump(mode="json")
    if isinstance(definition, ProbeDefinition):
        facts |= _describe_source(study, definition)
    return facts


def _describe_source(study: Study, probe: ProbeDefinition) -> dict[str, Any]:
    """Return what a probe is taken from; a discriminator is described with the keys of a classifier."""
    source, as_classifier = _describe_training(study, probe.of), dict[str, Any]()
    if probe.of in study.gans:
        as_classifier, source = _describe_discriminator(study.gans[probe.of], source)
    if probe.part == "decision":
        return {**as_classifier, "dataset": _describe_dataset(study, probe.dataset), "of": source, "body": None}
    source |= {**as_classifier, "training": source["training"] | as_classifier.get("training", {})}
    # A random body only has the architecture of its source.
    return {"of": {"model": source["model"]} if probe.body == "random" else source}


def _describe_discriminator(gan: GanDefinition, facts: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a discriminator with the keys of a classifier, and the remaining settings of its GAN."""
    training = facts["training"]
    # A step uses as many generated images as real ones.
    as_classifier = ClassifierTraining(
        epochs=gan.training.epochs, batch=2 * gan.training.batch, lr=gan.training.lr_discriminator, decay=False
    )
    discriminator = {
        "dataset": facts["dataset"],
        "model": facts["discriminator"],
        "training": as_classifier.model_dump(mode="json") | {key: training[key] for key in CLASSIFIER_TRAINING},
        "images": facts["images"],
        "steps": gan.training.discriminator_steps * facts["steps"],
    }
    rest = {key: value for key, value in training.items() if key not in DISCRIMINATOR_KEYS}
    return discriminator, {"generator": facts["generator"], "training": rest}


def _describe_dataset(study: Study, name: str) -> dict[str, Any]:
    """Return the keys of a data set and of its bases by kind, and the kinds from the last to the first."""
    facts, kinds = dict[str, Any](), list[str]()
    while True:
        spec = study.datasets[name]
        keys = spec.model_dump(mode="json", exclude={"kind", "base"})
        for need in spec.needs() if isinstance(spec, DerivedDataset) else ():
            [model] = need.names
            keys |= {key: _describe_training(study, model) for key, value in keys.items() if value == model}
        kinds.append(spec.kind)
        facts[spec.kind if spec.kind not in facts else f"{spec.kind} {kinds.count(spec.kind)}"] = keys
        if not isinstance(spec, DerivedDataset):
            return {"kind": " of ".join(kinds), **facts}
        name = spec.base


def _find_test_images(study: Study, dataset: str) -> str:
    """Return the data set whose test split a data set uses."""
    spec = study.datasets[dataset]
    is_inherited = isinstance(spec, DerivedDataset) and "test" not in spec.splits
    return _find_test_images(study, spec.base) if is_inherited else dataset


def flatten(values: Mapping[str, Any], prefix: str = "") -> Facts:
    """Return nested maps as one map with dotted keys, without missing values."""
    facts: Facts = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            facts |= flatten(value, f"{prefix}{key}.")
        elif value is not None:
            facts[f"{prefix}{key}"] = value
    return facts
