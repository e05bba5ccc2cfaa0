"""What the Snakefile calls: load the plan, then one function at the start and one at the end of a run."""

import atexit
import gc
import os
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from advgen.core.code import save_digest_cache
from advgen.core.errors import ConfigError
from advgen.core.paths import RESULTS
from advgen.driver import snakemake_adapter, workers
from advgen.driver.locking import exit_now, lock_results
from advgen.driver.plan import Plan, build
from advgen.driver.recovery import mark_unverified
from advgen.io.devices import slots
from advgen.jobs import cache
from advgen.study.load import load_study


def load_plan(workflow: Any, config: dict[str, Any]) -> Plan:
    """Plan the study that `config` names; exit with a message if the study or Snakemake's options are not valid."""
    # Snakemake's objects live until it ends: collecting garbage among them took a sixth of a dry run
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    use_this_python()
    check_result_paths(workflow)
    try:
        plan = build(load_study(config, workflow.configfiles))
    except ConfigError as error:
        sys.exit(str(error))
    if snakemake_adapter.is_driver(workflow):
        mark_unverified(plan)
        atexit.register(save_digest_cache)  # after a dry run, too
    return plan


def start_run(workflow: Any, plan: Plan) -> None:
    """Lock results/, start the warm server, and announce the jobs. Runs in the driver only, before the first job."""
    check_python_path(workflow)
    lock_results()
    limit_gpus(workflow)
    save_digest_cache()
    facts = snakemake_adapter.describe_run(workflow, plan.study)
    if snakemake_adapter.runs_locally(workflow):
        workers.start(len(facts["jobs"]))
    snakemake_adapter.patch_scheduler(workflow)
    snakemake_adapter.log_plan(facts)


def finish_run(plan: Plan, logs: Iterable[str]) -> None:
    """Shrink the cache, and say where the results of a successful run are. `logs` are Snakemake's."""
    cache.shrink()
    snakemake_adapter.log_farewell(plan.describe_results(logs))


def use_this_python() -> None:
    """Put the Python that runs Snakemake first on PATH for jobs: `.venv/bin/snakemake` works without activation."""
    folder, path = str(Path(sys.executable).parent), os.environ.get("PATH", "")
    if folder not in path.split(os.pathsep):
        os.environ["PATH"] = f"{folder}{os.pathsep}{path}"


def check_result_paths(workflow: Any) -> None:
    """Exit with a message if Snakemake would write results anywhere else than below results/.

    Jobs read stamps, saved states and package files by their paths, so `advgen verify` would silently check nothing.
    """
    folder = f"{RESULTS}{os.sep}"
    if provider := snakemake_adapter.storage_provider(workflow):
        sys.exit(
            f"--default-storage-provider {provider} is not supported: jobs need {folder} on a shared disk; remove the "
            f"option, and copy {folder} after the run"
        )
    if snakemake_adapter.modifies_path(workflow, f"{RESULTS}/report"):
        sys.exit(
            f"module advgen: prefix and replace_prefix are not supported: results are always written to {folder}; "
            "remove them, and run the workflow in another folder with a copy of the study's files: "
            "snakemake --directory FOLDER"
        )


def check_python_path(workflow: Any) -> None:
    """Exit with a message if cluster jobs cannot call this Python because its path contains spaces or shell characters.

    Snakemake writes the path unquoted into job scripts, so every job would fail and be retried.
    """
    if snakemake_adapter.runs_locally(workflow) or not re.search(r"""[\s'"\\$&;|<>()*?!`\[\]{}]""", sys.executable):
        return
    link = f"ln -s {shlex.quote(str(Path(sys.executable).parents[1]))} ~/advgen-env"
    exit_now(
        f"{sys.executable}: job scripts cannot call a Python whose path contains spaces or shell characters; link it "
        f"to another path: {link}, then ~/advgen-env/bin/python -m snakemake …"
    )


def limit_gpus(workflow: Any) -> None:
    """Hide GPUs from jobs with `--resources gpu=0`; warn if `--resources gpu=N` exceeds the slots of this machine."""
    limit = snakemake_adapter.gpu_limit(workflow)
    if limit is None or not snakemake_adapter.runs_locally(workflow):
        return
    if limit == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if 0 < (present := len(slots())) < limit:
        print(
            f"--resources gpu={limit}, but this machine has {present}: "
            f"further jobs wait for a free GPU; use --resources gpu={present}",
            file=sys.stderr,
        )
