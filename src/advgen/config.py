"""The study: one pydantic tree, loaded from YAML and checked before the DAG exists. Torch-free.

Every mistake ends in one `ConfigError` of one or two lines: file and line, the key's path, the value, what is allowed.
"""

from __future__ import annotations

import difflib
import itertools
import os
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator

from advgen import registry
from advgen.references import Section
from advgen.specs import (
    AttackName,
    AutoencoderTraining,
    ClassifierName,
    ClassifierTraining,
    Count,
    DatasetName,
    DerivedDataset,
    EncoderName,
    EncoderTraining,
    EnsembleNetwork,
    Facts,
    FcAutoencoder,
    GanName,
    GanTraining,
    GeneratorName,
    JudgeLadderFigure,
    LatentSearch,
    MaskName,
    PgdAttack,
    Positive,
    Ref,
    Seed,
    Spec,
    show_shape,
)
from advgen.tasks import SUMMARIES, CvFormat

DEFAULT_STUDY = "config/config.yaml"
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
FilePath = Annotated[str, Field(min_length=1)]


class ConfigError(ValueError):
    """A mistake in a study, told in one or two lines."""


# --- the tree --------------------------------------------------------------------------------------------------------


class Definition(Spec):
    """Fields of everything that is trained."""

    dataset: DatasetName = Field(description="data set it is trained on")
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] | None = Field(
        None, description="one training run per seed; null: the study's seeds"
    )


class GanDefinition(Definition):
    """A generator trained against a discriminator."""

    generator: registry.AnyGenerator = Field(description="preset name, or a generator's own keys")
    discriminator: registry.AnyNetwork = Field(description="preset name, or a network's own keys; it gets one logit")
    training: GanTraining = Field(GanTraining(), description="objective and budget")


class AutoencoderDefinition(Definition):
    """An encoder and a decoder trained together."""

    model: registry.AnyAutoencoder = Field(description="preset name, or an autoencoder's own keys")
    training: AutoencoderTraining = Field(AutoencoderTraining(), description="budget")


class GeneratorDefinition(Spec):
    """A generator from a file: it is inverted and inpaints, and nothing is trained."""

    dataset: DatasetName = Field(description="data set whose images it makes")
    file: FilePath = Field(description="its checkpoint, a generator.safetensors")


class EncoderDefinition(Spec):
    """A network that guesses z from an image, trained on a generator's own images: a start for searches."""

    generator: GeneratorName = Field(description="generator that it inverts")
    model: registry.AnyNetwork = Field(description="preset name, or a network's own keys; it gets one output per z")
    training: EncoderTraining = Field(EncoderTraining(), description="budget")


class ClassifierDefinition(Definition):
    """A network trained to name the class."""

    model: registry.AnyNetwork = Field(description="preset name, or a network's own keys")
    training: ClassifierTraining = Field(ClassifierTraining(), description="optimiser and budget")
    images: Count | None = Field(
        None, description="train on only this many images (a seeded choice, more contain fewer); null: on all"
    )
    defence: registry.AnyDefence | None = Field(None, description="what makes it robust; null: plain training")
    masked: bool = Field(
        False,
        description="its gradients are known to be masked or random: broken statistical laws are flags, not failures",
    )


class ProbeDefinition(Spec):
    """A classifier taken out of another model: a discriminator's own decision, or a linear head on frozen features."""

    of: Annotated[str, Ref(("gans", "autoencoders"))] = Field(
        description="the GAN whose discriminator, or the fully connected autoencoder whose encoder, is used"
    )
    part: Literal["decision", "features"] = Field(
        description="decision: the discriminator as a classifier of real (1) and fake (0); features: a trained head"
    )
    dataset: DatasetName = Field(description="data set that it is trained, tested and attacked on")
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] | None = Field(
        None, description="seeds of that model to take it out of; null: all"
    )
    training: ClassifierTraining = Field(ClassifierTraining(), description="of the head; unused for a decision")
    masked: bool = Field(False, description="as for classifiers")


class JudgeDefinition(Spec):
    """The frozen classifier behind Fréchet distances and class counts, one per data set."""

    model: registry.AnyNetwork = Field(
        registry.PRESETS["networks"]["judge-cnn"], description="preset name, or a network's own keys"
    )
    training: ClassifierTraining = Field(ClassifierTraining(), description="optimiser and budget")
    seed: Seed = Field(0, description="seed of its training")


class InversionDefinition(Spec):
    """For each generator, the latent vectors whose images are nearest to test images."""

    generators: tuple[GeneratorName, ...] = Field(min_length=1, description="GANs or generators inverted")
    images: Count = Field(64, description="test images inverted")
    search: LatentSearch = Field(LatentSearch(), description="how z is searched")
    encoder: EncoderName | None = Field(
        None, description="encoder that gives the first start; further ones are drawn around it; null: random starts"
    )


class InpaintingDefinition(Spec):
    """For each generator, test images restored from behind masks."""

    generators: tuple[GeneratorName, ...] = Field(min_length=1, description="GANs or generators that restore")
    masks: tuple[MaskName, ...] = Field(min_length=1, description="masks tried")
    methods: tuple[Literal["full", "masked", "prior"], ...] = Field(
        ("full", "masked"),
        min_length=1,
        description="losses tried: full counts lost pixels as black ones, masked leaves them out, prior adds to that "
        "the discriminator's opinion of the whole image",
    )
    images: Count = Field(64, description="test images restored")
    search: LatentSearch = Field(LatentSearch(), description="how z is searched")


class TruncationDefinition(Spec):
    """Each generator judged with latent vectors from the middle of their distribution (the truncation trick)."""

    generators: tuple[GanName, ...] = Field(min_length=1, description="GANs whose generators are judged")
    thresholds: tuple[Positive, ...] = Field(
        (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0), min_length=1, description="numbers of z beyond this are drawn again"
    )


class InterpolationDefinition(Spec):
    """Frames between pairs of test images, in the latent space of each model."""

    models: tuple[Annotated[str, Ref(("gans", "autoencoders"))], ...] = Field(
        min_length=1, description="GANs (through inversion) and autoencoders (through their encoder)"
    )
    pairs: Count = Field(16, description="pairs of test images with different labels")
    frames: Annotated[int, Field(ge=3)] = Field(9, description="frames per pair, both ends included")
    search: LatentSearch = Field(LatentSearch(), description="how z is searched in a GAN")


class TransferDefinition(Spec):
    """Every target classifier on the adversarial examples of every source."""

    sources: tuple[ClassifierName, ...] = Field(min_length=1, description="classifiers attacked")
    targets: tuple[ClassifierName, ...] = Field(min_length=1, description="classifiers that judge the examples")
    attacks: tuple[AttackName, ...] = Field(min_length=1, description="attacks used")
    rms: Positive | None = Field(
        None, description="scale each perturbation to this RMS before it is shown to the targets; null: as it is"
    )


class LinearityDefinition(Spec):
    """Logits along the sign of the input gradient, from -eps to +eps."""

    sources: tuple[ClassifierName, ...] = Field(min_length=1, description="classifiers examined")
    eps: Positive = Field(0.5, description="farthest step along the sign of the gradient, each pixel")
    points: Annotated[int, Field(ge=3)] = Field(41, description="steps from one end to the other")
    images: Count = Field(100, description="test images examined")


class ConvergenceDefinition(Spec):
    """PGD step by step, from many starts: what more steps and more restarts still find."""

    sources: tuple[ClassifierName, ...] = Field(min_length=1, description="classifiers attacked")
    attack: AttackName = Field(description="a pgd attack; its restarts and active set are not used")
    restarts: Count = Field(10, description="random starts of every image")
    images: Count = Field(100, description="test images attacked")


class Evaluation(Spec):
    """How much is measured."""

    attack_examples: Count = Field(1000, description="test images attacked, a seeded choice")
    gan_samples: Annotated[int, Field(ge=100)] = Field(
        5000, description="samples drawn from each generator to judge it"
    )
    validation: Count = Field(5000, description="training images set apart for validation, never trained on")
    seed: Seed = Field(0, description="seed of the choice of images")


class CvVariant(Spec):
    """A CV that shows a part of the source."""

    selected: bool = Field(False, description="of the publications, only those with selected = {true}")
    tags: tuple[str, ...] = Field(
        (), description="publications with one of these keywords, and items with one of these tags or without any"
    )
    sections: tuple[Section, ...] = Field((), description="only these sections; empty: all that the profile orders")
    overlay: FilePath | None = Field(None, description="its own overlay instead of the CV's")
    formats: tuple[CvFormat, ...] | None = Field(None, description="its own formats instead of the CV's")


class CvDefinition(Spec):
    """The researcher's CV, built from YAML and BibTeX with numbers and figures of the study."""

    profile: FilePath = Field("config/cv/profile.yaml", description="who, where, and the sections")
    bibliography: FilePath = Field("config/cv/publications.bib", description="publications")
    metrics: FilePath | None = Field(
        "config/cv/metrics.yaml", description="citations and stars with their date; null: none are shown"
    )
    overlay: FilePath | None = Field(
        None, description="private YAML, merged over the profile by item id, for this CV and its variants"
    )
    formats: Annotated[tuple[CvFormat, ...], Field(min_length=1)] | None = Field(
        None, description="endings of the files written; null: all, and latex.pdf where latexmk is installed"
    )
    variants: dict[Name, CvVariant] = Field({}, description="more CVs from the same source, results/cv/<name>.*")

    @field_validator("variants")
    @classmethod
    def _not_the_cv_itself(cls, variants: dict[str, CvVariant]) -> dict[str, CvVariant]:
        if "cv" in variants:
            raise ValueError("'cv' is the name of the whole CV; choose another")
        return variants


class Study(Spec):
    """Everything that is computed and shown."""

    title: str = Field("advgen", max_length=200, description="heading of the report")
    base: FilePath | None = Field(
        None, description="another study, relative to this file: its definitions can be used here, and run where used"
    )
    seeds: tuple[Seed, ...] = Field((0,), min_length=1, description="seeds of every training run that names none")
    evaluation: Evaluation = Field(Evaluation(), description="how much is measured")
    judge: JudgeDefinition = Field(JudgeDefinition(), description="the frozen classifier that judges images")
    datasets: dict[Name, registry.AnyDataset] = Field(min_length=1, description="data sets")
    gans: dict[Name, GanDefinition] = Field({}, description="generative adversarial networks")
    autoencoders: dict[Name, AutoencoderDefinition] = Field({}, description="autoencoders")
    classifiers: dict[Name, ClassifierDefinition] = Field({}, description="classifiers to attack")
    masks: dict[Name, registry.AnyMask] = Field({}, description="masks for inpainting")
    attacks: dict[Name, registry.AnyAttack] = Field({}, description="attacks on classifiers")
    generators: dict[Name, GeneratorDefinition] = Field({}, description="generators from files")
    encoders: dict[Name, EncoderDefinition] = Field({}, description="encoders that give searches a start")
    probes: dict[Name, ProbeDefinition] = Field({}, description="classifiers taken out of other models")
    inversions: dict[Name, InversionDefinition] = Field({}, description="searches for latent vectors")
    truncations: dict[Name, TruncationDefinition] = Field({}, description="samples from truncated latent vectors")
    inpaintings: dict[Name, InpaintingDefinition] = Field({}, description="restorations from behind masks")
    interpolations: dict[Name, InterpolationDefinition] = Field({}, description="paths between images")
    transfers: dict[Name, TransferDefinition] = Field({}, description="transfer matrices")
    linearities: dict[Name, LinearityDefinition] = Field({}, description="logits along the gradient's sign")
    convergences: dict[Name, ConvergenceDefinition] = Field({}, description="attacks step by step")
    simulations: dict[Name, registry.AnySimulation] = Field({}, description="theory on made-up distributions")
    figures: dict[Name, registry.AnyFigure] = Field({}, description="figures drawn")
    cv: CvDefinition | None = Field(None, description="the CV; null: none")

    def facts(self, dataset: str) -> Facts:
        """Shape, classes and sizes of a data set, through all that it is made from."""
        spec = self.datasets[dataset]
        return spec.facts(self.facts(spec.base) if isinstance(spec, DerivedDataset) else None)

    def dataset_of(self, model: str) -> str:
        """The data set of a trained model, by its name."""
        families = (self.gans, self.generators, self.autoencoders, self.classifiers, self.probes)
        definition = next(family[model] for family in families if model in family)
        dataset: str = definition.dataset
        return dataset

    def seeds_of(self, model: str) -> tuple[int, ...]:
        """The seeds of a trained model, by its name; a file has seed 0."""
        if model in self.generators:
            return (0,)
        if model in self.probes:
            return self.probes[model].seeds or self.seeds_of(self.probes[model].of)
        return (self.gans | self.autoencoders | self.classifiers)[model].seeds or self.seeds


FAMILIES = tuple(name for name, field in Study.model_fields.items() if get_origin(field.annotation) is dict)


SWEPT = tuple(family for family in FAMILIES if family != "figures")
"""Families whose definitions may stand for several."""


# --- loading ---------------------------------------------------------------------------------------------------------


class Loaded(BaseModel):
    """A checked study, and which definitions its own file asks to run."""

    study: Study
    roots: dict[str, tuple[str, ...]]
    files: tuple[str, ...]


def load_study(config: Mapping[str, Any] | None = None) -> Loaded:
    """The study that Snakemake's `config` asks for: `study=PATH`, a whole study, or the default one.

    Raises ConfigError with one or two lines.
    """
    config = dict(config or {})
    if set(config) <= {"study"}:
        path = config.get("study", DEFAULT_STUDY)
        if not isinstance(path, str):
            raise ConfigError(f"--config study={path!r}: must be the path of a study, e.g. study={DEFAULT_STUDY}")
        return load_file(Path(path))
    if "study" in config:
        extra = next(key for key in config if key != "study")
        raise ConfigError(f"--config {extra}=…: study= names a whole study; edit that file instead, or name no study")
    return _check(config, Source("the config given to Snakemake", {}), None, ())


def load_file(path: Path) -> Loaded:
    """Load and check a study file and its bases; ConfigError with one or two lines."""
    data, source = _read_yaml(path)
    own, files = data, [os.path.normpath(path)]
    folder = path.parent
    while data.get("base") is not None:
        if not isinstance(data["base"], str):
            raise ConfigError(f"{source.at(('base',))}base = {data['base']!r}: must be the path of a study")
        base_path = Path(os.path.normpath(folder / data["base"]))
        if str(base_path) in files:
            raise ConfigError(f"{source.at(('base',))}base = {data['base']!r}: studies are each other's base")
        files.append(str(base_path))
        base, base_source = _read_yaml(base_path)
        data = {**_merge({**base, "cv": None}, data), "base": base.get("base")}
        source = Source(source.name, {**base_source.lines, **source.lines})
        folder = base_path.parent
    return _check({**data, "base": own.get("base")}, source, own if "base" in own else None, tuple(files))


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`; maps at the top level are merged key by key, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = {**base[key], **value} if both else value
    return merged


class Source:
    """Where the keys of a study stand: a file, and a line per path."""

    def __init__(self, name: str, lines: Mapping[tuple[Any, ...], tuple[str, int]]):
        self.name, self.lines = name, dict(lines)

    def at(self, path: tuple[Any, ...]) -> str:
        """`file:line: ` of the deepest known key on a path."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                file, line = self.lines[path[:end]]
                return f"{file}:{line}: "
        return f"{self.name}: "


def _read_yaml(path: Path) -> tuple[dict[str, Any], Source]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        names = sorted(other.name for other in path.parent.glob("[!.]*.yaml"))
        others = f"; there: {', '.join(names)}" if names else "; the usual one is config/config.yaml"
        near = _nearest(path.name, names) or others
        raise ConfigError(f"{path}: no such study{near}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    lines: dict[tuple[Any, ...], tuple[str, int]] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise ConfigError(f"{path}: is empty; copy {DEFAULT_STUDY} to start")
        _note_lines(node, (), str(path), lines, set())
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must be a mapping of keys like 'datasets:', not {type(data).__name__}")
    return data, Source(str(path), lines)


class _Loader(yaml.SafeLoader):
    """Safe loading, for which PyYAML needs a class of its own."""


def _note_lines(
    node: yaml.Node, path: tuple[Any, ...], file: str, lines: dict[tuple[Any, ...], tuple[str, int]], above: set[int]
) -> None:
    """Remember each key's line; refuse duplicate keys and anchors that would make the tree endless or huge."""
    if id(node) in above or len(lines) > 20_000:
        raise ConfigError(f"{file}:{node.start_mark.line + 1}: anchors make this study endless; write it out")
    above = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        seen: dict[Any, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{file}:{line}: a key must be a plain word")
            if key.value in seen:
                where = ".".join(str(part) for part in (*path, key.value))
                raise ConfigError(f"{file}:{line}: {where}: key stands twice (first in line {seen[key.value]})")
            seen[key.value] = line
            lines[(*path, key.value)] = (file, line)
            _note_lines(value, (*path, key.value), file, lines, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, index)] = (file, value.start_mark.line + 1)
            _note_lines(value, (*path, index), file, lines, above)


# --- sweeps ----------------------------------------------------------------------------------------------------------


def expand_sweeps(data: dict[str, Any], source: Source) -> tuple[dict[str, Any], Source, dict[str, tuple[str, ...]]]:
    """Replace every definition that has a `sweep:` by one definition per combination of its values.

    `sweep:` maps a key of the definition (`training.lr`) to a list of whole numbers or words, or to a map from label
    to value; a member is named after the definition and the labels. Also returns each sweep's members.
    """
    expanded, lines, sweeps = dict(data), dict(source.lines), dict[str, tuple[str, ...]]()
    for family in SWEPT:
        definitions = data.get(family)
        if not isinstance(definitions, dict):
            continue
        members: dict[Any, Any] = {}
        for name, definition in definitions.items():
            if not isinstance(definition, dict) or "sweep" not in definition:
                members[name] = definition
                continue
            axes = _axes(definition["sweep"], (family, name, "sweep"), source)
            rest = {key: value for key, value in definition.items() if key != "sweep"}
            made = {}
            for choice in itertools.product(*axes.values()):
                member = rest
                for key, (_, value) in zip(axes, choice, strict=True):
                    member = _with(member, key.split("."), value)
                made["-".join([str(name), *(label for label, _ in choice)])] = member
            for path, at in source.lines.items():
                if path[:2] == (family, name):
                    lines |= {(family, member, *path[2:]): at for member in made}
            doubled = made.keys() & {*definitions, *members}
            if doubled:
                raise _fail(source, (family, name, "sweep"), f": makes {min(doubled)!r}, which is defined already")
            members |= made
            sweeps[str(name)] = tuple(made)
        expanded[family] = members
    return expanded, Source(source.name, lines), sweeps


def _axes(sweep: Any, path: tuple[Any, ...], source: Source) -> dict[str, list[tuple[str, Any]]]:
    """Each swept key with its labelled values."""
    if not isinstance(sweep, dict) or not sweep:
        raise _fail(
            source, path, f" = {_short(sweep)}: must map keys to lists of values, e.g. {{training.unroll: [0, 4]}}"
        )
    axes = {}
    for key, values in sweep.items():
        labelled = values if isinstance(values, dict) else None
        if labelled is None:
            if not isinstance(values, list):
                raise _fail(source, (*path, key), f" = {_short(values)}: must be a list, or a map from label to value")
            for value in values:
                if isinstance(value, bool) or not isinstance(value, (int, str)):
                    message = f" = {_short(value)}: needs a label for its name, e.g. {{small: {_short(value)}}}"
                    raise _fail(source, (*path, key), message)
            labelled = {str(value).lower().replace("_", "-"): value for value in values}
        if not labelled:
            raise _fail(source, (*path, key), ": has no values; name some or take the sweep away")
        axes[str(key)] = [(str(label), value) for label, value in labelled.items()]
    return axes


def _with(definition: Any, keys: list[str], value: Any) -> Any:
    """A copy of a nested map with one key set; a preset's name becomes a map that starts from it."""
    head, *rest = keys
    if isinstance(definition, str):
        definition = {"preset": definition}
    below = definition.get(head, {}) if isinstance(definition, dict) else {}
    return {**(definition if isinstance(definition, dict) else {}), head: _with(below, rest, value) if rest else value}


def _selected(data: dict[str, Any], study: Study, sweeps: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """The study's data with each sweep's name, where a list selects it, replaced by its members."""
    lists = {path[:-1] for path, _, value in references(study) if value in sweeps and isinstance(path[-1], int)}
    for path in lists:
        holder: Any = study
        for key in path:
            holder = holder[key] if isinstance(holder, dict) else getattr(holder, key)
        data = _with(data, [str(key) for key in path], [one for name in holder for one in sweeps.get(name, (name,))])
    return data


# --- checking --------------------------------------------------------------------------------------------------------


def _check(data: dict[str, Any], source: Source, own: dict[str, Any] | None, files: tuple[str, ...]) -> Loaded:
    data, source, sweeps = expand_sweeps(data, source)
    study = _validated(data, source)
    if sweeps:
        study = _validated(_selected(data, study, sweeps), source)
    for check in (_check_names, _check_doubles, _check_references, _check_bases, _check_fits, _check_sizes):
        check(study, source)
    roots = {}
    for family in FAMILIES:
        named = getattr(study, family) if own is None else own.get(family) or {}
        members = sweeps if family in SWEPT else {}
        roots[family] = tuple(member for name in named for member in members.get(name, (name,)))
    return Loaded(study=study, roots=roots, files=files)


def _validated(data: dict[str, Any], source: Source) -> Study:
    try:
        return Study.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_explain(error, source)) from None


def _fail(source: Source, path: tuple[Any, ...], message: str) -> ConfigError:
    return ConfigError(f"{source.at(path)}{_dotted(path)}{message}")


def _check_names(study: Study, source: Source) -> None:
    owner: dict[str, str] = {}
    for family in FAMILIES:
        if family == "figures":
            continue
        for name in getattr(study, family):
            if name in owner:
                raise _fail(source, (family, name), f": the name is taken by {owner[name]}.{name}; names are unique")
            owner[name] = family
    for name in study.transfers:
        if name in SUMMARIES:
            raise _fail(source, ("transfers", name), f": the name is kept for results/tables/{name}.parquet")


def _check_doubles(study: Study, source: Source) -> None:
    """Refuse a name or a seed that stands twice in one list: its rows would be there twice."""
    for path, values in _lists(study, ()):
        doubled = next((value for value in values if values.count(value) > 1), None)
        if doubled is not None:
            raise _fail(source, path, f": {doubled!r} stands twice; name it once")


def _lists(model: BaseModel, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """The lists of names and of seeds in a tree, with their paths."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _lists(value, (*path, name))
        elif isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, BaseModel):
                    yield from _lists(item, (*path, name, key))
        elif isinstance(value, tuple) and (name == "seeds" or all(isinstance(item, str) for item in value)):
            yield (*path, name), value


def _check_references(study: Study, source: Source) -> None:
    for path, families, value in references(study):
        known = [name for family in families for name in getattr(study, family)]
        if value not in known:
            kind = " or ".join(families)
            raise _fail(source, path, f" = {value!r}: no such name in {kind}{_allowed(value, known)}")


def references(model: BaseModel, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], tuple[str, ...], str]]:
    """Every field of a tree that names a definition: its path, the families allowed, the name."""
    for name, field in type(model).model_fields.items():
        marks = tuple(mark for mark in field.metadata if isinstance(mark, Ref))
        yield from _references(field.annotation, marks, getattr(model, name), (*path, name))


def _references(
    annotation: Any, marks: tuple[Ref, ...], value: Any, path: tuple[Any, ...]
) -> Iterator[tuple[tuple[Any, ...], tuple[str, ...], str]]:
    if get_origin(annotation) is Annotated:
        annotation, *rest = get_args(annotation)
        marks = (*marks, *(mark for mark in rest if isinstance(mark, Ref)))
    if marks and isinstance(value, str):
        yield path, marks[0].families, value
    elif isinstance(value, BaseModel):
        yield from references(value, path)
    elif get_origin(annotation) in (Union, types.UnionType) and value is not None:
        for one in get_args(annotation):
            yield from _references(one, (), value, path)
    elif isinstance(value, dict):
        inner = get_args(annotation)[1] if get_origin(annotation) is dict else None
        for key, item in value.items():
            yield from _references(inner, (), item, (*path, key))
    elif isinstance(value, tuple) and get_origin(annotation) is tuple:
        for index, item in enumerate(value):
            yield from _references(get_args(annotation)[0], (), item, (*path, index))


def _check_bases(study: Study, source: Source) -> None:
    """Refuse data sets that are made, over some steps, from themselves."""

    def below(name: str, above: tuple[str, ...]) -> None:
        spec = study.datasets[name]
        if not isinstance(spec, DerivedDataset):
            return
        made_from = {"base": spec.base}
        for need in spec.needs():
            key = next(key for key in type(spec).model_fields if getattr(spec, key) == need.names[0])
            made_from[key] = study.dataset_of(need.names[0])
        for key, dataset in made_from.items():
            if dataset in (*above, name):
                message = f" = {getattr(spec, key)!r}: is itself made from {dataset!r}; choose another"
                raise _fail(source, ("datasets", name, key), message)
            below(dataset, (*above, name))

    for name in study.datasets:
        below(name, ())


def _check_fits(study: Study, source: Source) -> None:
    """Refuse models that cannot see or make the images of their data set, and pairs that do not fit."""
    for name, gan in study.gans.items():
        shape = study.facts(gan.dataset).shape
        made = gan.generator.image_shape()
        if made != shape:
            message = f": makes {show_shape(made)} images, but data set {gan.dataset!r} has {show_shape(shape)} ones"
            raise _fail(source, ("gans", name, "generator"), f"{message}; choose another generator or data set")
        _check_fit(source, ("gans", name, "discriminator"), gan.discriminator, shape)
    for family in ("autoencoders", "classifiers"):
        for name, definition in getattr(study, family).items():
            _check_fit(source, (family, name, "model"), definition.model, study.facts(definition.dataset).shape)
    for name, encoder in study.encoders.items():
        _check_fit(
            source, ("encoders", name, "model"), encoder.model, study.facts(study.dataset_of(encoder.generator)).shape
        )
    for dataset in study.datasets:
        _check_fit(source, ("judge", "model"), study.judge.model, study.facts(dataset).shape)
    for name, classifier in study.classifiers.items():
        stochastic = classifier.defence is not None and classifier.defence.stochastic
        if stochastic != isinstance(classifier.model, EnsembleNetwork):
            message = ": an ensemble is trained by the defence 'bayesian' alone, and that defence needs an ensemble"
            raise _fail(source, ("classifiers", name, "model"), message)
    for name, probe in study.probes.items():
        _check_probe(study, source, name, probe)
    for name, inversion in study.inversions.items():
        made_for = inversion.encoder and study.encoders[inversion.encoder].generator
        if made_for and inversion.generators != (made_for,):
            message = f" = {inversion.encoder!r}: is made for generator {made_for!r}; name that one alone in generators"
            raise _fail(source, ("inversions", name, "encoder"), message)
    for name, inpainting in study.inpaintings.items():
        for number, generator in enumerate(inpainting.generators):
            if "prior" in inpainting.methods and generator in study.generators:
                message = f" = {generator!r}: has no discriminator, which method 'prior' needs; leave one of them out"
                raise _fail(source, ("inpaintings", name, "generators", number), message)
            shape = study.facts(study.dataset_of(generator)).shape
            for index, mask in enumerate(inpainting.masks):
                if not 0 < study.masks[mask].lost(shape) < shape[1] * shape[2]:
                    message = f" = {mask!r}: loses nothing or everything of {show_shape(shape)} images; change the mask"
                    raise _fail(source, ("inpaintings", name, "masks", index), message)
    for name, convergence in study.convergences.items():
        if not isinstance(study.attacks[convergence.attack], PgdAttack):
            message = f" = {convergence.attack!r}: is no pgd attack; name one"
            raise _fail(source, ("convergences", name, "attack"), message)
    for name, figure in study.figures.items():
        if isinstance(figure, JudgeLadderFigure):
            for index, gan_name in enumerate(figure.gans):
                if study.gans[gan_name].dataset != figure.dataset:
                    message = f" = {gan_name!r}: is trained on {study.gans[gan_name].dataset!r}, not {figure.dataset!r}"
                    raise _fail(source, ("figures", name, "gans", index), message)
    for name, transfer in study.transfers.items():
        used = {study.facts(study.dataset_of(one))[:2] for one in (*transfer.sources, *transfer.targets)}
        if len(used) > 1:
            raise _fail(source, ("transfers", name), ": sources and targets see images of different shapes or classes")


def _check_probe(study: Study, source: Source, name: str, probe: ProbeDefinition) -> None:
    """Refuse probes of what has no such part, or on images that the model cannot see."""
    facts, gan = study.facts(probe.dataset), study.gans.get(probe.of)
    strange = set(probe.seeds or ()) - set(study.seeds_of(probe.of))
    if strange:
        trained = ", ".join(map(str, study.seeds_of(probe.of)))
        message = f": {min(strange)} is no seed of {probe.of!r} (trained with {trained})"
        raise _fail(source, ("probes", name, "seeds"), message)
    if study.facts(study.dataset_of(probe.of)).shape != facts.shape:
        raise _fail(
            source, ("probes", name, "dataset"), f" = {probe.dataset!r}: {probe.of!r} sees images of another shape"
        )
    if gan is None and (probe.part == "decision" or not isinstance(study.autoencoders[probe.of].model, FcAutoencoder)):
        message = f" = {probe.of!r}: must be a GAN, or for features an autoencoder of kind 'fc'"
        raise _fail(source, ("probes", name, "of"), message)
    if probe.part == "decision" and facts.classes != 2:
        message = f" = {probe.dataset!r}: a decision needs a data set of kind 'real_fake'"
        raise _fail(source, ("probes", name, "dataset"), message)


def _check_fit(source: Source, path: tuple[Any, ...], model: Any, shape: Any) -> None:
    try:
        model.fit(shape)
    except ValueError as error:
        raise _fail(source, path, f": {error}; choose another model or data set") from None


def _check_sizes(study: Study, source: Source) -> None:
    """Refuse to take more images than a data set has."""
    validation, attacked = study.evaluation.validation, study.evaluation.attack_examples
    for name in study.datasets:
        facts = study.facts(name)
        if validation >= facts.train:
            message = f" = {validation}: data set {name!r} has {facts.train} images to train"
            raise _fail(source, ("evaluation", "validation"), message)
        if attacked > facts.test:
            message = f" = {attacked}: data set {name!r} has only {facts.test} test images"
            raise _fail(source, ("evaluation", "attack_examples"), message)
    for name, classifier in study.classifiers.items():
        left = study.facts(classifier.dataset).train - validation
        if classifier.images is not None and classifier.images > left:
            message = f" = {classifier.images}: only {left} training images are left beside validation"
            raise _fail(source, ("classifiers", name, "images"), message)
    for name, walk in study.interpolations.items():
        for model in walk.models:
            test = study.facts(study.dataset_of(model)).test
            if 4 * walk.pairs > test:
                message = (
                    f" = {walk.pairs}: pairs are sought among four times as many test images, and there are {test}"
                )
                raise _fail(source, ("interpolations", name, "pairs"), message)
    for family, key in (
        ("inversions", "generators"),
        ("inpaintings", "generators"),
        ("linearities", "sources"),
        ("convergences", "sources"),
    ):
        for name, definition in getattr(study, family).items():
            for model in getattr(definition, key):
                test = study.facts(study.dataset_of(model)).test
                if definition.images > test:
                    message = f" = {definition.images}: there are only {test} test images"
                    raise _fail(source, (family, name, "images"), message)


# --- telling what is wrong -------------------------------------------------------------------------------------------


def _explain(error: ValidationError, source: Source) -> str:
    """The first of pydantic's errors in our words, and how many more there are."""
    errors = error.errors(include_url=False)
    first = errors[0]
    path, model = _real_path(first["loc"])
    kind, value = first["type"], first.get("input")
    context = first.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = list(model.model_fields) if model else []
        message = f": unknown key{_allowed(str(path[-1]), allowed)}"
    elif kind == "missing":
        message = ": is missing; " + _describe(model, path[-1])
    elif kind == "union_tag_invalid":
        allowed = [tag.strip(" '") for tag in str(context["expected_tags"]).split(",")]
        path = (*path, str(context["discriminator"]).strip("'"))
        message = f" = {context['tag']!r}: is unknown{_allowed(str(context['tag']), allowed)}"
    elif kind == "union_tag_not_found":
        message = f" = {_short(value)}: needs a key 'kind' that says what it is"
    elif kind == "literal_error":
        allowed = [part.strip(" '") for part in str(context["expected"]).replace(" or ", ",").split(",")]
        message = f" = {_short(value)}: is not allowed{_allowed(str(value), allowed)}"
    elif isinstance(context.get("error"), registry.UnknownName):
        unknown = context["error"]
        message = f" = {_short(unknown.name)}: is unknown{_allowed(str(unknown.name), unknown.allowed)}"
    elif kind == "string_pattern_mismatch" and first["loc"][-1] == "[key]":
        message = ": a name is made of small letters, digits and single hyphens, like 'fc100-b'"
    else:
        message = f" = {_short(value)}: {first['msg'][0].lower()}{first['msg'][1:]}"
    more = f"\n(and {len(errors) - 1} more like it)" if len(errors) > 1 else ""
    return f"{source.at(path)}{_dotted(path)}{message}{more}"


def _real_path(loc: tuple[int | str, ...]) -> tuple[tuple[int | str, ...], type[BaseModel] | None]:
    """pydantic's location without the union tags in it, and the model that holds its last key."""
    annotation: Any = Study
    holder: type[BaseModel] | None = None
    path: list[int | str] = []
    for part in loc:
        if part == "[key]":
            break
        annotation = _plain(annotation)
        classes = [one for one in _members(annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
        if len(classes) > 1:
            tagged = [one for one in classes if part in get_args(one.model_fields["kind"].annotation)]
            if tagged:
                annotation = tagged[0]
                continue
        path.append(part)
        if classes:
            holder = classes[0]
            field = holder.model_fields.get(str(part))
            annotation = field.annotation if field else None
        elif get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        elif get_origin(annotation) is tuple:
            annotation = get_args(annotation)[0]
        else:
            inner = [one for one in _members(annotation) if get_origin(_plain(one)) in (tuple, dict)]
            annotation = get_args(_plain(inner[0]))[0] if inner else None
    return tuple(path), holder


def _plain(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _members(annotation: Any) -> list[Any]:
    """The alternatives of a union, or the annotation alone."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [member for one in get_args(annotation) for member in _members(_plain(one))]
    return [annotation]


def _describe(model: type[BaseModel] | None, key: int | str) -> str:
    field = model.model_fields.get(str(key)) if model else None
    return field.description if field and field.description else "add it"


def _dotted(path: tuple[Any, ...]) -> str:
    parts = (
        part if isinstance(part, str) and part.isprintable() and 0 < len(part) <= 60 else _short(part) for part in path
    )
    return ".".join(parts) or "study"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _nearest(value: str, allowed: list[str]) -> str:
    near = difflib.get_close_matches(value.lower(), allowed, n=1, cutoff=0.5) or [
        one for one in allowed if one.lower() == value.lower()
    ]
    return f"; did you mean {near[0]!r}?" if near else ""


def _allowed(value: str, allowed: list[str]) -> str:
    shown = ", ".join(allowed[:20]) + (", …" if len(allowed) > 20 else "")
    return f"{_nearest(value, allowed)} (allowed: {shown or 'none is defined'})"
