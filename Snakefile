"""advgen: raw data -> models -> experiments -> figures, tables, report, CV.

snakemake --cores 8 --resources gpu=2                    the default study, config/config.yaml
snakemake --cores 8 --config study=config/smoke.yaml     another study
"""

import atexit
import gc
import sys
import threading

# what Snakemake makes lives to its end: looking through it for garbage again and again took a sixth of a dry run
gc.freeze()
gc.set_threshold(100_000, 20, 100)

try:
    from advgen.driver.interrupts import print_interruption
except ModuleNotFoundError:  # deployed from a repository, say
    sys.exit("advgen: is not installed beside Snakemake, as its jobs want it; pip install 'advgen[lab]'")

sys.excepthook = print_interruption  # Ctrl-C while the study is read, too

from advgen.core import catalog, paths
from advgen.core.errors import ConfigError
from advgen.core.code import save_digest_cache
from advgen.driver.locking import lock_results, refuse_other_places
from advgen.driver.plan import build
from advgen.driver.recovery import doubt
from advgen.driver.runs import announce
from advgen.driver.workers import start
from advgen.jobs.cache import shrink
from advgen.io.devices import limit_gpus, refuse_unquoted_python, use_this_python
from advgen.study.load import load_study

use_this_python()
refuse_other_places(workflow)
try:
    PLAN = build(load_study(config, workflow.configfiles))
except ConfigError as error:
    sys.exit(str(error))

if workflow.is_main_process:
    doubt(PLAN)
    atexit.register(save_digest_cache)  # after a dry run, too

# without exec, SIGTERM ends the job's shell and leaves Python running beside its retry
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
    refuse_unquoted_python(workflow)
    lock_results()
    limit_gpus(workflow)
    save_digest_cache()
    if workflow.local_exec:
        start(len(list(workflow.dag.needrun_jobs())))
    # Snakemake 9.27 looks for ready jobs again a second after every look, each job that ends adds another such chain,
    # and with hundreds of jobs it does nothing else; the limit of jobs a second is what starts them
    workflow.scheduler.job_rate_limiter = None
    # its SIGTERM handler takes a lock which the thread that it interrupts may hold
    workflow.scheduler._lock = threading.RLock()
    announce(workflow, PLAN.study)


onsuccess:
    shrink()
    logger.info(PLAN.farewell(log), extra={"farewell": True})


onerror:
    shrink()
