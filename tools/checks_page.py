"""The page docs/checks.md: all sanity checks, what each protects from, its source, and what a failure does."""

from advgen.metrics.sanity.table import BASELINE, CHECKS, INVARIANT, STATISTICAL, STORED
from tools.plan_pages import WRITTEN

GROUPS = {
    STORED: (
        "Stored images",
        "Checked for each file of examples, pixel by pixel. No option turns them off.",
    ),
    INVARIANT: (
        "Invariants",
        "They hold for every correct run, whatever the classifiers are.",
    ),
    STATISTICAL: (
        "Attacks, classifiers and generative models",
        "A 99.9 % interval decides, unless the statement holds exactly. For classifiers with "
        "`obfuscated_gradients: true`, a failure is only a warning. An attack that is too weak is only a warning, too, "
        "if the worst case over all attacks with its budget is strong enough.",
    ),
    BASELINE: (
        "Trivial baselines",
        "What is trained or optimised must beat what is not. A baseline that is not beaten is a finding, so these "
        "checks only warn.",
    ),
}
INTRODUCTION = """
Each study ends with these checks. Their results are in `results/tables/sanity_checks.parquet` and on the report page. A
failed check makes the run fail in its last step, when all figures and the report exist. A warning never does.
`advgen.evaluate` runs the checks of examples on a single model.

The name of a check identifies its rows in stored results, so names do not change. In names, `right` means correctly
classified, `net` means classifier, and `attacks meet` means that attacks are run on.
"""


def checks_page() -> str:
    """Return docs/checks.md."""
    lines = ["# Sanity checks", "", WRITTEN, INTRODUCTION]
    for group, (title, introduction) in GROUPS.items():
        lines += [
            f"## {title}",
            "",
            introduction,
            "",
            "| check | protects from | if it does not hold | source | code |",
        ]
        lines.append("|---|---|---|---|---|")
        for check in CHECKS:
            if check.group == group:
                module = check.function.__module__.rpartition(".")[2]
                cells = (f"`{check.name}`", check.protects_from, check.on_failure, check.source)
                lines.append(f"| {' | '.join(cells)} | `{module}.{check.function.__name__}` |")
        lines.append("")
    lines.append(
        "The code is in `src/advgen/metrics/sanity/`, the table in `table.py`. Sources are keys of `references.bib`."
    )
    return "\n".join(lines) + "\n"
