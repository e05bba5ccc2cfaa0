"""Mutation tests: inject small faults, one at a time, and run the tests of the changed module.

    python tests/mutants/run.py [PART OF A PATH …] [--groups GROUP …] [--sample N] [--minutes M]

Each mutant runs in a fork of a process that has imported the libraries. The import system loads its code instead of the
module, so that no file is changed. The sample is always the same: kill each survivor with an assertion, or list it in
`survivors.yaml` with a reason. Code that a test runs in another process is not mutated.
"""

import argparse
import ast
import contextlib
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from tests.mutants.operators import Mutant, make_mutants  # noqa: E402

ATTACKS = ("tests/unit/attacks", "tests/contract/test_attacks.py")
ATTACKS += ("tests/gpu/test_batches.py", "tests/gpu/test_recording.py")
SUMMARIES = tuple(
    f"tests/unit/{name}.py"
    for name in ("experiments/test_summaries", "metrics/test_worst_case", "experiments/test_interpolation")
)
SUMMARISED = ("attacks", "inpaintings", "interpolations", "inversions", "linearities")
PLAN = tuple(f"tests/workflow/test_{name}.py" for name in ("wiring", "sweeps", "config_errors"))
PLAN += ("tests/unit/core/test_tasks.py", "tests/unit/core/test_kinds.py")
PLANNED = ("attacks", "autoencoders", "classifiers", "datasets", "gans", "inversions", "probes", "transfers")
TESTS: dict[str, dict[str, tuple[str, ...]]] = {
    "attacks": {"attacks": ATTACKS},
    "metrics": {"metrics": ("tests/unit/metrics", *SUMMARIES)},
    "summaries": {f"experiments/{kind}/summary.py": SUMMARIES for kind in SUMMARISED},
    "plan": dict.fromkeys(("driver/plan.py", "core/kinds.py", "core/tasks.py", "core/paths.py"), PLAN)
    | {f"experiments/{kind}/experiment.py": PLAN for kind in PLANNED},
    "cv": {"cv": ("tests/unit/cv",)},
    "report": {"report": ("tests/unit/report",)},
    "driver": {
        "driver": ("tests/unit/driver", "tests/unit/jobs", "tests/unit/test_prune.py", "tests/workflow/test_plan.py")
    },
    "api": {"api": ("tests/unit/api", "tests/contract/test_custom_models_contract.py")},
    "study": {"study": (*PLAN, "tests/workflow/test_config_mutations.py", "tests/unit/test_export.py")},
}
"""The tests of each file or folder of the package, by group."""

LIBRARIES = "torch numpy pandas pyarrow.parquet scipy.stats scipy.optimize pydantic hypothesis safetensors.torch jinja2"
LIBRARIES += " bibtexparser pylatexenc.latex2text typst docutils.core markdown_it pytest"
SAMPLE = 120  # mutants per group
MINUTES = 60.0
SLOWEST = 5.0  # seconds; slower tests are skipped
NEEDED = 0.9  # the share of mutants that must be killed

Lines = set[tuple[str, int]]


class MutantLoader(importlib.machinery.SourceFileLoader, importlib.abc.MetaPathFinder):
    """Finds and loads one module with the code of a mutant."""

    def __init__(self, mutant: Mutant):
        super().__init__(".".join(Path(mutant.file).with_suffix("").parts[1:]), str(ROOT / mutant.file))
        self.mutant = mutant

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        return self.mutant.code()


class Watch:
    """A pytest plugin that records the time of each test and the lines of mutated files that it runs."""

    def __init__(self, files: set[str]):
        self.files, self.hit = files, Lines()
        self.seconds, self.lines = Counter[str](), defaultdict[str, Lines](Lines)

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename not in self.files:
            return None
        self.hit.add((frame.f_code.co_filename, frame.f_lineno))
        return self.trace

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] += report.duration
        # a fixture can serve all tests of its file
        self.lines[report.nodeid if report.when == "call" else report.nodeid.split("::")[0]] |= self.hit
        self.hit.clear()

    def report(self) -> list[Any]:
        shared = {name: sorted(self.lines[name] | self.lines[name.split("::")[0]]) for name in self.seconds}
        return [(name, seconds, shared[name]) for name, seconds in self.seconds.items()]


class SelectTests:
    """A pytest plugin that selects some tests and runs them file by file, the fastest first."""

    def __init__(self, tests: dict[str, float]):
        self.tests = tests
        in_file = defaultdict[str, list[float]](list)
        for name, seconds in tests.items():
            in_file[name.split("::")[0]].append(seconds)
        self.mean = {file: (sum(all_) / len(all_), file) for file, all_ in in_file.items()}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if item.nodeid in self.tests]
        items.sort(key=lambda item: (self.mean[item.nodeid.split("::")[0]], self.tests[item.nodeid]))


def run_in_fork(work: Callable[[], int], limit: float) -> int | None:
    """Return the exit status of a function in a forked process, or None if it takes more than `limit` seconds."""
    if (child := os.fork()) == 0:
        os.setsid()
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        with contextlib.suppress(BaseException):
            os._exit(work())
        os._exit(99)
    end, status = time.monotonic() + limit, None
    while status is None and time.monotonic() < end:
        done, code = os.waitpid(child, os.WNOHANG)
        status = os.waitstatus_to_exitcode(code) if done else time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # with its child processes
    if status is None:
        os.waitpid(child, 0)
    return status


def run_pytest(files: list[str], plugin: object, *options: str) -> int:
    import pytest

    os.chdir(ROOT)
    fixed = ("-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", f"--basetemp={tempfile.gettempdir()}/pytest")
    return int(pytest.main([*files, *options, *fixed], plugins=[plugin]))


def measure_tests(tests: str, files: set[str]) -> list[Any]:
    """Return the name, the seconds and the lines of each test of a file or folder, without a mutant."""
    report = Path(tempfile.gettempdir()) / "report.json"

    def work() -> int:
        watch = Watch(files)
        sys.settrace(watch.trace)
        code = run_pytest([tests], watch)
        sys.settrace(None)
        report.write_text(json.dumps(watch.report()))
        return code

    if code := run_in_fork(work, 900):
        raise SystemExit(f"{tests} fails without a mutant, with exit status {code}")
    return list(json.loads(report.read_text()))


def survives(mutant: Mutant, known: list[Any]) -> bool:
    """Return whether all tests pass with a mutant; a test that hangs counts as failed."""
    lines_of_mutant = {(str(ROOT / mutant.file), line) for line in range(mutant.at, mutant.last + 1)}
    tests = {
        name: seconds
        for name, seconds, lines in known
        if seconds < SLOWEST and (not mutant.inside or not lines_of_mutant.isdisjoint(map(tuple, lines)))
    }

    def work() -> int:
        sys.meta_path.insert(0, MutantLoader(mutant))
        return run_pytest(sorted({name.split("::")[0] for name in tests}), SelectTests(tests), "-x")

    # 5: pytest collected no test
    return not tests or run_in_fork(work, 20 + 4 * sum(tests.values())) in (0, 5)


def find_function_lines(text: str) -> set[int]:
    """Return the lines of a module's functions."""
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    return {line for one in functions for line in range(one.lineno, (one.end_lineno or one.lineno) + 1)}


def draw_sample(group: str, parts: list[str], n: int) -> list[tuple[Mutant, tuple[str, ...]]]:
    """Return the mutants of a group with the smallest digests, and their tests.

    Digests make the sample independent of edits elsewhere.
    """
    found = []
    for source, tests in TESTS[group].items():
        path = ROOT / "src/advgen" / source
        for file in sorted(path.glob("**/*.py")) if path.is_dir() else [path]:
            name = str(file.relative_to(ROOT))
            if not parts or any(part in name for part in parts):
                text = file.read_text(encoding="utf-8")
                is_declaration = file.name in ("experiment.py", "outcome.py")  # only their functions are code
                code = find_function_lines(text) if is_declaration else None
                found += [(one, tests) for one in make_mutants(name, text) if code is None or one.at in code]
    found.sort(key=lambda pair: hashlib.sha256(f"{pair[0].line}\n{pair[0].change}".encode()).digest())
    print(f"{group}: {min(n, len(found))} of {len(found)} mutants", flush=True)
    return found[:n]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="parts of paths of the files to mutate")
    parser.add_argument("--groups", nargs="*", choices=TESTS, default=list(TESTS), help="default: all")
    parser.add_argument("--sample", type=int, default=SAMPLE)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    os.environ |= {"HYPOTHESIS_STORAGE_DIRECTORY": f"{tempfile.gettempdir()}/hypothesis", "OMP_NUM_THREADS": "1"}
    for library in LIBRARIES.split():
        importlib.import_module(library)
    drawn = {group: draw_sample(group, options.parts, options.sample) for group in options.groups}
    files = {str(ROOT / mutant.file) for some in drawn.values() for mutant, _ in some}
    tests_to_run = sorted({test for some in drawn.values() for _, tests in some for test in tests})
    known = {test: measure_tests(test, files) for test in tests_to_run}
    minutes = (end - time.monotonic()) / 60
    print(f"{sum(map(len, known.values()))} tests pass, {minutes:.0f} minutes remain", flush=True)
    listed = yaml.safe_load((Path(__file__).parent / "survivors.yaml").read_text(encoding="utf-8"))
    accepted = {(file, one["line"], one["change"]) for file, some in listed.items() for one in some}
    ran, lived, bad = Counter[str](), Counter[str](), 0
    # alternate between the groups, so that each has results when the time is over
    for turn in zip_longest(*([(group, *one) for one in some] for group, some in drawn.items())):
        for group, mutant, tests in filter(None, turn):
            if time.monotonic() > end:
                break
            ran[group] += 1
            if (total := sum(ran.values())) % 40 == 0:
                minutes = (end - time.monotonic()) / 60
                print(f"{total} of {sum(map(len, drawn.values()))}, {minutes:.0f} minutes remain", flush=True)
            if survives(mutant, [test for name in tests for test in known[name]]):
                lived[group] += 1
                if (mutant.file, mutant.line, mutant.change) not in accepted:
                    bad += 1
                    print(f"survives: {mutant.file}:{mutant.at}\n  {mutant.line}\n  {mutant.change}", flush=True)
    for group in filter(drawn.get, drawn):
        share = 1 - lived[group] / max(ran[group], 1)
        print(
            f"{group}: {ran[group] - lived[group]} of {ran[group]} killed ({share:.1%}), sample of {len(drawn[group])}"
        )
        bad += share < NEEDED
    return bool(bad)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as tempfile.tempdir:
        sys.exit(main())
