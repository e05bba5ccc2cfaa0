"""Every function and class of the package is in the digest of a job, or listed here with a reason."""

import ast
from functools import cache

import pytest
from tests.project import ROOT

from advgen import registry
from advgen.core import catalog
from advgen.core.code import (
    EXCLUDED_LISTS,
    IMPORT_EFFECTS,
    Symbol,
    module_of_file,
    package_folder,
    reachable_symbols,
    read_source,
)
from advgen.driver.plan import build
from advgen.specs.datasets import RawDataset
from advgen.study.load import load_file

STUDIES = ("config/config.yaml", "config/evening.yaml", "config/smoke.yaml", "tests/gpu/every.yaml")
COMPARED = "verify"
"""The job that compares all artefacts with the plan. Its digest holds the planning code, whose effect is in specs."""

OUTSIDE: dict[str, tuple[str, ...]] = {
    "a person calls it, and it writes no artefact of a study": (
        "advgen",
        "advgen.api",
        "advgen.commands",
        "advgen.contracts",
        "advgen.cv.diff",
        "advgen.cv.refresh",
        "advgen.cv.live_values:find_live_values",
        "advgen.cv.foreign:Reader",
        "advgen.cv.scan",
        "advgen.cv.themes:list_files",
        "advgen.core.deprecated",
        "advgen.core.options",
        "advgen.files.user_files:is_checkpoint",
        "advgen.io.tables:decode_images",
        "advgen.metrics.chance:why_insufficient",
        "advgen.metrics.distribution:frechet_null",
        "advgen.outcomes.figures.outcome:caption_file",
    ),
    "reads the schemas of tables: the digest of a job holds the columns that it writes": ("advgen.core.schema",),
    "reads, checks and plans a study: what it decides is in the spec and the inputs of a job": (
        "advgen.study",
        "advgen.presets",
        "advgen.core.definitions",
        "advgen.core.errors",
        "advgen.core.kinds",
        "advgen.core.paths",
        "advgen.core.catalog:STUDY_KINDS",
        "advgen.core.catalog:FIGURES",
        "advgen.core.catalog:RESERVED_NAMES",
        "advgen.core.catalog:RULES",
        "advgen.core.catalog:SUMMARIES",
        "advgen.registry:AnyFigure",
        "advgen.files.user_files:clear_cache",
        "advgen.files.user_files:print_notes_once",
        "advgen.experiments.attacks.experiment:check_single_steps",
        "advgen.experiments.classifiers.experiment:FileClassifier",
        "advgen.experiments.classifiers.experiment:_check_file",
        "advgen.experiments.classifiers.experiment:_with_kind",
        "advgen.experiments.classifiers.experiment:find_origin",
        "advgen.experiments.comparisons.checks",
        "advgen.experiments.comparisons.facts:Difference",
        "advgen.experiments.comparisons.facts:compare_arms",
        "advgen.experiments.probes.experiment:_has_part",
        "advgen.outcomes.cv.outcome",
        "advgen.outcomes.report.outcome:collect_definitions",
    ),
    "schedules jobs and runs them, and computes nothing": (
        "advgen.cli",
        "advgen.driver",
        "advgen.server",
        "advgen.io.jobs",
        "advgen.io.benchmarks",
        "advgen.io.devices:leases",
        "advgen.io.devices:use_one_thread",
        "advgen.jobs.progress:ParsedProgress",
        "advgen.jobs.progress:parse_duration",
        "advgen.jobs.progress:parse_progress",
        "advgen.jobs.run:check_loaded_code",
        "advgen.jobs.run:run_task",
        "advgen.jobs.run:sole_writer",
    ),
    "keeps results: tests/integration/test_cache.py compares their bytes with those of a run": (
        "advgen.jobs.cache",
        "advgen.io.headers:_join",
        "advgen.io.headers:restamp",
        "advgen.io.stamps:relabel",
        "advgen.io.tables:relabel_table",
    ),
    "checks artefacts, and the job that calls it follows every change": (
        "advgen.io.checkpoints:check_weights",
        "advgen.io.headers:check_header",
        "advgen.io.stamps:_check_seal",
        "advgen.io.stamps:check_content",
        "advgen.io.tables:check_table",
        "advgen.outcomes.verify.outcome:Verify",
    ),
    "reads the code and compares it with the plan": ("advgen.core.code",),
    "plug-ins call it: the target that it registers is in the digest of a job that uses it": (
        "advgen.registry:register",
    ),
    "is a type variable": ("advgen.core.catalog:T",),
}
"""Packages, modules and single names, by the reason why they need no digest."""
WHOLE = ("advgen.registry", "advgen.core.catalog")
"""Modules whose constants count like functions, since they decide which code a name refers to."""


@pytest.fixture(scope="module")
def held() -> frozenset[Symbol]:
    """Return all symbols in the digests of jobs of large studies and of jobs with every registered kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        jobs = [job for study in STUDIES for job in build(load_file(ROOT / study)).jobs]
    targets = {target for job in jobs if job.rule != COMPARED for target in job.task.code_targets()}
    for family in [*registry.FAMILIES.values(), registry.FROM_FILES]:
        for spec, target in family.items():
            if not spec.__module__.startswith("advgen."):  # registered by another test
                continue
            targets |= {target, f"{spec.__module__}:{spec.__qualname__}"}
            targets |= {spec.reader, spec.intact} if issubclass(spec, RawDataset) else set()
    return reachable_symbols(*sorted(targets))


@cache
def find_functions() -> set[Symbol]:
    """Return every top-level function and class, and all names of `WHOLE` except the lists of entries."""
    found = set[Symbol]()
    for path in package_folder().rglob("*.py"):
        module = module_of_file(path)
        assert module is not None
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        found |= {(module, one.name) for one in ast.parse(path.read_bytes()).body if isinstance(one, kinds)}
    names = {(module, name) for module in WHOLE for name in read_source(module).definitions if name != IMPORT_EFFECTS}
    return found | (names - EXCLUDED_LISTS)


def find_planning_classes() -> set[Symbol]:
    """Return the classes of kinds and definitions: they plan jobs, and the spec of a job has what they decide."""
    kinds = [(type(kind), kind.definition) for kind in catalog.KINDS]
    return {(cls.__module__, cls.__qualname__) for pair in kinds for cls in pair if isinstance(cls, type)}


def is_listed(symbol: Symbol, entry: str) -> bool:
    """Return whether an entry of `OUTSIDE` is a function, its module, or a package of the module."""
    module, name = symbol
    if ":" in entry or entry == "advgen":
        return entry in (f"{module}:{name}", module)
    return f"{module}.".startswith(f"{entry}.")


def find_unlisted(held: frozenset[Symbol]) -> list[str]:
    """Return the functions that are in no digest and in no list."""
    entries = [entry for some in OUTSIDE.values() for entry in some]
    missing = find_functions() - find_planning_classes() - held
    return sorted(":".join(one) for one in missing if not any(is_listed(one, entry) for entry in entries))


def test_every_function_is_in_the_digest_of_a_job_or_listed_with_a_reason(held: frozenset[Symbol]) -> None:
    assert find_unlisted(held) == [], (
        "name it in the `code_targets()` of the task that calls it, or list it with a reason"
    )


@pytest.mark.parametrize(
    "symbol",
    [("advgen.models.layers", "count_parameters"), ("advgen.registry", "resolve"), ("advgen.core.catalog", "_index")],
)
def test_a_function_in_no_digest_is_found(held: frozenset[Symbol], symbol: Symbol) -> None:
    assert symbol in held
    assert find_unlisted(held - {symbol}) == [":".join(symbol)]


def test_everything_listed_exists_and_is_in_no_digest(held: frozenset[Symbol]) -> None:
    outside = find_functions() - held
    for entry in (entry for some in OUTSIDE.values() for entry in some):
        assert any(is_listed(symbol, entry) for symbol in outside), f"{entry}: is in digests, or is gone; unlist it"
