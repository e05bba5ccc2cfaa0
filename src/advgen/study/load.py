"""Load a study from YAML and check it. The first mistake raises a ConfigError of one or two lines. Torch-free."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from advgen.core import definitions, plugins
from advgen.core.errors import ConfigError
from advgen.files import user_files
from advgen.study.checks import check
from advgen.study.errors import config_error, explain, suggest_nearest
from advgen.study.renamed import replace_old_names
from advgen.study.sweeps import SweptValues, expand_sweeps, find_overridden, select_members, swept_values
from advgen.study.tree import FAMILIES, SWEPT, Study
from advgen.study.yaml import DEFAULT_STUDY, Source, convert_numbers, read_yaml


@dataclass(frozen=True)
class LoadedStudy:
    """A checked study with its files. `roots` has the names of the definitions to run, by family."""

    study: definitions.Study
    roots: dict[str, tuple[str, ...]]
    files: tuple[str, ...]
    varied: SweptValues = field(default_factory=dict)
    source: Source = field(default_factory=lambda: Source("", {}))


def load_study(config: Mapping[str, Any] | None = None, files: Iterable[str | Path] = ()) -> LoadedStudy:
    """Load the study in Snakemake's `config`: `study=PATH`, a whole study, or the default one.

    If one of Snakemake's configuration `files` contains the same study, it is loaded from that file. Errors then name
    its lines, `base` is relative to it, and `advgen verify` can find it.

    Raises:
        ConfigError: the study has a mistake.
    """
    config = dict(config or {})
    whole = {key: value for key, value in config.items() if key != "study"}
    if whole and (file := _find_file(convert_numbers(whole), files)):
        config = {"study": config.get("study", file)}
    elif whole:
        _check_keys(whole, "study" in config)
    if set(config) <= {"study"}:
        path = config.get("study", DEFAULT_STUDY)
        if not isinstance(path, str) or not path:
            raise ConfigError(f"--config study={path!r}: must be the path of a study, e.g. study={DEFAULT_STUDY}")
        return load_file(Path(path))
    if "study" in config:
        extra = next(key for key in config if key != "study")
        raise ConfigError(f"--config {extra}=…: not allowed together with study=; edit the study file, or omit study=")
    source = Source("Snakemake's config", {})
    _load_plugins(config, source, Path())
    return _check(convert_numbers(config), source, None, ())


def _check_keys(config: Mapping[str, Any], names_study: bool) -> None:
    """Raise ConfigError at a key that no study has, or if a few keys are given instead of a whole study."""
    usual = f"name a study: --config study={DEFAULT_STUDY}"
    for key in config:
        if key not in Study.model_fields:
            name = key if key.isprintable() else repr(key)
            suggestion = suggest_nearest(key, ["study", *Study.model_fields])
            raise ConfigError(f"--config {name}=…: unknown key; {usual}{suggestion}")
    if "datasets" not in config and not names_study:
        key = next(iter(config))
        raise ConfigError(f"--config {key}=…: datasets is missing; edit a study file and {usual}")


def _find_file(study: dict[str, Any], files: Iterable[str | Path]) -> str | None:
    """Return the path of the file with this study, if any."""
    for file in files:
        try:
            if read_yaml(Path(file))[0] == study:
                return os.path.relpath(file)
        except ConfigError:
            continue  # a configuration file of another workflow
    return None


def load_file(path: Path) -> LoadedStudy:
    """Load and check a study file and its bases.

    Raises:
        ConfigError: the study has a mistake.
    """
    data, source = read_yaml(path)
    first, files = data, [os.path.normpath(path)]
    folder = path.parent
    _load_plugins(data, source, folder)
    while data.get("base") is not None:
        if not isinstance(data["base"], str):
            raise ConfigError(f"{source.at(('base',))}base = {data['base']!r}: must be the path of a study")
        base_path = Path(os.path.normpath(folder / data["base"]))
        if str(base_path) in files:
            raise ConfigError(
                f"{source.at(('base',))}base = {data['base']!r}: studies are each other's base; remove one base"
            )
        files.append(str(base_path))
        base, base_source = read_yaml(base_path)
        data = {**_merge({**base, "cv": None}, data), "base": base.get("base")}
        source = Source(source.name, {**base_source.lines, **source.lines})
        folder = base_path.parent
        _load_plugins(base, base_source, folder)
    return _check({**data, "base": first.get("base")}, source, first if "base" in first else None, tuple(files))


def _load_plugins(data: Mapping[str, Any], source: Source, folder: Path) -> None:
    """Load the plug-ins of one study file, before its keys are checked."""
    names = data.get("plugins")
    for position, name in enumerate(names if isinstance(names, list) else ()):
        if isinstance(name, str):
            try:
                plugins.load([Path(os.path.normpath(folder / name))])
            except ValueError as error:
                raise config_error(source, ("plugins", position), f" = {name!r}: {error}") from None


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` updated with `over`; maps at the top level are merged key by key, other values are replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = {**base[key], **value} if both else value
    return merged


def _check(data: dict[str, Any], source: Source, first: dict[str, Any] | None, files: tuple[str, ...]) -> LoadedStudy:
    """Check a study; `first` is its first file without the bases, whose definitions are run, or None for all."""
    user_files.clear_cache()
    unexpanded = data
    data, source, sweeps, varied = expand_sweeps(data, source)
    study, data = _validate(data, source)
    for path, definition in find_overridden(unexpanded):
        family, name, *_ = path
        _validate({**data, family: {**data[family], name: definition}}, source, path)
    if sweeps:
        study, data = _validate(select_members(data, study, sweeps), source)
    check(study, source)
    roots = {}
    for family in FAMILIES:
        names = getattr(study, family) if first is None else first.get(family) or {}
        members = sweeps if family in SWEPT else {}
        roots[family] = tuple(member for name in names for member in members.get(name, (name,)))
    return LoadedStudy(study=study, roots=roots, files=files, varied=swept_values(study, varied), source=source)


def _validate(data: dict[str, Any], source: Source, at: tuple[str, ...] = ()) -> tuple[Any, dict[str, Any]]:
    """Return the study and its data with old names replaced; with `at`, only mistakes at that path are errors."""
    try:
        return Study.model_validate(data), data
    except ValidationError as error:
        renamed = replace_old_names(data, error, Study, source)
        if renamed is not data:
            return _validate(renamed, source, at)
        if message := explain(error, source, Study, at):
            raise ConfigError(message) from None
        return None, data
