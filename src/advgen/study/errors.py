"""Telling what is wrong with a study: file, line and key, the value, and what is allowed."""

from __future__ import annotations

import difflib
import json
import re
import types
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from advgen.core.errors import ConfigError
from advgen.registry import AnyOf, UnknownName, union
from advgen.specs.base import WrongValue, pixel_scale_hint

RENAMED = {
    "active_set": "early_stopping",
    "average": "ema",
    "best_of": "checkpoint_selection",
    "deconv": "transposed_conv",
    "fid": "frechet_distance",
    "inception_score": "classifier_score",
    "judge_ladder": "judge_calibration",
    "masked": "obfuscated_gradients (of a classifier) or contextual (of inpainting)",
    "non_saturated": "non_saturating",
    "prior": "contextual_prior",
    "ramp": "eps_warmup",
}
"""What keys and words of a study were called before 2026-12, and what they are called now."""


class Source(Protocol):
    """What knows where the keys of a study stand."""

    def at(self, path: tuple[Any, ...]) -> str:
        """`file:line: ` of the deepest known key on a path."""


def config_error(source: Source, path: tuple[Any, ...], message: str) -> ConfigError:
    """A mistake at a key: where it stands, its path, and what is wrong."""
    return ConfigError(f"{source.at(path)}{_dotted(path)}{message}")


def explain(error: ValidationError, source: Source, tree: type[BaseModel], at: tuple[Any, ...] = ()) -> str:
    """The first of pydantic's errors in our words, and how many more there are.

    With `at`, only errors of the value at that path count, not those of what goes with it; empty if there are none.
    """
    errors = [one for one in error.errors(include_url=False) if one["type"] != "default_factory_not_called"]
    if at:
        errors = [one for one in errors if _real_path(one["loc"], tree)[0][: len(at)] == at and not _is_conflict(one)]
        if not errors:
            return ""
    first, [path, *others] = errors[0], dict.fromkeys(_real_path(one["loc"], tree)[0] for one in errors)
    _, model, annotation = _real_path(first["loc"], tree)
    kind, value = first["type"], first.get("input")
    context = first.get("ctx", {})
    if kind == "extra_forbidden":
        known = list(model.model_fields) if model else []
        message = f": unknown key{suggest_allowed(str(path[-1]), known)}"
    elif first["loc"][-1:] == ("[key]",):
        message = _key(kind, value)
    elif kind == "missing" and isinstance(path[-1], str):
        message = f": is missing; {_describe(model, path[-1]) or 'add it'}"
    elif kind == "union_tag_invalid":
        known = [tag.strip(" '") for tag in str(context["expected_tags"]).split(",")]
        path = (*path, str(context["discriminator"]).strip("'"))
        message = f" = {format_value(context['tag'])}: is unknown{suggest_allowed(str(context['tag']), known)}"
    elif kind == "union_tag_not_found":
        message = f" = {format_value(value)}: needs a key 'kind' that says what it is"
    elif kind == "literal_error" and get_origin(_plain(annotation)) is Literal:
        known = [str(one) for one in get_args(_plain(annotation))]
        message = f" = {format_value(value)}: is not allowed{suggest_allowed(str(value), known)}"
    elif isinstance(context.get("error"), UnknownName):
        unknown = context["error"]
        message = f" = {format_value(unknown.name)}: is unknown{suggest_allowed(str(unknown.name), unknown.allowed)}"
    elif isinstance(context.get("error"), WrongValue):
        wrong = context["error"]
        path, message = (*path, wrong.key), f" = {format_value(wrong.value)}: {wrong.message}"
    elif kind == "json_invalid":
        message = f": no JSON: {context['error']}"
    elif kind == "value_error":
        message = f": {context['error']}"
    elif kind in BOUNDS:
        limits = {name: f"{one:,}".removesuffix(".0") for name, one in context.items() if isinstance(one, (int, float))}
        message = f" = {format_value(value)}: must {BOUNDS[kind].format(**limits)}"
        about = _describe(model, path[-1])
        if "pixel" in about and kind == "less_than_equal":
            message += pixel_scale_hint(value)
        elif about:
            message += f" ({about})"
    else:
        message = f" = {format_value(value)}: must be {_wanted(annotation)}{_hint(value, annotation)}"
    more = f"\n(and {len(others)} more like it)" if others else ""
    where = f"{_dotted(path)}{message}" if path else message.removeprefix(": ").strip()
    return f"{source.at(path)}{where}{more}"


def _is_conflict(error: Any) -> bool:
    return error["type"] == "value_error" and not isinstance(error["ctx"]["error"], UnknownName)


BOUNDS = {
    "greater_than": "be greater than {gt}",
    "greater_than_equal": "be at least {ge}",
    "less_than": "be less than {lt}",
    "less_than_equal": "be at most {le}",
    "finite_number": "be a finite number",
    "too_short": "hold at least {min_length}",
    "too_long": "hold at most {max_length}",
    "string_too_short": "not be empty",
    "string_too_long": "have at most {max_length} letters",
}
"""What a value of the right type must be, by pydantic's name of the error."""


def _key(kind: str, key: Any) -> str:
    """What is wrong with a name or a title."""
    if kind == "string_type":
        return f": {format_value(key)} is read as no word; put it in quotes"
    return ": a name is made of small letters, digits and single hyphens, 40 at most, like 'fc100-b'"


def _wanted(annotation: Any) -> str:
    """A type in words."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    told = []
    for one in _members(_plain(annotation)):
        if get_origin(one) is Literal:
            told += [str(word) for word in get_args(one)]
        elif get_origin(one) is tuple:
            inner = [part for part in get_args(one) if part is not Ellipsis]
            fixed = f"{len(inner)} of them, " if Ellipsis not in get_args(one) else ""
            told.append(f"a list ({fixed}each {_wanted(inner[0])})")
        else:
            told.append(words.get(one, "a map of keys to values"))
    return " or ".join(dict.fromkeys(told))


def _hint(value: Any, annotation: Any) -> str:
    """What was probably meant by a value of another type."""
    wanted = {get_origin(one) or one for one in _members(_plain(annotation))}
    if isinstance(value, str) and wanted & {int, float} and re.fullmatch(r"[-+]?[0-9]*\.?[0-9]+", value):
        return "; take the quotes away"
    if isinstance(value, (str, int)) and tuple in wanted:
        return f"; write [{value}]"
    if isinstance(value, (int, float)) and wanted == {str}:
        return "; put it in quotes"
    return ""


def _real_path(
    loc: tuple[int | str, ...], tree: type[BaseModel]
) -> tuple[tuple[int | str, ...], type[BaseModel] | None, Any]:
    """pydantic's location without the union tags in it, the model that holds its last key, and that key's type."""
    annotation: Any = tree
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
        inner = [one for one in _members(annotation) if get_origin(_plain(one)) in (tuple, dict)]
        lists = all(get_origin(_plain(one)) is tuple for one in inner)
        if not classes and lists and isinstance(part, str):
            break  # one of several plain types, and part says which
        path.append(part)
        if classes:
            holder = classes[0]
            field = holder.model_fields.get(str(part))
            annotation = Annotated[field.annotation, *field.metadata, None] if field else None
        else:
            annotation = get_args(_plain(inner[0]))[get_origin(_plain(inner[0])) is dict]
    return tuple(path), holder, annotation


def _plain(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        family = next((mark.family for mark in get_args(annotation)[1:] if isinstance(mark, AnyOf)), None)
        annotation = union(family) if family else get_args(annotation)[0]
    return annotation


def _members(annotation: Any) -> list[Any]:
    """The alternatives of a union, or the annotation alone."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [member for one in get_args(annotation) for member in _members(_plain(one))]
    return [annotation]


def _describe(model: type[BaseModel] | None, key: int | str) -> str:
    field = model.model_fields.get(str(key)) if model else None
    return (field.description if field else None) or ""


def _dotted(path: tuple[Any, ...]) -> str:
    parts = (
        part if isinstance(part, str) and part.isprintable() and 0 < len(part) <= 60 else format_value(part)
        for part in path
    )
    return ".".join(parts) or "study"


def format_value(value: Any) -> str:
    """A value as it is shown in an error."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def suggest_nearest(value: str, allowed: list[str]) -> str:
    """The name that was probably meant, as a question."""
    near = difflib.get_close_matches(value.lower(), allowed, n=1, cutoff=0.5) or [
        one for one in allowed if one.lower() == value.lower()
    ]
    return f"; did you mean {near[0]!r}?" if near else ""


def suggest_allowed(value: str, known: list[str]) -> str:
    """What it is called now, or the nearest of the known names and the first of all."""
    if value in RENAMED:
        return f"; it is now called {RENAMED[value]}"
    shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return f"{suggest_nearest(value, known)} (allowed: {shown or 'none is defined'})"
