"""advgen: raw data -> models -> experiments -> figures, tables, report, CV.

snakemake --cores 8 --resources gpu=2                    the default study, config/config.yaml
snakemake --cores 8 --config study=config/smoke.yaml     another study
"""

import sys

try:
    from advgen.driver.interrupts import install_excepthook
except ModuleNotFoundError:  # deployed from a repository, for example
    sys.exit("advgen is not installed in Snakemake's environment; pip install 'advgen[lab]'")

install_excepthook()  # before the other imports, which take a second

from advgen.core import catalog, paths
from advgen.driver import hooks, snakemake_adapter
from advgen.jobs import cache

PLAN = hooks.load_plan(workflow, config)

# without exec, SIGTERM would end the job's shell and leave Python running next to its retry
shell.prefix("set -euo pipefail; exec ")


report: "workflow/report/workflow.rst"


wildcard_constraints:
    **{name: PLAN.constraint(name) for name in PLAN.wildcards()},


rule all:
    """Everything that the study makes."""
    input:
        PLAN.outputs(),
    localrule: True


rule figures:
    """All figures."""
    input:
        PLAN.outputs("draw"),
    localrule: True


rule cv:
    """The CV in all its formats."""
    input:
        PLAN.outputs("cv_data", "cv_render"),
    localrule: True


include: "workflow/rules/data.smk"
include: "workflow/rules/jobs.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/verify.smk"


onstart:
    hooks.start_run(workflow, PLAN)


onsuccess:
    hooks.finish_run(PLAN, log)


onerror:
    cache.shrink()
