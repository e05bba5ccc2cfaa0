"""Keys and values of a study that have a new name. The old ones work for one release, with a warning."""

import sys
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError

from advgen.study.paths import dotted, real_path

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
"""New names by the old ones. An old name with two meanings cannot be replaced, so it stays an error."""


class Source(Protocol):
    """Locates the keys of a study in its file."""

    def at(self, path: tuple[Any, ...]) -> str:
        """Return `file:line: ` of the deepest known key on a path."""


def replace_old_names(data: Any, error: ValidationError, tree: type[BaseModel], source: Source) -> Any:
    """Return a study's data with the old names that `error` reports replaced, and warn once for each.

    Returns `data` itself if no error is about an old name.
    """
    for one in error.errors(include_url=False):
        path: tuple[Any, ...] = real_path(one["loc"], tree)[0]
        context = one.get("ctx", {})
        if one["type"] == "union_tag_invalid":
            path, old = (*path, str(context["discriminator"]).strip("'")), context["tag"]
        elif one["type"] in ("extra_forbidden", "literal_error"):
            old = path[-1] if one["type"] == "extra_forbidden" else one["input"]
        else:
            continue
        new = RENAMED.get(old, "") if isinstance(old, str) else ""
        if not new.isidentifier():
            continue
        replaced = _replace(data, path, old, new)
        if replaced is not None:
            data = replaced
            message = f"{old} is now called {new}; the next release refuses the old name"
            print(f"{source.at(path)}{dotted(path)}: {message}", file=sys.stderr, flush=True)
    return data


def _replace(holder: Any, path: tuple[Any, ...], old: str, new: str) -> Any:
    """Return a copy of nested maps and lists with the last key of `path`, or its value, renamed; None if not there."""
    first, *rest = path
    if isinstance(holder, list):
        changed = _replace(holder[first], tuple(rest), old, new) if rest else new
        return None if changed is None else [*holder[:first], changed, *holder[first + 1 :]]
    if not isinstance(holder, dict) or first not in holder:
        return None
    if not rest and first == old:
        return None if new in holder else {new if key == old else key: value for key, value in holder.items()}
    changed = _replace(holder[first], tuple(rest), old, new) if rest else new
    return None if changed is None else {**holder, first: changed}
