"""Error messages about a study: file, line and key, the value, and what is allowed."""

import difflib
import re
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from advgen.core.errors import ConfigError
from advgen.registry import UnknownName
from advgen.specs.base import WrongValue, pixel_scale_hint
from advgen.study.paths import dotted, format_value, real_path, strip_annotated, union_members
from advgen.study.renamed import RENAMED, Source


def config_error(source: Source, path: tuple[Any, ...], message: str) -> ConfigError:
    """Return the error for a key: its place in the file, its path, then the message."""
    return ConfigError(f"{source.at(path)}{dotted(path)}{message}")


def explain(error: ValidationError, source: Source, tree: type[BaseModel], at: tuple[Any, ...] = ()) -> str:
    """Return a readable message for the first of pydantic's errors, and the number of further ones.

    With `at`, only errors of the value at that path count, not conflicts with other keys; empty if there are none.
    """
    errors = [one for one in error.errors(include_url=False) if one["type"] != "default_factory_not_called"]
    if at:
        errors = [one for one in errors if real_path(one["loc"], tree)[0][: len(at)] == at and not _is_conflict(one)]
        if not errors:
            return ""
    first, [path, *others] = errors[0], dict.fromkeys(real_path(one["loc"], tree)[0] for one in errors)
    _, model, annotation = real_path(first["loc"], tree)
    kind, value = first["type"], first.get("input")
    context = first.get("ctx", {})
    cause = context.get("error")
    if kind == "extra_forbidden":
        known = list(model.model_fields) if model else []
        message = f": unknown key{suggest_allowed(str(path[-1]), known)}"
    elif first["loc"][-1:] == ("[key]",):
        message = _explain_name(kind, value)
    elif kind == "missing" and isinstance(path[-1], str):
        message = f": is missing; {_describe(model, path[-1]) or 'add it'}"
    elif kind == "union_tag_invalid":
        known = [tag.strip(" '") for tag in str(context["expected_tags"]).split(",")]
        path = (*path, str(context["discriminator"]).strip("'"))
        message = f" = {format_value(context['tag'])}: is unknown{suggest_allowed(str(context['tag']), known)}"
    elif kind == "union_tag_not_found":
        message = f" = {format_value(value)}: add the key 'kind', which selects the type"
    elif kind == "literal_error" and get_origin(strip_annotated(annotation)) is Literal:
        known = [str(one) for one in get_args(strip_annotated(annotation))]
        message = f" = {format_value(value)}: is not allowed{suggest_allowed(str(value), known)}"
    elif isinstance(cause, UnknownName):
        message = f" = {format_value(cause.name)}: is unknown{suggest_allowed(str(cause.name), cause.allowed)}"
    elif isinstance(cause, WrongValue):
        path, message = (*path, cause.key), f" = {format_value(cause.value)}: {cause.message}"
    elif kind == "json_invalid":
        message = f": is not valid JSON: {cause}"
    elif kind == "value_error":
        message = f": {cause}"
    elif kind in BOUNDS:
        limits = {name: f"{one:,}".removesuffix(".0") for name, one in context.items() if isinstance(one, (int, float))}
        message = f" = {format_value(value)}: must {BOUNDS[kind].format(**limits)}"
        about = _describe(model, path[-1])
        if "pixel" in about and kind == "less_than_equal":
            message += pixel_scale_hint(value)
        elif about:
            message += f" ({about})"
    else:
        message = f" = {format_value(value)}: must be {_describe_type(annotation)}{_suggest_type(value, annotation)}"
    more = f"\n(and {len(others)} more errors)" if others else ""
    where = f"{dotted(path)}{message}" if path else message.removeprefix(": ").strip()
    return f"{source.at(path)}{where}{more}"


def _is_conflict(error: Any) -> bool:
    return error["type"] == "value_error" and not isinstance(error["ctx"]["error"], UnknownName)


BOUNDS = {
    "greater_than": "be greater than {gt}",
    "greater_than_equal": "be at least {ge}",
    "less_than": "be less than {lt}",
    "less_than_equal": "be at most {le}",
    "finite_number": "be a finite number",
    "too_short": "have {min_length} or more items",
    "too_long": "have at most {max_length} items",
    "string_too_short": "not be empty",
    "string_too_long": "have at most {max_length} characters",
}
"""What a value of the right type must be, by pydantic's name of the error."""


def _explain_name(kind: str, name: Any) -> str:
    """Return the message for a key of a map that is no valid name."""
    if kind == "string_type":
        return f": {format_value(name)} is not read as text; put it in quotes"
    return ": a name has lower-case letters, digits and single hyphens, at most 40 characters, such as 'fc100-b'"


def _describe_type(annotation: Any) -> str:
    words = {int: "an integer", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    parts = []
    for one in union_members(strip_annotated(annotation)):
        if get_origin(one) is Literal:
            parts += [str(word) for word in get_args(one)]
        elif get_origin(one) is tuple:
            inner = [part for part in get_args(one) if part is not Ellipsis]
            fixed = f"{len(inner)} items, " if Ellipsis not in get_args(one) else ""
            parts.append(f"a list ({fixed}each {_describe_type(inner[0])})")
        else:
            parts.append(words.get(one, "a map of keys to values"))
    return " or ".join(dict.fromkeys(parts))


def _suggest_type(value: Any, annotation: Any) -> str:
    """Return how to write a value of another type that was probably meant."""
    wanted = {get_origin(one) or one for one in union_members(strip_annotated(annotation))}
    if isinstance(value, str) and wanted & {int, float} and re.fullmatch(r"[-+]?[0-9]*\.?[0-9]+", value):
        return "; remove the quotes"
    if isinstance(value, (str, int)) and tuple in wanted:
        return f"; write [{value}]"
    if isinstance(value, (int, float)) and wanted == {str}:
        return "; put it in quotes"
    return ""


def _describe(model: type[BaseModel] | None, key: int | str) -> str:
    field = model.model_fields.get(str(key)) if model else None
    return (field.description if field else None) or ""


def suggest_nearest(value: str, allowed: list[str]) -> str:
    """Return the most similar allowed name as a question, or nothing."""
    near = difflib.get_close_matches(value.lower(), allowed, n=1, cutoff=0.5) or [
        one for one in allowed if one.lower() == value.lower()
    ]
    return f"; did you mean {near[0]!r}?" if near else ""


def suggest_allowed(value: str, known: list[str]) -> str:
    """Return the new name of an old one, else the most similar known name and the first 20 of all."""
    if value in RENAMED:
        return f"; it is now called {RENAMED[value]}"
    listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return f"{suggest_nearest(value, known)} (allowed: {listed or 'none is defined'})"
