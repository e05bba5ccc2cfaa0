"""Errors of pydantic as one line each: file, line, key, what is wrong and what to write."""

import re
from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from advgen.cv.fields import describe_value
from advgen.cv.text_files import suggest
from advgen.cv.yaml_files import Document, Location

M = TypeVar("M", bound=BaseModel)

_MESSAGES = {
    "missing": "{key} is missing; add it",
    "list_type": "{key} is not a list; begin each item with a hyphen",
    "date_type": "{key} is {value}, not a day; write it as 2025-01-31",
    "too_short": "{key} is empty; write something or remove it",
    "greater_than_equal": "{key} is {value}; write {ge} or more",
    "less_than_equal": "{key} is {value}; write {le} or less",
    "less_than": "{key} is {value}; write less than {lt}",
    "int_type": "{key} is {value}; write an integer without quotes",
    **dict.fromkeys(("bool_type", "bool_parsing"), "{key} is {value}; write true or false"),
    **dict.fromkeys(
        ("model_type", "dict_type", "model_attributes_type"),
        "{key} is {value}, not a map; write its keys, such as name: …",
    ),
}
_PATTERNS = {
    "id": "write letters, digits, dots, hyphens and underscores",
    "name": "write it as owner/name",
}
_SECTION_PATTERN = "begin the name of a section with a–z, and go on with a–z, 0–9, hyphens and underscores"


def validate(model: type[M], document: Document, types: Sequence[str] = ()) -> M:
    """Return a document as a model. `types` are the types of custom sections, for messages.

    Raises ValueError with one line `file:line: what; remedy` per error.
    """
    if not isinstance(document.data, dict):
        raise ValueError(f"{document.path}:1: not a map of keys to values; write name: … and so on")
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        messages: dict[Location, str] = {}
        for item in error.errors(include_url=False):
            item["loc"] = _without_section_type(item["loc"])
            # a union reports the same error for each of its members, below names that are not in the file
            location = item["loc"] if item["type"] == "missing" else document.find_known(item["loc"])
            message = _describe(dict(item), location, model, document, types)
            messages.setdefault(location, f"{document.where(location)}: {' '.join(message.split())}")
        raise ValueError("\n".join(messages.values())) from error


def _describe(
    error: dict[str, Any], location: Location, model: type[BaseModel], document: Document, types: Sequence[str]
) -> str:
    key = ".".join(str(part) for part in location)
    value, context = error.get("input"), error.get("ctx", {})
    described = describe_value(value)
    match error["type"]:
        case "extra_forbidden":
            hint = suggest(str(location[-1]), _list_keys(model, location[:-1])).rstrip()
            return f"unknown key {key!r}; {hint or 'remove it'}"
        case "string_type":
            return f"{key} is {described if value is None else f'{described}, not a text'}; put text in quotes"
        case "literal_error":
            hint = suggest(str(value), re.findall(r"'([^']*)'", error["msg"]))
            return f"{key} is {described}; {hint}allowed: {context['expected']}"
        case "value_error":
            return f"{key} {context['error']}" if key else str(context["error"])
        case "union_tag_invalid" | "union_tag_not_found":
            described = describe_value(value.get("type") if isinstance(value, dict) else value)
            return f"{key}.type is {described}; write {', '.join(types)}, or the path of a Python file"
        case "string_pattern_mismatch":
            return f"{key} is {described}; {_PATTERNS.get(str(location[-1]), _SECTION_PATTERN)}"
        case kind:
            return _MESSAGES[kind].format(key=key, value=described, **context)


def _without_section_type(location: Location) -> Location:
    """Return a location without the type of a custom section, which pydantic adds behind its name."""
    return (*location[:2], *location[3:]) if location[:1] == ("sections",) else location


def _list_keys(model: type[BaseModel], location: Location) -> list[str]:
    """Return the keys that are allowed at a location."""
    models: list[Any] = [model]
    for part in location:
        # an index, or the name of a custom section, selects no key
        inner = [one.model_fields[part].annotation for one in models if part in one.model_fields]
        models = [found for annotation in inner or models for found in _find_models(annotation)]
    return list(dict.fromkeys(key for one in models for key in one.model_fields))


def _find_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models in an annotation, such as the members of a union or of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, UnionType, list, dict):
        for part in get_args(annotation):
            yield from _find_models(part)
