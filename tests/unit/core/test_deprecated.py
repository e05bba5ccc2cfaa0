"""Deprecated names still work and name their replacement."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from advgen.core.deprecated import renamed_arguments, renamed_attribute, renamed_names


class Result:
    score = 3
    points = renamed_attribute("points", "score")


@renamed_arguments(radius="eps")
def attack(image: int, eps: int = 0) -> int:
    return image + eps


def test_an_old_attribute_reads_the_new_one() -> None:
    with pytest.warns(DeprecationWarning, match=r"Result\.points is deprecated .*; use score") as caught:
        assert Result().points == 3
    assert caught[0].filename == __file__


def test_an_old_name_of_a_module_resolves_to_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("toy")
    vars(module).update(SimpleNamespace(new=5, __getattr__=renamed_names("toy", {"old": "new"})).__dict__)
    monkeypatch.setitem(sys.modules, "toy", module)
    with pytest.warns(DeprecationWarning, match=r"toy\.old is deprecated .*; use new"):
        assert module.old == 5
    with pytest.raises(AttributeError, match="module 'toy' has no attribute 'other'"):
        module.other  # noqa: B018


def test_an_old_argument_is_passed_by_its_new_name() -> None:
    with pytest.warns(DeprecationWarning, match=r"attack\(radius=…\) is deprecated .*; use eps"):
        assert attack(1, radius=2) == 3
    assert attack(1, eps=2) == 3
