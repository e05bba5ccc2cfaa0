"""Telling what is wrong with a study: file, line and key, the value, and what is allowed."""

from __future__ import annotations

import difflib
import types
from typing import Annotated, Any, Protocol, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from advgen.core.errors import ConfigError
from advgen.registry import UnknownName

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


def fail(source: Source, path: tuple[Any, ...], message: str) -> ConfigError:
    """A mistake at a key: where it stands, its path, and what is wrong."""
    return ConfigError(f"{source.at(path)}{_dotted(path)}{message}")


def explain(error: ValidationError, source: Source, tree: type[BaseModel]) -> str:
    """The first of pydantic's errors in our words, and how many more there are."""
    errors = error.errors(include_url=False)
    first = errors[0]
    path, model = _real_path(first["loc"], tree)
    kind, value = first["type"], first.get("input")
    context = first.get("ctx", {})
    if kind == "extra_forbidden":
        known = list(model.model_fields) if model else []
        message = f": unknown key{allowed(str(path[-1]), known)}"
    elif kind == "missing":
        message = ": is missing; " + _describe(model, path[-1])
    elif kind == "union_tag_invalid":
        known = [tag.strip(" '") for tag in str(context["expected_tags"]).split(",")]
        path = (*path, str(context["discriminator"]).strip("'"))
        message = f" = {context['tag']!r}: is unknown{allowed(str(context['tag']), known)}"
    elif kind == "union_tag_not_found":
        message = f" = {short(value)}: needs a key 'kind' that says what it is"
    elif kind == "literal_error":
        known = [part.strip(" '") for part in str(context["expected"]).replace(" or ", ",").split(",")]
        message = f" = {short(value)}: is not allowed{allowed(str(value), known)}"
    elif isinstance(context.get("error"), UnknownName):
        unknown = context["error"]
        message = f" = {short(unknown.name)}: is unknown{allowed(str(unknown.name), unknown.allowed)}"
    elif kind == "string_pattern_mismatch" and first["loc"][-1] == "[key]":
        message = ": a name is made of small letters, digits and single hyphens, like 'fc100-b'"
    else:
        message = f" = {short(value)}: {first['msg'][0].lower()}{first['msg'][1:]}"
    more = f"\n(and {len(errors) - 1} more like it)" if len(errors) > 1 else ""
    return f"{source.at(path)}{_dotted(path)}{message}{more}"


def _real_path(
    loc: tuple[int | str, ...], tree: type[BaseModel]
) -> tuple[tuple[int | str, ...], type[BaseModel] | None]:
    """pydantic's location without the union tags in it, and the model that holds its last key."""
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
        part if isinstance(part, str) and part.isprintable() and 0 < len(part) <= 60 else short(part) for part in path
    )
    return ".".join(parts) or "study"


def short(value: Any) -> str:
    """A value as it is shown in an error."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def nearest(value: str, allowed: list[str]) -> str:
    """The name that was probably meant, as a question."""
    near = difflib.get_close_matches(value.lower(), allowed, n=1, cutoff=0.5) or [
        one for one in allowed if one.lower() == value.lower()
    ]
    return f"; did you mean {near[0]!r}?" if near else ""


def allowed(value: str, known: list[str]) -> str:
    """What it is called now, or the nearest of the known names and the first of all."""
    if value in RENAMED:
        return f"; it is now called {RENAMED[value]}"
    shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return f"{nearest(value, known)} (allowed: {shown or 'none is defined'})"
