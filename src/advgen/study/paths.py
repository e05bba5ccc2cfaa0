"""Paths of keys in a study, and the model and type that each leads to."""

import json
import types
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from advgen.registry import AnyOf, union


def real_path(
    loc: tuple[int | str, ...], tree: type[BaseModel]
) -> tuple[tuple[int | str, ...], type[BaseModel] | None, Any]:
    """Return pydantic's location without union tags, the model that has its last key, and the type of that key."""
    annotation: Any = tree
    holder: type[BaseModel] | None = None
    path: list[int | str] = []
    for part in loc:
        if part == "[key]":
            break
        annotation = strip_annotated(annotation)
        classes = [one for one in union_members(annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
        if len(classes) > 1:
            tagged = [one for one in classes if part in get_args(one.model_fields["kind"].annotation)]
            if tagged:
                annotation = tagged[0]
                continue
        inner = [one for one in union_members(annotation) if get_origin(strip_annotated(one)) in (tuple, dict)]
        lists = all(get_origin(strip_annotated(one)) is tuple for one in inner)
        if not classes and lists and isinstance(part, str):
            break  # one of several plain types; `part` is the name of the type
        path.append(part)
        if classes:
            holder = classes[0]
            field = holder.model_fields.get(str(part))
            annotation = Annotated[field.annotation, *field.metadata, None] if field else None
        else:
            annotation = get_args(strip_annotated(inner[0]))[get_origin(strip_annotated(inner[0])) is dict]
    return tuple(path), holder, annotation


def strip_annotated(annotation: Any) -> Any:
    """Return a type without its `Annotated` marks; `AnyOf` becomes the union of its family."""
    while get_origin(annotation) is Annotated:
        family = next((mark.family for mark in get_args(annotation)[1:] if isinstance(mark, AnyOf)), None)
        annotation = union(family) if family else get_args(annotation)[0]
    return annotation


def union_members(annotation: Any) -> list[Any]:
    """Return the alternatives of a union, or the annotation alone."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [member for one in get_args(annotation) for member in union_members(strip_annotated(one))]
    return [annotation]


def dotted(path: tuple[Any, ...]) -> str:
    """Return a path as text for messages; unprintable, empty and long keys are quoted or shortened."""
    parts = (
        part if isinstance(part, str) and part.isprintable() and 0 < len(part) <= 60 else format_value(part)
        for part in path
    )
    return ".".join(parts) or "study"


def format_value(value: Any) -> str:
    """Return a value as messages print it, at most 58 characters long."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
