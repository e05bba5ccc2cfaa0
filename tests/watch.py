"""Does a job call anything of the package that its digest does not hold? Every job that a test runs is asked."""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from advgen.core.code import DISPATCH, EFFECTS, ROOT, Symbol, defines, package_folder, used
from advgen.io.jobs import Job

Run = Callable[[Job[Any]], None]


def watched(run: Run) -> Run:
    """The same, but RuntimeError if functions of the package are called that no digest of the job's targets holds."""

    def running(job: Job[Any]) -> None:
        called = set[CodeType]()
        with_calls(called, lambda: run(job))
        gap = sorted(f"{module}:{name}" for module, name in gaps(job, called))
        if gap:
            raise RuntimeError(f"{job.command} used what is not in its digest: {', '.join(gap)}")

    return running


def with_calls(called: set[CodeType], action: Callable[[], None]) -> None:
    """Do something and note which functions are called meanwhile, but for what modules do while they are imported."""
    importing = 0
    seen = dict[int, CodeType]()

    # without a tracer of their own, calls of Python functions are all that it is told
    def look(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        nonlocal importing
        if frame.f_code.co_name == "<module>":
            importing += 1
            frame.f_trace_lines = False
            return leave
        if not importing:
            seen[id(frame.f_code)] = frame.f_code  # a set would compare their contents
        return None

    def leave(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        nonlocal importing
        importing -= event == "return"
        return leave

    before = sys.gettrace()
    threading.settrace(look)
    sys.settrace(look)
    try:
        action()
    finally:
        sys.settrace(before)
        threading.settrace(None)  # type: ignore[arg-type]
        called.update(seen.values())


def gaps(job: Job[Any], called: Iterable[CodeType]) -> set[Symbol]:
    """What was called and is in no digest: the job's own, or that of a model that it reads, which the model carries."""
    files = [path for paths in job.inputs.values() for path in paths if path.suffix == ".safetensors"]
    targets = set(job.spec.uses())
    if files:
        from advgen.io.checkpoints import architecture

        targets |= {target for path in files for target in architecture(path)}
    told = used(*sorted(targets))
    return {(module, name) for module, name in names(called) - told if module not in DISPATCH}


def names(called: Iterable[CodeType]) -> set[Symbol]:
    """The names at the top level of the package's modules in whose bodies functions stand."""
    folder, found = package_folder(), set[Symbol]()
    for code in called:
        path = Path(code.co_filename)
        if path.suffix == ".py" and path.is_relative_to(folder):  # templates are compiled, too
            parts = path.relative_to(folder).with_suffix("").parts
            module = ".".join([ROOT, *(part for part in parts if part != "__init__")])
            for first, last, defined in spans(path):
                if first <= code.co_firstlineno <= last:
                    found |= {(module, name) for name in defined or [EFFECTS]}
    return found


@cache
def spans(path: Path) -> list[tuple[int, int, list[str]]]:
    """First and last line of each statement at a module's top level, and the names that it defines."""
    found = []
    for statement in ast.parse(path.read_bytes()).body:
        first = min([statement.lineno, *(one.lineno for one in getattr(statement, "decorator_list", []))])
        found.append((first, statement.end_lineno or first, defines(statement)))
    return found
