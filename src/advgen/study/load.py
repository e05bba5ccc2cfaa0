"""From YAML to a checked study. Every mistake ends in one ConfigError of one or two lines. Torch-free."""

from __future__ import annotations

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
from advgen.study.sweeps import SweptValues, expand_sweeps, find_overridden, select_members, swept_values
from advgen.study.tree import FAMILIES, SWEPT, Study
from advgen.study.yaml import DEFAULT_STUDY, Source, convert_numbers, read_yaml


@dataclass(frozen=True)
class LoadedStudy:
    """A checked study, and which definitions its own file asks to run."""

    study: definitions.Study
    roots: dict[str, tuple[str, ...]]
    files: tuple[str, ...]
    varied: SweptValues = field(default_factory=dict)
    source: Source = field(default_factory=lambda: Source("", {}))


def load_study(config: Mapping[str, Any] | None = None, files: Iterable[str | Path] = ()) -> LoadedStudy:
    """The study that Snakemake's `config` asks for: `study=PATH`, a whole study, or the default one.

    A whole study that one of `files`, Snakemake's configuration files, holds is loaded from there: with its lines, its
    base, and a name by which `advgen verify` finds it. Raises ConfigError with one or two lines.
    """
    config = dict(config or {})
    whole = {key: value for key, value in config.items() if key != "study"}
    if whole and (holder := _holder(convert_numbers(whole), files)):
        config = {"study": config.get("study", holder)}
    elif whole:
        _check_keys(whole, "study" in config)
    if set(config) <= {"study"}:
        path = config.get("study", DEFAULT_STUDY)
        if not isinstance(path, str) or not path:
            raise ConfigError(f"--config study={path!r}: must be the path of a study, e.g. study={DEFAULT_STUDY}")
        return load_file(Path(path))
    if "study" in config:
        extra = next(key for key in config if key != "study")
        raise ConfigError(f"--config {extra}=…: study= names a whole study; edit that file instead, or name no study")
    source = Source("the config given to Snakemake", {})
    _load_plugins(config, source, Path())
    return _check(convert_numbers(config), source, None, ())


def _check_keys(config: Mapping[str, Any], names_study: bool) -> None:
    """ConfigError at a key that is neither `study` nor one of a study, or if a few keys stand for a whole study."""
    usual = f"name a study: --config study={DEFAULT_STUDY}"
    for key in config:
        if key not in Study.model_fields:
            shown = key if key.isprintable() else repr(key)
            raise ConfigError(
                f"--config {shown}=…: unknown key; {usual}{suggest_nearest(key, ['study', *Study.model_fields])}"
            )
    if "datasets" not in config and not names_study:
        key = next(iter(config))
        raise ConfigError(
            f"--config {key}=…: is one key of a study, which needs datasets, too; edit a study, and {usual}"
        )


def _holder(study: dict[str, Any], files: Iterable[str | Path]) -> str | None:
    for file in files:
        try:
            if read_yaml(Path(file))[0] == study:
                return os.path.relpath(file)
        except ConfigError:
            continue  # a file of somebody else's workflow
    return None


def load_file(path: Path) -> LoadedStudy:
    """Load and check a study file and its bases; ConfigError with one or two lines."""
    data, source = read_yaml(path)
    own, files = data, [os.path.normpath(path)]
    folder = path.parent
    _load_plugins(data, source, folder)
    while data.get("base") is not None:
        if not isinstance(data["base"], str):
            raise ConfigError(f"{source.at(('base',))}base = {data['base']!r}: must be the path of a study")
        base_path = Path(os.path.normpath(folder / data["base"]))
        if str(base_path) in files:
            raise ConfigError(f"{source.at(('base',))}base = {data['base']!r}: studies are each other's base")
        files.append(str(base_path))
        base, base_source = read_yaml(base_path)
        data = {**_merge({**base, "cv": None}, data), "base": base.get("base")}
        source = Source(source.name, {**base_source.lines, **source.lines})
        folder = base_path.parent
        _load_plugins(base, base_source, folder)
    return _check({**data, "base": own.get("base")}, source, own if "base" in own else None, tuple(files))


def _load_plugins(data: Mapping[str, Any], source: Source, folder: Path) -> None:
    """Register what the plug-ins bring that one file of a study names, before its keys are looked at."""
    named = data.get("plugins")
    for place, name in enumerate(named if isinstance(named, list) else ()):
        if isinstance(name, str):
            try:
                plugins.load([Path(os.path.normpath(folder / name))])
            except ValueError as error:
                raise config_error(source, ("plugins", place), f" = {name!r}: {error}") from None


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`; maps at the top level are merged key by key, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = {**base[key], **value} if both else value
    return merged


def _check(data: dict[str, Any], source: Source, own: dict[str, Any] | None, files: tuple[str, ...]) -> LoadedStudy:
    user_files.clear_cache()
    written = data
    data, source, sweeps, varied = expand_sweeps(data, source)
    study = _validated(data, source)
    _check_overridden(written, data, source)
    if sweeps:
        study = _validated(select_members(data, study, sweeps), source)
    check(study, source)
    roots = {}
    for family in FAMILIES:
        named = getattr(study, family) if own is None else own.get(family) or {}
        members = sweeps if family in SWEPT else {}
        roots[family] = tuple(member for name in named for member in members.get(name, (name,)))
    return LoadedStudy(study=study, roots=roots, files=files, varied=swept_values(study, varied), source=source)


def _check_overridden(written: dict[str, Any], data: dict[str, Any], source: Source) -> None:
    """Refuse a value in a definition that its sweep replaces everywhere, so that nothing else would check it."""
    for path, definition in find_overridden(written):
        family, name, *_ = path
        try:
            Study.model_validate({**data, family: {**data[family], name: definition}})
        except ValidationError as error:
            if message := explain(error, source, Study, path):
                raise ConfigError(message) from None


def _validated(data: dict[str, Any], source: Source) -> definitions.Study:
    try:
        study: definitions.Study = Study.model_validate(data)
        return study
    except ValidationError as error:
        raise ConfigError(explain(error, source, Study)) from None
