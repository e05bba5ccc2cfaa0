"""Real studies, mutated: each is refused with its file and line, or planned as it is written."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from tests.project import ROOT

from advgen.core.errors import ConfigError
from advgen.driver.plan import build
from advgen.presets import PRESETS
from advgen.study.load import LoadedStudy, load_file
from advgen.study.yaml import Loader

PYDANTIC = re.compile(
    r"[Ii]nput should|Extra inputs|[Ff]ield required|valid (integer|number|string|tuple|dict|bool)|alue error"
)
"""Words of pydantic's, which say nothing to a user."""


class Dumper(yaml.SafeDumper):
    """Writes what our loader reads back as it was."""

    yaml_implicit_resolvers = Loader.yaml_implicit_resolvers


def dump(study: Any) -> str:
    """A study as YAML."""
    return yaml.dump(study, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)


def of_presets() -> dict[str, Any]:
    """A study that trains every preset that its data set's images fit, written out."""
    classifiers = {
        f"net-{number}": {"dataset": "mnist", "model": spec.model_dump(mode="json")}
        for number, spec in enumerate(PRESETS["networks"].values())
        if spec.image in (None, (1, 28, 28))
    }
    gans = {
        f"gan-{number}": {
            "dataset": "mnist",
            "generator": spec.model_dump(mode="json"),
            "discriminator": "M3",
        }
        for number, spec in enumerate(PRESETS["generators"].values())
        if spec.image_shape() in (None, (1, 28, 28))
    }
    autoencoders = {
        f"ae-{number}": {"dataset": "mnist", "model": spec.model_dump(mode="json")}
        for number, spec in enumerate(PRESETS["autoencoders"].values())
    }
    return {
        "datasets": {"mnist": {"kind": "mnist"}},
        "classifiers": classifiers,
        "gans": gans,
        "autoencoders": autoencoders,
    }


TEXTS = {
    "config": (ROOT / "config/config.yaml").read_text(),
    "smoke": (ROOT / "config/smoke.yaml").read_text(),
    "spine": (ROOT / "tests/spine.yaml").read_text(),
    "presets": dump(of_presets()),
}
STUDIES: dict[str, Any] = {name: yaml.load(text, Loader) for name, text in TEXTS.items()}


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a study."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in paths(item, (*path, key)))]


PATHS = {name: paths(study)[1:] for name, study in STUDIES.items()}
WORDS = sorted({str(part) for found in PATHS.values() for path in found for part in path if isinstance(part, str)})
JUNK = st.one_of(
    st.sampled_from([None, True, False, "", [], {}, 0, -1, 1, 2, 3, 0.5, 8, 10**12, -(10**30), 1e300, 5e-324]),
    st.sampled_from(
        [float("nan"), float("inf"), float("-inf"), "0.5", "3", "true", "nan", "é", "💥", "\u202e", "a\nb"]
    ),
    st.sampled_from([[[]], [None], {"a": {"b": {"c": []}}}, {"kind": "pgd"}, {"preset": "M3"}, [0, 0], [1, 0], [0.5]]),
    st.sampled_from(WORDS),
    st.integers(-(10**6), 10**6),
    st.floats(),
    st.text(max_size=12),
    st.lists(st.integers(0, 60), max_size=3),
    st.dictionaries(st.text(max_size=6), st.integers(), max_size=2),
)
ACTIONS = ["replace", "replace", "replace", "delete", "rename", "swap", "twice"]


@contextmanager
def limit(seconds: int) -> Iterator[None]:
    """AssertionError if what is done inside takes longer."""

    def stop(*_: Any) -> None:
        raise AssertionError(f"takes more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def tried(path: Path, text: str) -> LoadedStudy | str:
    """A study as loaded, its plan built, or what is wrong with it."""
    path.write_text(text)
    with limit(30):  # 5 s of a quiet machine
        try:
            loaded = load_file(path)
            build(loaded)
        except ConfigError as error:
            return str(error)
    return loaded


def told_well(message: str, path: Path) -> None:
    """A refusal has the file, the line of a key that is written, and our own words, in two lines at most."""
    assert 1 <= len(message.splitlines()) <= 2, message
    assert len(message) < 1200, message
    assert not PYDANTIC.search(message), message
    place = re.match(re.escape(str(path)) + r"(:\d+)?: ", message)
    elsewhere = message.startswith("config/cv/")
    assert place or elsewhere, message
    top = re.split(r"[.:= ]", message[place.end() :])[0] if place else ""
    written = re.search(rf"^{re.escape(top)} *:", path.read_text(), re.MULTILINE)
    assert elsewhere or (place and place[1]) or not written, message


def mutated(study: Any, where: tuple[Any, ...], other: tuple[Any, ...], junk: Any, action: str) -> Any:
    """A copy of a study with one thing changed."""
    study = yaml.load(dump(study), Loader)

    def holder(path: tuple[Any, ...]) -> Any:
        held = study
        for key in path[:-1]:
            held = held[key]
        return held

    here = holder(where)
    if action == "replace":
        here[where[-1]] = junk
    elif action == "delete":
        del here[where[-1]]
    elif action == "swap" and where[: len(other)] != other and other[: len(where)] != where:
        there = holder(other)
        here[where[-1]], there[other[-1]] = there[other[-1]], here[where[-1]]
    elif action == "twice" and isinstance(here, list):
        here.append(here[where[-1]])
    elif isinstance(here, dict):
        here[junk if isinstance(junk, (str, int, bool, float)) else str(junk)] = here.pop(where[-1])
    return study


def held(study: BaseModel, path: tuple[Any, ...]) -> Any:
    """What a checked study has at a path."""
    value: Any = study
    for part in path:
        value = getattr(value, part) if isinstance(value, BaseModel) else value[part]
    return value


def told(loaded: LoadedStudy) -> set[tuple[Any, ...]]:
    """All that the jobs of a study are told."""
    return {(job.rule, *sorted(job.wildcards.items()), job.spec, str(job.inputs)) for job in build(loaded).jobs}


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data(), name=st.sampled_from(list(STUDIES)), junk=JUNK, action=st.sampled_from(ACTIONS))
def test_a_mutated_study_is_explained_or_runs_as_written(
    data: st.DataObject, name: str, junk: Any, action: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    where, other = (data.draw(st.sampled_from(PATHS[name])) for _ in range(2))
    path = tmp_path_factory.getbasetemp() / f"{name}.yaml"
    study = mutated(STUDIES[name], where, other, junk, action)
    found = tried(path, dump(study))
    if isinstance(found, str):
        told_well(found, path)
    elif action == "replace":
        as_written(found, name, where, junk)


@cache
def unchanged(name: str) -> tuple[LoadedStudy, set[tuple[Any, ...]]]:
    """A real study as loaded, and what its jobs are told."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        path.write_text(dump(STUDIES[name]))
        loaded = load_file(path)
        return loaded, told(loaded)


def as_written(loaded: LoadedStudy, name: str, where: tuple[Any, ...], junk: Any) -> None:
    """What is accepted stands in the study as it was written, and the jobs are told of it."""
    value = held(loaded.study, where)
    if isinstance(junk, (bool, int, float, str)) and not isinstance(value, BaseModel):
        assert value == junk, (where, junk, value)
        assert isinstance(value, bool) == isinstance(junk, bool)
    before, told_before = unchanged(name)
    if held(before.study, where) != value and where != ("title",):  # only a study with figures has a page with a title
        assert told(loaded) != told_before, (where, junk)


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data(), name=st.sampled_from(list(TEXTS)), action=st.sampled_from(["cut", "put", "double", "indent"]))
def test_broken_text_is_explained(
    data: st.DataObject, name: str, action: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = TEXTS[name].splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    line = lines[number]
    column = data.draw(st.integers(0, len(line)))
    if action == "cut":
        lines[number] = line[:column]
    elif action == "put":
        signs = "{}[]:,&*#?|>!%@`'\"-\t \x00\x1b\ufeffé\U0001f4a5"
        lines[number] = line[:column] + data.draw(st.sampled_from(signs)) + line[column:]
    elif action == "double":
        lines.insert(number, line)
    else:
        lines[number] = " " * data.draw(st.integers(1, 5)) + line
    path = tmp_path_factory.getbasetemp() / f"broken-{name}.yaml"
    found = tried(path, "\n".join(lines) + "\n")
    if isinstance(found, str):
        told_well(found, path)
