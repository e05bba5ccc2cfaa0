"""Check that the arms of a comparison can be compared, and that they differ only in what it names."""

from collections.abc import Iterable, Iterator

from advgen.core.definitions import Mistake, Study
from advgen.experiments.comparisons.definitions import (
    AccuracyComparison,
    ComparisonDefinition,
    InpaintingComparison,
    LinearityComparison,
)
from advgen.experiments.comparisons.facts import Difference, compare_arms

MIN_RUNS, MIN_COSTLY_RUNS = 5, 3
"""Runs of each arm, in general and if a run takes a minute or more."""
Path = tuple[str, ...]
KeysByArm = dict[str, tuple[str, ...]]


def check_comparison(path: Path, comparison: ComparisonDefinition, study: Study) -> Iterator[Mistake]:
    """Yield what is wrong with a comparison."""
    if comparison.baseline not in comparison.arms:
        known = ", ".join(comparison.arms)
        yield (*path, "baseline"), f" = {comparison.baseline!r}: is none of the arms ({known})"
        return
    if isinstance(comparison, InpaintingComparison):
        inpainting = study.inpaintings[comparison.inpainting]
        yield from _check_names(path, "mask", {comparison.mask}, inpainting.masks, comparison.inpainting)
        methods = {*comparison.arms.values()}
        yield from _check_names(path, "arms", methods, inpainting.methods, comparison.inpainting)
    if isinstance(comparison, LinearityComparison):
        names = {name for names in comparison.arms.values() for name in names}
        sources = study.linearities[comparison.linearity].sources
        yield from _check_names(path, "arms", names, sources, comparison.linearity)
    if isinstance(comparison, AccuracyComparison) and comparison.is_single_step(study):
        message = "is a single-step attack, to which a model can overfit; use an ensemble"
        yield (*path, "attack"), f" = {comparison.attack!r}: {message}"
    runs = {arm: len(comparison.runs(study, arm)) for arm in comparison.arms}
    minimum = MIN_COSTLY_RUNS if comparison.costly else MIN_RUNS
    arm = min(runs, key=lambda name: runs[name])
    if runs[arm] < minimum:
        message = f": {arm!r} has {runs[arm]} runs; an interval over seeds needs {minimum}"
        if runs[arm] >= MIN_COSTLY_RUNS:
            message += f", or {MIN_COSTLY_RUNS} with `costly: true`, for runs that take a minute or more"
        yield (*path, "arms"), f"{message}: give its definitions more `seeds:`"
    elif len(set(runs.values())) > 1:
        counts = ", ".join(f"{arm!r} {count}" for arm, count in runs.items())
        yield (*path, "arms"), f": the arms have different numbers of runs ({counts}); give them the same seeds"
    else:
        yield from _check_equal(path, comparison, study)


def _check_names(path: Path, key: str, names: Iterable[str], known: tuple[str, ...], of: str) -> Iterator[Mistake]:
    """Yield names that are not part of the experiment `of`."""
    for name in sorted({*names} - {*known}):
        yield (*path, key), f": {name!r} is not part of {of!r} ({', '.join(known)}); add it there"


def _check_equal(path: Path, comparison: ComparisonDefinition, study: Study) -> Iterator[Mistake]:
    """Yield the first difference that is not named, or names of keys in which the arms do not differ."""
    differences = find_differences(comparison, study)
    names = (*comparison.differs, *comparison.besides)
    for difference in differences:
        if not any(difference.is_covered_by(name) for name in names):
            values = " and ".join("nothing" if value is None else str(value) for value in difference.values)
            message = f": {difference.arm!r} and {difference.other!r} also differ in {difference.key!r} ({values}); "
            message += "make it equal, or name it in `differs`, or in `besides` if it is a confound"
            yield (*path, "arms"), message
            return
    for key in ("differs", "besides"):
        for name in getattr(comparison, key):
            if not any(difference.is_covered_by(name) for difference in differences):
                known = ", ".join(sorted({difference.key for difference in differences})) or "nothing"
                yield (*path, key), f": the arms do not differ in {name!r} (but in {known}); remove it"


def find_differences(comparison: ComparisonDefinition, study: Study) -> list[Difference]:
    """Return all differences between any two arms."""
    runs = {arm: comparison.runs(study, arm) for arm in comparison.arms}
    return list(compare_arms(runs, comparison.baseline))


def list_differences(comparison: ComparisonDefinition, study: Study) -> tuple[KeysByArm, KeysByArm]:
    """Return the names of `differs` and of `besides` in which each arm differs from the baseline.

    A difference counts for the first name that covers it, so it is no confound if that name is in `differs`.
    """
    found = {arm: set[str]() for arm in comparison.arms}
    names = (*comparison.differs, *comparison.besides)
    for difference in find_differences(comparison, study):
        if difference.other == comparison.baseline:
            found[difference.arm].add(next(name for name in names if difference.is_covered_by(name)))
    differs, besides = (
        {arm: tuple(name for name in keys if name in found[arm]) for arm in found}
        for keys in (comparison.differs, comparison.besides)
    )
    return differs, besides
