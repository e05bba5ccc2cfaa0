"""References between definitions: fields of a study that contain the name of another definition."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from advgen.specs.base import Reference


class FoundReference(NamedTuple):
    """One field with the name of a definition: its path, the families allowed, and the name."""

    path: tuple[Any, ...]
    families: tuple[str, ...]
    name: str


def find_references(model: BaseModel, path: tuple[Any, ...] = ()) -> Iterator[FoundReference]:
    """Yield every reference below a model."""
    for name, field in type(model).model_fields.items():
        marks = tuple(mark for mark in field.metadata if isinstance(mark, Reference))
        yield from _find_in(field.annotation, marks, getattr(model, name), (*path, name))


def _find_in(
    annotation: Any, marks: tuple[Reference, ...], value: Any, path: tuple[Any, ...]
) -> Iterator[FoundReference]:
    if get_origin(annotation) is Annotated:
        annotation, *rest = get_args(annotation)
        marks = (*marks, *(mark for mark in rest if isinstance(mark, Reference)))
    if marks and isinstance(value, str):
        yield FoundReference(path, marks[0].families, value)
    elif isinstance(value, BaseModel):
        yield from find_references(value, path)
    elif get_origin(annotation) in (Union, types.UnionType) and value is not None:
        for one in get_args(annotation):
            yield from _find_in(one, (), value, path)
    elif isinstance(value, dict):
        inner = get_args(annotation)[1] if get_origin(annotation) is dict else None
        for key, item in value.items():
            yield from _find_in(inner, (), item, (*path, key))
    elif isinstance(value, tuple) and get_origin(annotation) is tuple:
        for index, item in enumerate(value):
            yield from _find_in(get_args(annotation)[0], (), item, (*path, index))
