"""`advgen status`: what a run in this folder does, or what the next one would do, read from files."""

import argparse
import json
import os
import time
from collections import Counter
from pathlib import Path

from advgen.commands.verify import difference
from advgen.driver.console import counted, summary
from advgen.driver.outlook import Due, due, inputs, log_of
from advgen.driver.plan import Plan, build
from advgen.driver.runs import JobState, Past, Run, number, progress, read_all, time_left
from advgen.io.devices import leases
from advgen.jobs.progress import format_duration
from advgen.study.load import load_file
from advgen.study.yaml import DEFAULT_STUDY


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen status`."""
    parser.add_argument("study", nargs="?", type=Path, help=f"what to run next; default: the last, or {DEFAULT_STUDY}")
    parser.add_argument("--seconds", action="store_true", help="print what each rule took in the runs so far, as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print where the run of this folder stands; without one, how the last ended and what the next would do."""
    runs = list(read_all())
    now = time.time()
    if arguments.seconds:
        rules = Past(runs).rules
        print(json.dumps({rule: round(seconds, 1) for rule, seconds in sorted(rules.items())}, indent=2))
    elif runs and runs[-1].alive(now):
        print("\n".join([*running(runs[-1], Past(runs[:-1], runs[-1].facts.get("study")), now), *gpus()]))
    else:
        if runs:
            print("\n".join(last(runs[-1], Past(runs[:-1], runs[-1].facts.get("study")))))
        study = arguments.study or Path(runs[-1].facts.get("study") or DEFAULT_STUDY if runs else DEFAULT_STUDY)
        print("\n".join([*coming(build(load_file(study)), Past(runs, str(study))), *gpus()]))


def running(run_: Run, past: Past, now: float) -> list[str]:
    """Where a run stands: its jobs by state, those that run one by one."""
    facts, states = run_.facts, run_.counts
    lost = len(run_.lost())
    remaining = format_duration(time_left(run_, past, now))
    lines = [
        f"{facts['study']}, run by process {facts['process']} on {facts['host']} since {_moment(run_.begun, now)}: "
        f"{states['finished']} of {number(len(run_.jobs), 'job')} done, {remaining} left"
    ]
    width = max((len(job.title) for job in run_.jobs.values()), default=0)
    for job in run_.those("running"):
        inside = progress(job.log)[0]
        took = format_duration(now - job.since)
        lines.append(f"  running  {job.title:<{width}}  since {_moment(job.since, now)}, {took}  {inside}".rstrip())
    lines += [f"  failed   {job.title:<{width}}  {job.log}" for job in run_.those("failed")]
    lines.append(f"  waiting  {number(states['waiting'] - lost, 'job')}")
    return [*lines, f"  lost     {number(lost, 'job')} that read what failed"] if lost else lines


def last(run_: Run, past: Past) -> list[str]:
    """How the last run ended."""
    facts = run_.facts
    if not run_.ended:
        done = f"{run_.counts['finished']} of {number(len(run_.jobs), 'job')} done"
        return [f"{facts.get('study')}: the last run was killed, {done}; the same command goes on from there"]
    first, *rest = summary(run_, past)
    return [f"{facts.get('study')}, ended {_moment(run_.ended, time.time())}: {first}", *rest]


def coming(plan: Plan, past: Past) -> list[str]:
    """What the next run does and why, by cause."""
    found = list(due(plan))
    if not found:
        return [f"{plan.study}: nothing to be done, all {number(len(plan.jobs), 'job')} are made"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    makers = {path: log_of(one.job) for one in found for path in one.job.outputs.values()}
    states = {}
    for one in found:
        after = {makers[path] for path in inputs(one.job) if path in makers}
        states[log_of(one.job)] = JobState(log_of(one.job), after=tuple(after))
    left = format_duration(time_left(Run(states, {"cores": cores}), past, 0.0))
    about = f"about {left} on {number(cores, 'core')}, less what the cache holds"
    lines = [f"The next run of {plan.study} makes {len(found)} of {number(len(plan.jobs), 'job')}, {about}:"]
    lines.append(f"  {counted(one.cause for one in found)}")
    changes = Counter(_change(one) for one in found if one.spec)
    lines += [f"  {what}, in {number(count, 'job')}" for what, count in changes.most_common(5)]
    return lines


def _change(one: Due) -> str:
    return difference(json.loads(one.spec), json.loads(one.job.spec))


def gpus() -> list[str]:
    """The GPUs of this machine that jobs hold, and which."""
    return [f"  GPU {slot}: {holder}" for slot, holder in leases()]


def _moment(at: float, now: float) -> str:
    """A time of today as 14:02, another one with its day."""
    then, today = time.localtime(at), time.localtime(now)
    return time.strftime("%H:%M" if then[:3] == today[:3] else "%Y-%m-%d %H:%M", then)
