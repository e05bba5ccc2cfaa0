"""Registry: the code of each spec class, one line each. Torch-free; targets are imported when they are used."""

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial, reduce
from operator import or_
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic_core import core_schema

from advgen.presets import PRESETS
from advgen.specs import attacks, autoencoders, datasets, defences, figures, generators, masks, networks, simulations
from advgen.specs.base import PARSERS, Spec

DATASETS: dict[type[Spec], str] = {
    datasets.MnistDataset: "advgen.data.mnist:mnist",
    datasets.FashionMnistDataset: "advgen.data.mnist:fashion_mnist",
    datasets.Cifar10Dataset: "advgen.data.cifar:cifar10",
    datasets.CelebaDataset: "advgen.data.celeba:celeba",
    datasets.DrawnFacesDataset: "advgen.data.drawn_faces:drawn_faces",
    datasets.SymbolsDataset: "advgen.data.symbols:symbols",
    datasets.FolderDataset: "advgen.data.custom_splits:custom_splits",
    datasets.NpzDataset: "advgen.data.custom_splits:custom_splits",
    datasets.ParquetDataset: "advgen.data.custom_splits:custom_splits",
    datasets.PartDataset: "advgen.data.subsets:part",
    datasets.LearntImages: "advgen.data.subsets:learnt_images",
    datasets.ShuffledLabels: "advgen.data.subsets:shuffled_labels",
    datasets.RobustFeatures: "advgen.data.from_models:robust_features",
    datasets.AdversarialLabels: "advgen.data.from_models:adversarial_labels",
    datasets.Stimuli: "advgen.data.stimuli:stimuli",
    datasets.RealFake: "advgen.data.from_models:real_fake",
}
NETWORKS: dict[type[Spec], str] = {
    networks.FcNetwork: "advgen.models.networks:FullyConnected",
    networks.ConvNetwork: "advgen.models.networks:Convolutional",
    networks.EnsembleNetwork: "advgen.models.ensemble:Ensemble",
}
FROM_FILES: dict[type[Spec], str] = {networks.FileNetwork: "advgen.models.from_file:FromFile"}
"""Networks that are loaded from files of the user."""
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
    attacks.FabAttack: "advgen.attacks.fab:fab",
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
"""Figures. The catalog fills it from the kinds of experiments."""
SUMMARISERS: dict[str, str] = {}
"""The function that makes the rows of each kind of summary. The catalog fills it."""
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

BASES: dict[str, type[Spec]] = {
    "datasets": datasets.DatasetSpec,
    "networks": networks.NetworkSpec,
    "generators": generators.GeneratorSpec,
    "autoencoders": autoencoders.AutoencoderSpec,
    "defences": defences.DefenceSpec,
    "masks": masks.MaskSpec,
    "attacks": attacks.AttackSpec,
    "simulations": simulations.SimulationSpec,
    "figures": figures.FigureSpec,
}
"""The base of all spec classes of a family."""
REQUIRED_PACKAGES: dict[str, tuple[str, ...]] = {}
"""Packages whose versions are recorded in the stamps of results made with a plug-in, by its target."""

_TARGETS = {spec: target for family in (*FAMILIES.values(), FROM_FILES) for spec, target in family.items()}


def add(family: str, spec: type[Spec], target: str) -> None:
    """Register a kind of a family with its code as "module:name"."""
    FAMILIES[family][spec] = _TARGETS[spec] = target
    _adapter.cache_clear()


def register(spec: type[Spec], code: Callable[..., Any], packages: Iterable[str] = ()) -> None:
    """Register a custom kind, such as an attack, mask, network or figure. The base of its spec class is its family.

    The same module may register a kind again, as a notebook cell does.

    Args:
        spec: class with the keys of the kind, and a field `kind` with its name.
        code: function or class that implements it, at the top level of its module.
        packages: names of packages whose versions affect its results.

    Raises:
        ValueError: the kind already exists, or cannot be imported by its name.
    """
    name = getattr(spec, "__name__", repr(spec))
    family = next((one for one, base in BASES.items() if isinstance(spec, type) and issubclass(spec, base)), None)
    if family is None:
        known = ", ".join(base.__name__ for base in BASES.values())
        raise ValueError(f"{name}: is not a spec class of a family; derive it from one of {known}")
    if "kind" not in spec.model_fields or len(get_args(spec.model_fields["kind"].annotation)) != 1:
        raise ValueError(f'{name}: has no kind; give it `kind: Literal["{name.lower()}"]`')
    for one in (spec, code):
        if not callable(one) or "<" in getattr(one, "__qualname__", "<"):
            raise ValueError(f"{one!r}: cannot be imported by its name; define it at the top level of a module")
    target = f"{code.__module__}:{code.__qualname__}"
    if taken := kinds(family).get(kind_of(spec)):
        if (taken.__module__, taken.__qualname__) != (spec.__module__, spec.__qualname__):
            raise ValueError(
                f"{name}: the kind {kind_of(spec)!r} is already used by {taken.__module__}; choose another"
            )
        del FAMILIES[family][taken]
    add(family, spec, target)
    REQUIRED_PACKAGES[target] = tuple(packages)


def kind_of(spec: type[Spec]) -> str:
    """Return the `kind` that selects a spec class."""
    kind: str = spec.model_fields["kind"].annotation.__args__[0]  # type: ignore[union-attr]
    return kind


def kinds(family: str) -> dict[str, type[Spec]]:
    """Return the spec class of each `kind` of a family."""
    return {kind_of(spec): spec for spec in FAMILIES[family]}


def target(spec: Spec) -> str:
    """Return the function or class of a spec as "module:name"."""
    return _TARGETS[type(spec)]


def resolve(spec: Spec) -> Callable[..., Any]:
    """Import and return the function or class of a spec."""
    return load_target(target(spec))


def load_target(target: str) -> Callable[..., Any]:
    """Import and return a function or class given as "module:name"."""
    module, name = target.split(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def nested_specs(value: object) -> Iterator[BaseModel]:
    """Yield every spec in a value, which may be a spec, mapping, list or tuple."""
    inner: Iterable[object] = ()
    if isinstance(value, BaseModel):
        yield value
        inner = (getattr(value, name) for name in type(value).model_fields)
    elif isinstance(value, Mapping):
        inner = value.values()
    elif isinstance(value, (list, tuple)):
        inner = value
    for one in inner:
        yield from nested_specs(one)


def targets(value: object) -> Iterator[str]:
    """Yield the code of all specs in a value as "module:name": registered targets, and the spec classes."""
    for spec in nested_specs(value):
        if type(spec) in _TARGETS:
            yield _TARGETS[type(spec)]  # type: ignore[index]
        yield f"{type(spec).__module__}:{type(spec).__qualname__}"


def entries(value: object) -> Iterator[tuple[str, str]]:
    """Yield the registry entries that the specs in a value use: name of the spec class, and target."""
    for spec in nested_specs(value):
        if type(spec) in _TARGETS:
            yield type(spec).__qualname__, _TARGETS[type(spec)]  # type: ignore[index]


def parse(family: str, value: Any) -> Any:
    """Return a spec of any kind of a family, from its keys or the name of a preset."""
    return _adapter(family).validate_python(_expand_preset(family, value))


@cache
def _adapter(family: str) -> TypeAdapter[Any]:
    return TypeAdapter(union(family))


def union(family: str) -> Any:
    """Return the union of all registered kinds of a family, discriminated by `kind`."""
    classes = tuple(FAMILIES[family])
    return Annotated[reduce(or_, classes), Field(discriminator="kind")] if len(classes) > 1 else classes[0]


def _expand_preset(family: str, value: Any) -> Any:
    """Return the keys of a preset given by name, or by a mapping with `preset` and changed keys."""
    name, changes = (value, {}) if isinstance(value, str) else (None, value)
    if family not in PRESETS:
        return value
    if isinstance(value, Mapping) and "preset" in value:
        changes = dict(value)
        name = changes.pop("preset")
    if name is None:
        return value
    presets = PRESETS[family]
    if not isinstance(name, str) or name not in presets:
        raise UnknownName(name, sorted(presets))
    return {**presets[name].model_dump(), **changes}


class UnknownName(ValueError):
    """An unknown name, with the allowed names."""

    def __init__(self, name: object, allowed: list[str]):
        super().__init__(f"{name!r} is unknown")
        self.name, self.allowed = name, allowed


@dataclass(frozen=True)
class AnyOf:
    """Marks a field that accepts any kind of a family, the name of a preset, or a changed preset."""

    family: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return core_schema.no_info_plain_validator_function(partial(parse, self.family))

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        kinds = handler(_adapter(self.family).core_schema)
        if self.family not in PRESETS:
            return kinds
        names = {"enum": sorted(PRESETS[self.family]), "description": f"preset of {self.family}"}
        changed = {
            "type": "object",
            "properties": {"preset": names},
            "required": ["preset"],
            "description": "a preset with changed keys",
        }
        return {"anyOf": [names, changed, kinds]}


for _family in FAMILIES:
    PARSERS[_family] = partial(parse, _family)

AnyDataset = Annotated[datasets.DatasetSpec, AnyOf("datasets")]
AnyNetwork = Annotated[networks.NetworkSpec, AnyOf("networks")]
AnyGenerator = Annotated[generators.GeneratorSpec, AnyOf("generators")]
AnyAutoencoder = Annotated[autoencoders.AutoencoderSpec, AnyOf("autoencoders")]
AnyDefence = Annotated[defences.DefenceSpec, AnyOf("defences")]
AnyMask = Annotated[masks.MaskSpec, AnyOf("masks")]
AnyAttack = Annotated[attacks.AttackSpec, AnyOf("attacks")]
AnySimulation = Annotated[simulations.SimulationSpec, AnyOf("simulations")]
AnyFigure = Annotated[figures.FigureSpec, AnyOf("figures")]
