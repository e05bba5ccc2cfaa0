"""Which code stands behind each kind of thing: one line per spec class. Torch-free; targets are imported when used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial, reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic_core import core_schema

from advgen.presets import PRESETS
from advgen.specs import attacks, autoencoders, datasets, defences, generators, masks, networks, simulations
from advgen.specs.base import PARSERS, Spec

DATASETS: dict[type[Spec], str] = {
    datasets.MnistDataset: "advgen.data.mnist:mnist",
    datasets.FashionMnistDataset: "advgen.data.mnist:fashion_mnist",
    datasets.Cifar10Dataset: "advgen.data.cifar:cifar10",
    datasets.CelebaDataset: "advgen.data.celeba:celeba",
    datasets.DrawnFacesDataset: "advgen.data.drawn_faces:drawn_faces",
    datasets.SymbolsDataset: "advgen.data.symbols:symbols",
    datasets.PartDataset: "advgen.data.part:part",
    datasets.ShuffledLabels: "advgen.data.shuffled_labels:shuffled_labels",
    datasets.RobustFeatures: "advgen.data.robust_features:robust_features",
    datasets.AdversarialLabels: "advgen.data.adversarial_labels:adversarial_labels",
    datasets.Stimuli: "advgen.data.stimuli:stimuli",
    datasets.RealFake: "advgen.data.real_fake:real_fake",
}
NETWORKS: dict[type[Spec], str] = {
    networks.FcNetwork: "advgen.models.networks:FullyConnected",
    networks.ConvNetwork: "advgen.models.networks:Convolutional",
    networks.EnsembleNetwork: "advgen.models.ensemble:Ensemble",
}
GENERATORS: dict[type[Spec], str] = {
    generators.FcGenerator: "advgen.models.generators:FullyConnected",
    generators.TransposedConvGenerator: "advgen.models.generators:TransposedConvolutional",
}
AUTOENCODERS: dict[type[Spec], str] = {
    autoencoders.ConvAutoencoder: "advgen.models.autoencoders:Convolutional",
    autoencoders.FcAutoencoder: "advgen.models.autoencoders:FullyConnected",
}
DEFENCES: dict[type[Spec], str] = {
    defences.NoiseDefence: "advgen.training.defences.noise:Noise",
    defences.FgsmDefence: "advgen.training.defences.fgsm:Fgsm",
    defences.PgdDefence: "advgen.training.defences.pgd:Pgd",
    defences.FastDefence: "advgen.training.defences.fast:Fast",
    defences.IbpDefence: "advgen.training.defences.ibp:Ibp",
    defences.PoolDefence: "advgen.training.defences.pool:Pool",
    defences.DeepDefence: "advgen.training.defences.deep_defense:DeepDefense",
    defences.BayesianDefence: "advgen.training.defences.bayesian:Bayesian",
}
MASKS: dict[type[Spec], str] = {
    masks.PepperMask: "advgen.inpainting.masks.pepper:pepper",
    masks.CrosswalkMask: "advgen.inpainting.masks.crosswalk:crosswalk",
    masks.SquareMask: "advgen.inpainting.masks.square:square",
    masks.GlassesMask: "advgen.inpainting.masks.glasses:glasses",
}
ATTACKS: dict[type[Spec], str] = {
    attacks.FgsmAttack: "advgen.attacks.fgsm:fgsm",
    attacks.PgdAttack: "advgen.attacks.pgd:pgd",
    attacks.ApgdAttack: "advgen.attacks.apgd:apgd",
    attacks.UniversalAttack: "advgen.attacks.universal:universal",
    attacks.RegionAttack: "advgen.attacks.region:region",
    attacks.LbfgsAttack: "advgen.attacks.lbfgs:lbfgs",
    attacks.DeepFoolAttack: "advgen.attacks.deepfool:deepfool",
    attacks.FmnAttack: "advgen.attacks.fmn:fmn",
    attacks.JsmaAttack: "advgen.attacks.jsma:jsma",
    attacks.CarliniWagnerAttack: "advgen.attacks.carlini_wagner:carlini_wagner",
    attacks.SquareAttack: "advgen.attacks.square:square",
    attacks.HopSkipJumpAttack: "advgen.attacks.hop_skip_jump:hop_skip_jump",
    attacks.EnsembleAttack: "advgen.attacks.ensemble:ensemble",
    attacks.OnePixelAttack: "advgen.attacks.one_pixel:one_pixel",
    attacks.SpatialAttack: "advgen.attacks.spatial:spatial",
    attacks.GaussianNoise: "advgen.attacks.gaussian_noise:gaussian_noise",
}
SIMULATIONS: dict[type[Spec], str] = {
    simulations.GaussianModel: "advgen.simulations.gaussian_model:gaussian_model",
    simulations.BernoulliModel: "advgen.simulations.bernoulli_model:bernoulli_model",
    simulations.Spheres: "advgen.simulations.spheres:spheres",
}
FIGURES: dict[type[Spec], str] = {}
"""Filled by the catalog: a figure is registered by the kind of experiment in whose room it stands."""
SUMMARISERS: dict[str, str] = {}
"""What makes the rows of a kind of table; filled by the catalog."""
FAMILIES: dict[str, dict[type[Spec], str]] = {
    "datasets": DATASETS,
    "networks": NETWORKS,
    "generators": GENERATORS,
    "autoencoders": AUTOENCODERS,
    "defences": DEFENCES,
    "masks": MASKS,
    "attacks": ATTACKS,
    "simulations": SIMULATIONS,
    "figures": FIGURES,
}

_TARGETS = {spec: target for family in FAMILIES.values() for spec, target in family.items()}


def add(family: str, spec: type[Spec], target: str) -> None:
    """Register one more kind of a family, with the code behind it as "module:name"."""
    FAMILIES[family][spec] = _TARGETS[spec] = target


def kind_of(spec: type[Spec]) -> str:
    """The `kind` by which a spec class is chosen."""
    kind: str = spec.model_fields["kind"].annotation.__args__[0]  # type: ignore[union-attr]
    return kind


def kinds(family: str) -> dict[str, type[Spec]]:
    """The spec class behind each `kind` of a family."""
    return {kind_of(spec): spec for spec in FAMILIES[family]}


def target(spec: Spec) -> str:
    """The function or class registered for a spec, as "module:name"."""
    return _TARGETS[type(spec)]


def resolve(spec: Spec) -> Callable[..., Any]:
    """The function or class registered for a spec, imported now."""
    return load_target(target(spec))


def load_target(target: str) -> Callable[..., Any]:
    """The function or class that a "module:name" stands for, imported now."""
    module, name = target.split(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def targets(spec: object) -> Iterator[str]:
    """The code behind a spec and all that is nested in it, as "module:name": what is registered, and the classes."""
    if type(spec) in _TARGETS:
        yield _TARGETS[type(spec)]  # type: ignore[index]
    if isinstance(spec, BaseModel):
        yield f"{type(spec).__module__}:{type(spec).__qualname__}"
        for name in type(spec).model_fields:
            yield from targets(getattr(spec, name))
    elif isinstance(spec, Mapping):
        for value in spec.values():
            yield from targets(value)
    elif isinstance(spec, (list, tuple)):
        for value in spec:
            yield from targets(value)


def parse(family: str, value: Any) -> Any:
    """A nested spec of any kind of a family, from its keys or from the name of a preset."""
    return _adapter(family, len(FAMILIES[family])).validate_python(value)


@cache
def _adapter(family: str, kinds: int) -> TypeAdapter[Any]:
    """Made anew when a kind is added."""
    return TypeAdapter(union(family))


@dataclass(frozen=True)
class _Preset:
    """Also takes a preset's name, or a mapping with `preset:` and changes to it, for the preset's full spec."""

    family: str

    def expand(self, value: Any) -> Any:
        """The keys behind a name."""
        name, changes = (value, {}) if isinstance(value, str) else (None, value)
        if isinstance(value, Mapping) and "preset" in value:
            changes = dict(value)
            name = changes.pop("preset")
        if name is None:
            return value
        presets = PRESETS[self.family]
        if not isinstance(name, str) or name not in presets:
            raise UnknownName(name, sorted(presets))
        return {**presets[name].model_dump(), **changes}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        names = {"enum": sorted(PRESETS[self.family]), "description": f"preset of {self.family}"}
        changed = {
            "type": "object",
            "properties": {"preset": names},
            "required": ["preset"],
            "description": "a preset with changes to it",
        }
        return {"anyOf": [names, changed, handler(core)]}


class UnknownName(ValueError):
    """A name that stands for nothing; carries what is allowed."""

    def __init__(self, name: object, allowed: list[str]):
        super().__init__(f"{name!r} is unknown")
        self.name, self.allowed = name, allowed


def union(family: str) -> Any:
    """The type of a field that takes any kind of a family known by now, told apart by `kind`; or a preset's name."""
    classes = tuple(FAMILIES[family])
    one = Annotated[reduce(or_, classes), Field(discriminator="kind")] if len(classes) > 1 else classes[0]
    return Annotated[one, _Preset(family)] if family in PRESETS else one


for _family in FAMILIES:
    PARSERS[_family] = partial(parse, _family)

if TYPE_CHECKING:
    AnyDataset = datasets.DatasetSpec
    AnyNetwork = networks.NetworkSpec
    AnyGenerator = generators.GeneratorSpec
    AnyAutoencoder = autoencoders.AutoencoderSpec
    AnyDefence = defences.DefenceSpec
    AnyMask = masks.MaskSpec
    AnyAttack = attacks.AttackSpec
    AnySimulation = simulations.SimulationSpec
else:
    AnyDataset = union("datasets")
    AnyNetwork = union("networks")
    AnyGenerator = union("generators")
    AnyAutoencoder = union("autoencoders")
    AnyDefence = union("defences")
    AnyMask = union("masks")
    AnyAttack = union("attacks")
    AnySimulation = union("simulations")
