"""The faults of `make mutants`, and the list of accepted survivors."""

import pytest
import yaml
from tests.mutants.operators import make_edits, make_mutants
from tests.mutants.run import TESTS
from tests.mutants.stale import HAND_WRITTEN_FAULTS, plant_fault
from tests.project import ROOT


def changes(source: str) -> list[str]:
    return [mutant.change for mutant in make_mutants("x.py", source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", ["a < b -> a <= b", "a < b -> a > b"]),
        ("a == b", ["a == b -> a != b"]),
        ("a - b * c", ["a - b * c -> a + b * c", "b * c -> b / c"]),
        ("a += 2", ["a += 2 -> a -= 2", "2 -> 3", "2 -> 1"]),
        ("a[0], b[0]", ["0 -> 1", "0 -> -1", "0 -> 1 (number 2 of the line)", "0 -> -1 (number 2 of the line)"]),
        ("not a or b", ["not a or b -> not a and b", "not a -> a"]),
        ("min(a, x.amax())", ["min -> max", "x.amax -> x.amin"]),
        ("f(a, 'test')", ["'test' -> 'train'"]),
        ("x if a else y", ["a -> not a"]),
        ("def f(n: int = 1) -> int:\n    return n", ["1 -> 2", "1 -> 0", "return n -> return None"]),
        ("def f():\n    '''1'''\n    raise E(1 + 2)", []),
        ("A = int | str\nB = Literal['l2']\n__all__ = ['min']", []),
        ("def f():\n    warn(1 < 2)\n    zip(a, b, strict=True)", []),
    ],
)
def test_faults(source: str, expected: list[str]) -> None:
    assert changes(source) == expected


def test_a_mutant_runs_its_fault_alone() -> None:
    found = []
    for mutant in make_mutants("x.py", "def f(a, b):\n    return a - b\n"):
        names: dict[str, object] = {}
        exec(mutant.code(), names)
        found.append(names["f"](5, 3))  # type: ignore[operator]
    assert found == [None, 8]


def test_a_mutant_as_text_is_the_one_that_runs() -> None:
    source = "def f(ä, b=2):\n    # é\n    return min(ä, -b) + (ä - b) * len(f'{b + 1}')\n"
    texts = {mutant.change: mutant.text() for mutant in make_mutants("x.py", source)}
    assert texts["ä - b -> ä + b"] == source.replace("(ä - b)", "(ä + b)")
    assert texts["2 -> 3"] == source.replace("b=2", "b=3")
    assert texts["min -> max"] == source.replace("min", "max")
    assert texts["-b -> b"] == source.replace("-b)", "b)")
    for mutant in make_mutants("x.py", source):
        assert mutant.text() != source


def test_faults_of_other_files_are_numbers_and_words() -> None:
    source = "A figure, of 10 images.\n\n{x}\n.css { width: 2em }\nThe axis is long.\n"
    found = [(one.at, one.change) for one in make_edits("x.rst", source)]
    assert found == [(1, "10 -> 11"), (4, "2 -> 3"), (5, "The -> The The")]
    assert next(make_edits("x.rst", source)).text() == source.replace("10", "11")


def test_accepted_survivors_are_mutants_and_have_a_reason() -> None:
    listed = yaml.safe_load((ROOT / "tests/mutants/survivors.yaml").read_text(encoding="utf-8"))
    for file, some in listed.items():
        made = {
            (mutant.line, mutant.change) for mutant in make_mutants(file, (ROOT / file).read_text(encoding="utf-8"))
        }
        for one in some:
            assert (one["line"], one["change"]) in made, f"{file}: {one}"
            assert len(one["why"].split()) > 2


def test_hand_written_faults_are_in_the_registry_and_the_catalog() -> None:
    found = [plant_fault(*one) for one in HAND_WRITTEN_FAULTS]
    assert {one.file for one in found} == {"src/advgen/registry.py", "src/advgen/core/catalog.py"}
    for one in found:
        compile(one.text(), one.file, "exec")


def test_every_file_and_test_of_the_table_exists() -> None:
    for sources in TESTS.values():
        for source, tests in sources.items():
            assert (ROOT / "src/advgen" / source).exists(), source
            assert all((ROOT / test).exists() for test in tests), source
