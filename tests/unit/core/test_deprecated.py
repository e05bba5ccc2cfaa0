"""Deprecated names still work and name their replacement."""

import pytest

from advgen.core.definitions import Study
from advgen.core.deprecated import renamed_attribute
from advgen.core.kinds import Kind, Planner
from advgen.specs.base import Spec


class Result:
    score = 3
    points = renamed_attribute("points", "score")


def test_an_old_attribute_reads_the_new_one() -> None:
    with pytest.warns(DeprecationWarning, match=r"Result\.points is deprecated .*; use score") as caught:
        assert Result().points == 3
    assert caught[0].filename == __file__


def test_an_old_method_of_the_planner_calls_the_new_one() -> None:
    planner = Planner(Study(), ())
    with pytest.warns(DeprecationWarning, match=r"Planner\.varied_in is deprecated .*; use swept_values_in"):
        assert planner.varied_in("craft") == {}


def test_a_kind_with_old_hooks_still_works() -> None:
    with pytest.warns(DeprecationWarning, match="is deprecated") as caught:

        class Old(Kind[Spec]):
            about = "a key"

            def jobs(self, planner, name):  # type: ignore[no-untyped-def]
                return [name]

    assert {str(one.message).partition(" is")[0] for one in caught} == {"Old.about", "Old.jobs"}
    assert {one.filename for one in caught} == {__file__}
    assert (Old.description, Old().plan_jobs(None, "x")) == ("a key", ["x"])  # type: ignore[arg-type, comparison-overlap]
