"""Small faults put into the science, one at a time: do the tests beside it notice?

    python tests/mutants/run.py [PART OF A PATH …] [--sample N] [--minutes M]

Each mutant runs in a fork of a process that has imported the libraries, and takes its module's place in the import
system: no file of the tree is touched. The sample is the same every time, so that each survivor can be killed, or be
listed in `survivors.yaml` with why it may live. What a test starts as another process is not mutated.
"""

from __future__ import annotations

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

from tests.mutants.operators import Mutant, mutants  # noqa: E402

ATTACKS = ("tests/unit/attacks", "tests/contract/test_attacks.py", "tests/unit/attacks/test_attacks_against_peers.py")
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
    "metrics": {
        "metrics/trivial.py": ("tests/unit/metrics/test_trivial.py",),
        "metrics/detect.py": ("tests/unit/metrics/test_detect.py",),
        "metrics/distribution.py": ("tests/unit/metrics/test_distribution.py",),
        "metrics/grouping.py": SUMMARIES,
        "metrics/judging.py": ("tests/unit/metrics/test_distribution.py", "tests/unit/metrics/test_score.py"),
        "metrics/image.py": ("tests/unit/metrics/test_image_metrics.py", "tests/unit/metrics/test_distribution.py"),
        "metrics/intervals.py": ("tests/unit/metrics/test_intervals.py",),
        "metrics/chance.py": ("tests/unit/metrics/test_sanity.py", "tests/unit/metrics/test_traps.py"),
        "metrics/calibration.py": ("tests/unit/metrics/test_distribution.py",),
        "metrics/sanity": ("tests/unit/metrics/sanity",),
        "metrics/agreement.py": ("tests/unit/metrics/test_published.py",),
        "metrics/lines.py": SUMMARIES,
        "metrics/paths.py": SUMMARIES,
        "metrics/published.py": ("tests/unit/metrics/test_published.py",),
        "metrics/score.py": ("tests/unit/metrics/test_score.py",),
        "metrics/worst_case.py": ("tests/unit/metrics/test_worst_case.py",),
    },
    "summaries": {f"experiments/{kind}/summary.py": SUMMARIES for kind in SUMMARISED},
    "plan": dict.fromkeys(("driver/plan.py", "core/kinds.py", "core/tasks.py", "core/paths.py"), PLAN)
    | {f"experiments/{kind}/experiment.py": PLAN for kind in PLANNED},
    "cv": {"cv": ("tests/unit/cv",)},
}
"""Group, file or folder of the package, and the tests beside it."""

LIBRARIES = "torch numpy pandas pyarrow.parquet scipy.stats scipy.optimize pydantic hypothesis safetensors.torch jinja2"
LIBRARIES += " bibtexparser pylatexenc.latex2text typst docutils.core markdown_it pytest"
SAMPLE = 120  # mutants of each group
MINUTES = 30.0
SLOWEST = 5.0  # seconds; a slower test is not asked
NEEDED = 0.9  # the share that must die

Lines = set[tuple[str, int]]


class Mutated(importlib.machinery.SourceFileLoader, importlib.abc.MetaPathFinder):
    """Finds and loads one module, with a mutant's code in the place of its file's."""

    def __init__(self, mutant: Mutant):
        super().__init__(".".join(Path(mutant.file).with_suffix("").parts[1:]), str(ROOT / mutant.file))
        self.mutant = mutant

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        return self.mutant.code()


class Watch:
    """A pytest plugin: how long each test takes, and which lines of the mutated files it runs."""

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
        # what a fixture runs may serve all tests of its file
        self.lines[report.nodeid if report.when == "call" else report.nodeid.split("::")[0]] |= self.hit
        self.hit.clear()

    def told(self) -> list[Any]:
        shared = {name: sorted(self.lines[name] | self.lines[name.split("::")[0]]) for name in self.seconds}
        return [(name, seconds, shared[name]) for name, seconds in self.seconds.items()]


class Only:
    """A pytest plugin: some tests alone, the quickest first, file by file."""

    def __init__(self, tests: dict[str, float]):
        self.tests = tests
        in_file = defaultdict[str, list[float]](list)
        for name, seconds in tests.items():
            in_file[name.split("::")[0]].append(seconds)
        self.mean = {file: (sum(all_) / len(all_), file) for file, all_ in in_file.items()}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if item.nodeid in self.tests]
        items.sort(key=lambda item: (self.mean[item.nodeid.split("::")[0]], self.tests[item.nodeid]))


def forked(work: Callable[[], int], limit: float) -> int | None:
    """The exit status of some work in a process of its own; None if that had not ended after `limit` seconds."""
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
        os.killpg(child, signal.SIGKILL)  # with what it started
    if status is None:
        os.waitpid(child, 0)
    return status


def tested(files: list[str], plugin: object, *options: str) -> int:
    import pytest

    os.chdir(ROOT)
    fixed = ("-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", f"--basetemp={tempfile.gettempdir()}/pytest")
    return int(pytest.main([*files, *options, *fixed], plugins=[plugin]))


def baseline(tests: str, files: set[str]) -> list[Any]:
    """Each test of a file or folder where nothing is mutated: its name, its seconds and its lines."""
    told = Path(tempfile.gettempdir()) / "told.json"

    def work() -> int:
        watch = Watch(files)
        sys.settrace(watch.trace)
        code = tested([tests], watch)
        sys.settrace(None)
        told.write_text(json.dumps(watch.told()))
        return code

    if code := forked(work, 900):
        raise SystemExit(f"{tests} fails without a mutant, with exit status {code}")
    return list(json.loads(told.read_text()))


def survives(mutant: Mutant, known: list[Any]) -> bool:
    """Whether no test notices a mutant; one that hangs is noticed."""
    own = {(str(ROOT / mutant.file), line) for line in range(mutant.at, mutant.last + 1)}
    asked = {
        name: seconds
        for name, seconds, lines in known
        if seconds < SLOWEST and (not mutant.inside or not own.isdisjoint(map(tuple, lines)))
    }

    def work() -> int:
        sys.meta_path.insert(0, Mutated(mutant))
        return tested(sorted({name.split("::")[0] for name in asked}), Only(asked), "-x")

    # 5: no test was left to run
    return not asked or forked(work, 20 + 4 * sum(asked.values())) in (0, 5)


def planning(text: str) -> set[int]:
    """The lines of a module's functions."""
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    return {line for one in functions for line in range(one.lineno, (one.end_lineno or one.lineno) + 1)}


def sample(group: str, parts: list[str], n: int) -> list[tuple[Mutant, tuple[str, ...]]]:
    """Mutants of a group with their tests: those of the least digests, so that no edit elsewhere draws others."""
    found = []
    for source, tests in TESTS[group].items():
        path = ROOT / "src/advgen" / source
        for file in sorted(path.glob("**/*.py")) if path.is_dir() else [path]:
            name = str(file.relative_to(ROOT))
            if not parts or any(part in name for part in parts):
                text = file.read_text(encoding="utf-8")
                told = file.name in (
                    "experiment.py",
                    "outcome.py",
                )  # what a kind declares is data, what it plans is code
                code = planning(text) if told else None
                found += [(one, tests) for one in mutants(name, text) if code is None or one.at in code]
    found.sort(key=lambda pair: hashlib.sha256(f"{pair[0].line}\n{pair[0].change}".encode()).digest())
    print(f"{group}: {min(n, len(found))} of {len(found)} mutants", flush=True)
    return found[:n]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--sample", type=int, default=SAMPLE)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    os.environ |= {"HYPOTHESIS_STORAGE_DIRECTORY": f"{tempfile.gettempdir()}/hypothesis", "OMP_NUM_THREADS": "1"}
    for library in LIBRARIES.split():
        importlib.import_module(library)
    drawn = {group: sample(group, options.parts, options.sample) for group in TESTS}
    files = {str(ROOT / mutant.file) for some in drawn.values() for mutant, _ in some}
    beside = sorted({test for some in drawn.values() for _, tests in some for test in tests})
    known = {test: baseline(test, files) for test in beside}
    minutes = (end - time.monotonic()) / 60
    print(f"{sum(map(len, known.values()))} tests pass, {minutes:.0f} minutes are left", flush=True)
    listed = yaml.safe_load((Path(__file__).parent / "survivors.yaml").read_text(encoding="utf-8"))
    accepted = {(file, one["line"], one["change"]) for file, some in listed.items() for one in some}
    ran, lived, bad = Counter[str](), Counter[str](), 0
    # one of each group in turn: a bound that comes early leaves something of all
    for turn in zip_longest(*([(group, *one) for one in some] for group, some in drawn.items())):
        for group, mutant, tests in filter(None, turn):
            if time.monotonic() > end:
                break
            ran[group] += 1
            if (total := sum(ran.values())) % 40 == 0:
                minutes = (end - time.monotonic()) / 60
                print(f"{total} of {sum(map(len, drawn.values()))}, {minutes:.0f} minutes are left", flush=True)
            if survives(mutant, [test for name in tests for test in known[name]]):
                lived[group] += 1
                if (mutant.file, mutant.line, mutant.change) not in accepted:
                    bad += 1
                    print(f"lives: {mutant.file}:{mutant.at}\n  {mutant.line}\n  {mutant.change}", flush=True)
    for group in filter(drawn.get, drawn):
        share = 1 - lived[group] / max(ran[group], 1)
        print(f"{group}: {ran[group] - lived[group]} of {ran[group]} die ({share:.1%}), {len(drawn[group])} were drawn")
        bad += share < NEEDED
    return bool(bad)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as tempfile.tempdir:
        sys.exit(main())
