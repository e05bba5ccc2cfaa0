"""Where a study names its own definitions."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from advgen.specs.base import Reference


def find_references(
    model: BaseModel, path: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], tuple[str, ...], str]]:
    """Every field of a tree that names a definition: its path, the families allowed, the name."""
    for name, field in type(model).model_fields.items():
        marks = tuple(mark for mark in field.metadata if isinstance(mark, Reference))
        yield from _named(field.annotation, marks, getattr(model, name), (*path, name))


def _named(
    annotation: Any, marks: tuple[Reference, ...], value: Any, path: tuple[Any, ...]
) -> Iterator[tuple[tuple[Any, ...], tuple[str, ...], str]]:
    if get_origin(annotation) is Annotated:
        annotation, *rest = get_args(annotation)
        marks = (*marks, *(mark for mark in rest if isinstance(mark, Reference)))
    if marks and isinstance(value, str):
        yield path, marks[0].families, value
    elif isinstance(value, BaseModel):
        yield from find_references(value, path)
    elif get_origin(annotation) in (Union, types.UnionType) and value is not None:
        for one in get_args(annotation):
            yield from _named(one, (), value, path)
    elif isinstance(value, dict):
        inner = get_args(annotation)[1] if get_origin(annotation) is dict else None
        for key, item in value.items():
            yield from _named(inner, (), item, (*path, key))
    elif isinstance(value, tuple) and get_origin(annotation) is tuple:
        for index, item in enumerate(value):
            yield from _named(get_args(annotation)[0], (), item, (*path, index))
