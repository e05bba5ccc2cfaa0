"""Digests of code, stamps, whole-file writes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from advgen.core.provenance import Stamp, atomic, code_digest, write_bytes

STAMP = Stamp("advgen craft --model a", {"eps": 0.1}, "abc", {"a": "0" * 64}, {"torch": "2"}, 3, "cpu")


def digest_of(folder: Path, *modules: str) -> str:
    """code_digest in a fresh process whose advgen lies in `folder`."""
    code = f"from advgen.core.provenance import code_digest; print(code_digest(*{modules!r}))"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small copy of the package: the real core, and science of three modules."""
    source = Path(__file__).parents[3] / "src/advgen"
    folder = tmp_path / "advgen"
    (folder / "toy").mkdir(parents=True)
    for folder_name in ("core", "geometry", "io", "specs"):
        shutil.copytree(source / folder_name, folder / folder_name)
    shutil.copy(source / "__init__.py", folder)
    (folder / "toy/__init__.py").write_text("")
    (folder / "toy/a.py").write_text('"""A."""\nfrom advgen.toy.b import f\nfrom advgen.io import tables\n')
    (folder / "toy/b.py").write_text("def f():\n    from advgen.toy import c\n    return c.X  # remark\n")
    (folder / "toy/c.py").write_text("X = 1\n")
    return tmp_path


def test_digest_follows_imports_also_inside_functions(package: Path) -> None:
    before = digest_of(package, "advgen.toy.a")
    (package / "advgen/toy/c.py").write_text("X = 2\n")
    assert digest_of(package, "advgen.toy.a") != before


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("toy/b.py", "def f():\n    from advgen.toy import c\n    # another remark\n    return (c.X)\n"),
        ("toy/a.py", '"""Other words."""\nfrom advgen.toy.b import f\nfrom advgen.io import tables\n'),
        ("toy/b.py", 'def f():\n    """New."""\n    from advgen.toy import c\n    return c.X\n'),
        ("io/tables.py", "CHANGED = True\n"),
    ],
)
def test_digest_ignores_comments_layout_docstrings_and_io(package: Path, file: str, text: str) -> None:
    before = digest_of(package, "advgen.toy.a")
    (package / "advgen" / file).write_text(text)
    assert digest_of(package, "advgen.toy.a") == before


def test_digest_holds_the_format(package: Path) -> None:
    before = digest_of(package, "advgen.toy.a")
    file = package / "advgen/core/provenance.py"
    file.write_text(re.sub(r"^FORMAT = .*", "FORMAT = 999", file.read_text(), flags=re.MULTILINE))
    assert digest_of(package, "advgen.toy.a") != before


def test_digest_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no module"):
        code_digest("advgen.nothing")


def test_stamp_comes_back() -> None:
    assert Stamp.from_json(STAMP.to_json()) == STAMP
    assert Stamp.from_token(STAMP.token()) == STAMP
    assert STAMP.token().isascii()
    with pytest.raises(ValueError, match="stamp cannot be read"):
        Stamp.from_json("{")


def test_atomic_write_leaves_old_content_on_failure(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert [one.name for one in path.parent.iterdir()] == ["file.txt"]
