"""`advgen status`: the state of the current or last run, and what the next one would do; reads files only."""

import argparse
import json
import os
import time
from collections import Counter
from pathlib import Path

from advgen.commands.verify import find_difference
from advgen.driver.console import count_words, plural, summarise
from advgen.driver.estimates import History, estimate_remaining
from advgen.driver.pending import find_pending, input_files, log_path
from advgen.driver.plan import Plan, build
from advgen.driver.run_records import JobState, Run, read_progress, read_records
from advgen.io.devices import leases
from advgen.jobs.progress import format_duration
from advgen.study.load import load_file
from advgen.study.yaml import DEFAULT_STUDY


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `advgen status`."""
    study = f"study of the next run; default: that of the last run, or {DEFAULT_STUDY}"
    parser.add_argument("study", nargs="?", type=Path, help=study)
    parser.add_argument("--seconds", action="store_true", help="print the median seconds of each rule as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print the state of the run in this folder; without one, how the last ended and what the next would do."""
    runs, now = list(read_records()), time.time()
    if arguments.seconds:
        rules = History(runs).rules
        print(json.dumps({rule: round(seconds, 1) for rule, seconds in sorted(rules.items())}, indent=2))
        return
    study = arguments.study or Path(DEFAULT_STUDY)
    if runs:
        *earlier, latest = runs
        history = History(earlier, latest.facts.get("study"))
        if latest.is_alive(now):
            print("\n".join([*describe_running(latest, history, now), *describe_gpus()]))
            return
        print("\n".join(describe_last(latest, history)))
        study = arguments.study or Path(latest.facts.get("study") or DEFAULT_STUDY)
    print("\n".join([*describe_next(build(load_file(study)), History(runs, str(study))), *describe_gpus()]))


def describe_running(run_: Run, history: History, now: float) -> list[str]:
    """Describe a running run: its jobs by state, and each running or failed job."""
    facts, counts, blocked = run_.facts, run_.counts, len(run_.find_blocked())
    where = f"process {facts['process']} on {facts['host']} since {_format_time(run_.begun, now)}"
    done = f"{counts['finished']} of {plural(len(run_.jobs), 'job')} done"
    remaining = format_duration(estimate_remaining(run_, history, now))
    lines = [f"{facts['study']}, run by {where}: {done}, {remaining} left"]
    width = max((len(job.title) for job in run_.jobs.values()), default=0)
    for job in run_.jobs_in("running"):
        elapsed, progress = format_duration(now - job.started), read_progress(job.log).text
        started = _format_time(job.started, now)
        lines.append(f"  running  {job.title:<{width}}  since {started}, {elapsed}  {progress}".rstrip())
    lines += [f"  failed   {job.title:<{width}}  {job.log}" for job in run_.jobs_in("failed")]
    lines.append(f"  waiting  {plural(counts['waiting'] - blocked, 'job')}")
    return [*lines, f"  blocked  {plural(blocked, 'job')} because an input failed"] if blocked else lines


def describe_last(run_: Run, history: History) -> list[str]:
    """Describe how the last run ended."""
    study = run_.facts.get("study")
    if not run_.ended:
        done = f"{run_.counts['finished']} of {plural(len(run_.jobs), 'job')} done"
        return [f"{study}: the last run was killed, {done}; run the same command again to continue"]
    first, *rest = summarise(run_, history)
    return [f"{study}, ended {_format_time(run_.ended, time.time())}: {first}", *rest]


def describe_next(plan: Plan, history: History) -> list[str]:
    """Describe what the next run does, with the number of jobs by cause and the most frequent changes of settings."""
    pending, total = list(find_pending(plan)), plural(len(plan.jobs), "job")
    if not pending:
        return [f"{plan.study}: nothing to do, all {total} are up to date"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    makers = {path: log_path(one.job) for one in pending for path in one.job.outputs.values()}
    states = {}
    for one in pending:
        after = {makers[path] for path in input_files(one.job) if path in makers}
        states[log_path(one.job)] = JobState(log_path(one.job), after=tuple(after))
    remaining = format_duration(estimate_remaining(Run(states, {"cores": cores}), history, 0.0))
    about = f"about {remaining} on {plural(cores, 'core')}, or less if results are cached"
    changes = Counter(
        find_difference(json.loads(one.old_spec), json.loads(one.job.spec)) for one in pending if one.old_spec
    )
    return [
        f"The next run of {plan.study} has {len(pending)} of {total} to do, {about}:",
        f"  {count_words(one.cause for one in pending)}",
        *(f"  {change}, in {plural(count, 'job')}" for change, count in changes.most_common(5)),
    ]


def describe_gpus() -> list[str]:
    """Describe which jobs hold the GPUs of this machine."""
    return [f"  GPU {slot}: {holder}" for slot, holder in leases()]


def _format_time(at: float, now: float) -> str:
    """Format a time of today as 14:02, any other with its date."""
    then, today = time.localtime(at), time.localtime(now)
    return time.strftime("%H:%M" if then[:3] == today[:3] else "%Y-%m-%d %H:%M", then)
