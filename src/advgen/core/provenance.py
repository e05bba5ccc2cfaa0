"""Where a file comes from: content hashes, digests of code, the stamp inside every artefact, whole-file writes."""

from __future__ import annotations

import ast
import base64
import glob
import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from advgen.specs.base import canonical_json

FORMAT = 2
"""Raised by hand when core or I/O modules change what stands in artefacts: part of every code digest."""

# The digest of a job stops at these: one new spec class must not retrain every model. What specs and tasks say stands
# in the job's spec, and what I/O changes is told by FORMAT.
_STOP = (
    "advgen.specs",
    "advgen.presets",
    "advgen.registry",
    "advgen.core",
    "advgen.study",
    "advgen.driver",
    "advgen.io",
)
_ASKED = ("experiment", "outcome")


@cache
def _stops(module: str) -> bool:
    """Whether a module is no part of any digest: specs, core and I/O, and what a kind of experiment is asked."""
    asked = module.startswith(("advgen.experiments.", "advgen.outcomes.")) and module.rpartition(".")[2] in _ASKED
    return asked or module.startswith(tuple(f"{one}." for one in _STOP)) or module in (*_STOP, "advgen.cli")


@dataclass(frozen=True)
class Stamp:
    """What made an artefact: enough to trace it and to make it again. No times, hosts or absolute paths."""

    command: str
    spec: Any
    code: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    device: str = "cpu"

    def to_json(self) -> str:
        """Canonical JSON: equal stamps are equal strings."""
        return canonical_json(self.__dict__)

    @staticmethod
    def from_json(text: str) -> Stamp:
        """Read `to_json`'s text; ValueError if it is none."""
        try:
            return Stamp(**json.loads(text))
        except (json.JSONDecodeError, TypeError) as error:
            raise ValueError(f"stamp cannot be read: {error}") from None

    def token(self) -> str:
        """The stamp as ASCII for the metadata of PDF, PNG and text files."""
        return "advgen:" + base64.urlsafe_b64encode(self.to_json().encode()).decode()

    @staticmethod
    def from_token(text: str) -> Stamp:
        """Read `token`'s text."""
        return Stamp.from_json(base64.urlsafe_b64decode(text.removeprefix("advgen:")).decode())


def sha256_text(text: str) -> str:
    """Hex digest of a string."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary sibling to write to; it takes the place of `path` when the block ends well, else it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    return f".{path.stem[:40]}.partial."


def temporaries(path: Path) -> Iterator[Path]:
    """What `atomic` left beside a path when its process was killed."""
    return path.parent.glob(f"{glob.escape(_prefix(path))}*{path.suffix}")


@cache
def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


# --- digests of code -------------------------------------------------------------------------------------------------


@cache
def code_digest(*modules: str) -> str:
    """Digest of the syntax trees of `modules` and all advgen modules that they import, core and I/O apart.

    Docstrings, comments and layout do not count. Imports inside functions count; registry targets are strings and
    must be named in `modules`.
    """
    todo, seen = set(modules), dict[str, str]()
    while todo:
        module = todo.pop()
        if module in seen or _stops(module):
            continue
        seen[module], imports = _module(module)
        todo |= imports - seen.keys()
    text = "\n".join(f"{module} {seen[module]}" for module in sorted(seen))
    return sha256_text(f"format {FORMAT}\n{text}")[:16]


@cache
def _module(module: str) -> tuple[str, frozenset[str]]:
    """Digest and direct advgen imports of one module."""
    path = _path(module)
    if path is None:
        raise ValueError(f"no module {module}")
    source = path.read_bytes()
    key = hashlib.sha256(source).hexdigest()
    cached = _cache().get(key)
    if cached is None:
        tree = ast.parse(source)
        imports = frozenset(_imports(tree, module, path.name == "__init__.py"))
        cached = [sha256_text(ast.dump(_without_docstrings(tree))), sorted(imports)]
        _cache()[key] = cached
    return cached[0], frozenset(cached[1])


def _path(module: str) -> Path | None:
    package = package_folder()
    base = package.joinpath(*module.split(".")[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def package_folder() -> Path:
    """Where the package's sources and templates lie."""
    spec = importlib.util.find_spec("advgen")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def package_file(name: str) -> str:
    """A file of the package, relative to the working folder where it lies below it."""
    path = package_folder() / name
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    parts = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level + 1] if node.level else [])
            origin = ".".join(part for part in (base, node.module) if part)
            names = [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.startswith("advgen.") and _path(name) is not None:
                yield name


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
    return tree


# Parsing 60 files costs .4 s and every SLURM job parses the Snakefile again, so digests are kept by content.
_CACHE_FILE = Path("results/state/code-digests.json")


@cache
def _cache() -> dict[str, list[Any]]:
    try:
        entries = json.loads(_CACHE_FILE.read_text())
        return entries if isinstance(entries, dict) else {}
    except (OSError, ValueError):
        return {}


def save_digest_cache() -> None:
    """Keep the per-file digests for the next parse; a folder that cannot be written is no error."""
    with suppress(OSError, ValueError):
        if json.loads(_CACHE_FILE.read_text()) == _cache():
            return
    with suppress(OSError):
        write_bytes(_CACHE_FILE, json.dumps(_cache(), sort_keys=True).encode())
