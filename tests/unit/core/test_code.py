"""Digests of code: what they include, and what they exclude."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from advgen import registry
from advgen.core.code import EXCLUDED_LISTS, code_digest, edited_modules, reachable_symbols, read_source

TOY = {
    "a": """
        '''A.'''
        from advgen.toy import tools
        from advgen.toy.b import f as renamed, Base
        import advgen.toy.whole as things

        def run(job: Base) -> int:
            return renamed(job) + tools.helper(LIMIT)

        def other():
            return things

        class Own(Base):
            size: tools.Size = 1

        LIMIT = 3
    """,
    "b": """
        from advgen.registry import resolve
        if TYPE_CHECKING:
            from advgen.toy.typing_only import T

        def f(x):
            from advgen.toy import c
            tools = {"local": 1}  # hides nothing here
            return c.X, resolve(x), tools.get

        class Base:
            def method(self):
                return deep()

        def deep():
            return 1
    """,
    "c": "X = 1\nY = 2\n",
    "tools": """
        import torch
        torch.set_num_threads(1)

        def decorate(function):
            return function

        @decorate
        def helper(x, y=2):
            return [z for z in range(x)] or lazily(x)

        def lazily(x):
            return Size

        def unused():
            return 0

        Size = int
    """,
    "whole": "A = 1\nB = 2\n",
    "typing_only": "T = 1\n",
    "scopes": """
        try:
            from advgen.toy.c import X
        except ImportError:
            X = 0

        def outer(x):
            def inner():
                step = x
                return step
            return step(x), [deep for deep in deep(x)], [last for last in x], last(x), X, lambda far: far, far(x)

        def step(x):
            return 10

        def deep(x):
            return 20

        def last(x):
            return 30

        def far(x):
            return 40
    """,
}


def evaluate(folder: Path, expression: str) -> str:
    """Evaluate an expression with `advgen.core.code` in a new process that imports advgen from `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", f"from advgen.core.code import *; print({expression})"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def digest(folder: Path, target: str = "a:run") -> str:
    return evaluate(folder, f"code_digest('advgen.toy.{target}')")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small copy of the package: the real core, and toy modules."""
    source_folder = Path(__file__).parents[3] / "src/advgen"
    folder = tmp_path / "advgen"
    (folder / "toy").mkdir(parents=True)
    for name in ("core", "files", "geometry", "specs"):
        shutil.copytree(source_folder / name, folder / name)
    for name in ("__init__.py", "registry.py"):
        shutil.copy(source_folder / name, folder)
    (folder / "toy/__init__.py").write_text("")
    for name, text in TOY.items():
        lines = text.splitlines()
        indent = next((len(line) - len(line.lstrip()) for line in lines if line.strip()), 0)
        (folder / f"toy/{name}.py").write_text("\n".join(line[indent:] for line in lines) + "\n")
    return tmp_path


def edit(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / f"advgen/toy/{file}.py"
    text = path.read_text()
    assert text.count(old) == 1, f"{file} has {text.count(old)} times {old!r}"
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("a", "LIMIT = 3", "LIMIT = 4"),  # a constant of its own module
        ("a", "tools.helper(LIMIT)", "-tools.helper(LIMIT)"),
        ("b", "return c.X", "return c.Y"),  # imported under another name
        ("c", "X = 1", "X = 3"),  # imported inside a function
        ("tools", "y=2", "y=3"),  # a default
        ("tools", "@decorate\n", ""),
        ("tools", "return function", "return lambda: 0"),  # what decorates
        ("tools", "return Size", "return 2"),  # two steps away
        ("tools", "Size = int", "Size = float"),
        ("tools", "torch.set_num_threads(1)", "torch.set_num_threads(2)"),  # what importing does
    ],
)
def test_a_digest_includes_what_is_used(package: Path, file: str, old: str, new: str) -> None:
    before = digest(package)
    edit(package, file, old, new)
    assert digest(package) != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("a", "A.", "Other words."),
        ("a", "-> int:", '-> float:\n    """New."""\n    # remark'),
        ("a", "job: Base", "job"),
        ("a", "return things", "return 1"),  # another function of the same module
        ("b", "tools = {", "tools = {  # remark\n        "),
        ("c", "Y = 2", "Y = 3"),
        ("tools", "return 0", "return 1"),
        ("whole", "A = 1", "A = 2"),
        ("typing_only", "T = 1", "T = 2"),
    ],
)
def test_a_digest_includes_nothing_else(package: Path, file: str, old: str, new: str) -> None:
    before = digest(package)
    edit(package, file, old, new)
    assert digest(package) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("scopes", "return 10", "return 11"),  # a function inside has a name like it
        ("scopes", "return 20", "return 21"),  # a comprehension has one, but looks its first part up outside
        ("scopes", "return 30", "return 31"),  # a comprehension has one, and ends
        ("scopes", "return 40", "return 41"),  # a lambda has one
        ("c", "X = 1", "X = 3"),  # imported in a branch
    ],
)
def test_local_names_hide_those_of_the_module_as_in_python(package: Path, file: str, old: str, new: str) -> None:
    before = digest(package, "scopes:outer")
    edit(package, file, old, new)
    assert digest(package, "scopes:outer") != before


def test_a_module_used_as_an_object_is_included_completely(package: Path) -> None:
    before = digest(package, "a:other")
    edit(package, "whole", "B = 2", "B = 3")
    assert digest(package, "a:other") != before


@pytest.mark.parametrize(("file", "old", "new"), [("b", "return 1", "return 2"), ("tools", "Size = int", "Size = str")])
def test_a_class_includes_its_bases_and_the_types_of_its_fields(package: Path, file: str, old: str, new: str) -> None:
    before = digest(package, "a:Own")
    edit(package, file, old, new)
    assert digest(package, "a:Own") != before


REGISTRY = "advgen/registry.py"
FGSM_LINE = '    attacks.FgsmAttack: "advgen.attacks.fgsm:fgsm",\n'


def edit_registry(folder: Path, old: str, new: str) -> None:
    path = folder / REGISTRY
    text = path.read_text()
    assert text.count(old) == 1, f"{text.count(old)} times {old!r}"
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return load_target(target(spec))\n", "    return load_target(target(spec).replace('pgd', 'fgsm'))\n"),
        ("    return _TARGETS[type(spec)]\n", "    return _TARGETS[type(spec)].replace('pgd', 'fgsm')\n"),
        ("getattr(importlib.import_module(module), name)", "getattr(importlib.import_module(module), name.lower())"),
        ("_TARGETS = {spec: target for", "_TARGETS = {spec: target.lower() for"),
        ("    PARSERS[_family] = partial(parse, _family)\n", "    PARSERS[_family] = partial(parse, 'attacks')\n"),
    ],
)
def test_a_digest_includes_the_functions_of_the_registry(package: Path, old: str, new: str) -> None:
    before = digest(package, "b:f")
    edit_registry(package, old, new)
    assert digest(package, "b:f") != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (FGSM_LINE, ""),
        (FGSM_LINE, FGSM_LINE + '    attacks.NewAttack: "advgen.attacks.new:new",\n'),
        ("from advgen.specs.base import", "from advgen.toy import b as new_specs\nfrom advgen.specs.base import"),
    ],
)
def test_a_digest_excludes_the_lists_of_the_registry(package: Path, old: str, new: str) -> None:
    before = digest(package, "b:f")
    edit_registry(package, old, new)
    assert digest(package, "b:f") == before


def test_every_family_of_the_registry_is_an_excluded_list() -> None:
    kept = {name for module, name in EXCLUDED_LISTS if module == "advgen.registry"}
    lists = [family for name, family in registry.FAMILIES.items() if name != "figures"]  # the catalog fills that one
    for family in [*lists, registry.FROM_FILES, registry.BASES]:
        assert [name for name in kept if getattr(registry, name) is family]
    assert all(hasattr(importlib.import_module(module), name) for module, name in EXCLUDED_LISTS)


def test_annotations_of_local_variables_do_not_count(package: Path) -> None:
    edit(package, "tools", "return Size", "size: unused = Size\n    return size")
    before = digest(package)
    edit(package, "tools", "return 0", "return 1")
    edit(package, "tools", "size: unused", "size: int")
    assert digest(package) == before


def test_descriptions_of_keys_do_not_count() -> None:
    assert ("advgen.specs.attacks", "PgdAttack") in reachable_symbols("advgen.specs.attacks:PgdAttack")
    assert "description" not in str(read_source("advgen.specs.attacks").definitions["PgdAttack"])


def test_edited_modules_are_found(package: Path) -> None:
    change = "__import__('pathlib').Path('advgen/toy/c.py').write_text('X = 9')"
    edited = "edited_modules('advgen.toy.a:run')"
    printed = evaluate(package, f"reachable_symbols('advgen.toy.a:run') and {edited}, {change}, {edited}")
    assert printed == "[] 5 ['advgen.toy.c']"
    assert edited_modules("advgen.attacks.fgsm:fgsm") == []


def test_the_cache_of_another_version_is_not_used(package: Path) -> None:
    count = "len(reachable_symbols('advgen.toy.a:run'))"
    evaluate(package, f"{count} and save_digest_cache()")
    kept, reader = package / "results/state/code.json", package / "advgen/core/syntax.py"
    reader.write_text(reader.read_text().replace("def visit_Attribute(", "def blind("))  # sees fewer names
    found = evaluate(package, count)
    assert kept.is_file()
    kept.unlink()
    assert found == evaluate(package, count)


@pytest.mark.parametrize("target", ["advgen.nothing:run", "advgen.attacks.fgsm:nothing"])
def test_a_missing_target_is_an_error(target: str) -> None:
    with pytest.raises(ValueError, match=target):
        code_digest(target)
