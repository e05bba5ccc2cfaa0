"""Does a job call anything of the package that its digest does not hold? Every job that a test runs is asked."""

import ast
import threading
from collections.abc import Callable, Iterable
from cProfile import Profile
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from advgen.core.code import IMPORT_EFFECTS, Symbol, module_of_file, reachable_symbols
from advgen.core.syntax import defined_names
from advgen.jobs.job import Job

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
    profilers: list[Profile] = []
    here = threading.local()

    def look(*_: object) -> None:
        here.profiler = Profile(subcalls=False, builtins=False)
        profilers.append(here.profiler)
        here.profiler.enable()

    def importing(loader: SourceFileLoader, module: ModuleType) -> None:
        profiler = getattr(here, "profiler", None)
        if profiler is None or here.__dict__.get("depth"):
            return execute(loader, module)
        here.depth = 1
        profiler.disable()
        try:
            execute(loader, module)
        finally:
            here.depth = 0
            profiler.enable()

    execute = SourceFileLoader.exec_module
    SourceFileLoader.exec_module = importing  # type: ignore[method-assign]
    threading.setprofile(look)
    look()
    try:
        action()
    finally:
        here.profiler.disable()
        threading.setprofile(None)  # type: ignore[arg-type]
        SourceFileLoader.exec_module = execute  # type: ignore[method-assign]
        called.update(entry.code for one in profilers for entry in one.getstats() if isinstance(entry.code, CodeType))


def gaps(job: Job[Any], called: Iterable[CodeType]) -> set[Symbol]:
    """What was called and is in no digest: the job's own, or that of a model that it reads, which the model carries."""
    files = [path for paths in job.inputs.values() for path in paths if path.suffix == ".safetensors"]
    targets = set(job.spec.code_targets())
    if files:
        from pydantic import TypeAdapter

        from advgen import registry
        from advgen.io.checkpoints import FAMILY_SPECS
        from advgen.io.headers import read_header

        models = [read_header(path)["model"] for path in files]
        specs = [TypeAdapter(FAMILY_SPECS[model["family"]]).validate_python(model["spec"]) for model in models]
        targets |= {target for spec in specs for target in registry.targets(spec)}
    told = reachable_symbols(*sorted(targets))
    return names(called) - told


def names(called: Iterable[CodeType]) -> set[Symbol]:
    """The names at the top level of the package's modules in whose bodies functions stand."""
    found = set[Symbol]()
    for code in called:
        path = Path(code.co_filename)
        module = module_of_file(path) if path.suffix == ".py" else None  # templates are compiled, too
        if module:
            name = code.co_qualname.partition(".")[0]
            if not name.startswith("<"):
                found.add((module, name))
                continue
            for first, last, defined in spans(path):  # a lambda at the top level: of what?
                if first <= code.co_firstlineno <= last:
                    found |= {(module, one) for one in defined or [IMPORT_EFFECTS]}
    return found


@cache
def spans(path: Path) -> list[tuple[int, int, list[str]]]:
    """First and last line of each statement at a module's top level, and the names that it defines."""
    found = []
    for statement in ast.parse(path.read_bytes()).body:
        first = min([statement.lineno, *(one.lineno for one in getattr(statement, "decorator_list", []))])
        found.append((first, statement.end_lineno or first, defined_names(statement)))
    return found
