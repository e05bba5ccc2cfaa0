"""The spine study on a real SLURM, undisturbed and with faults: it completes, with the tables of the local run."""

import re
import shlex
import signal
import sys
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import yaml

from advgen.core.catalog import RULES
from advgen.driver.plan import build
from advgen.study.load import load_file
from tests.interruption import STUDY, digests
from tests.project import ROOT, Project
from tests.slurm.cluster import Cluster, wait_for
from tests.slurm.conftest import Site

SameTables = Callable[[Project], None]


def test_study_runs_on_distinct_devices(site: Site, same_tables: SameTables) -> None:
    driver = site.start()
    devices: dict[str, str] = {}
    while driver.process.poll() is None:
        for process in site.cluster.processes():
            if process.job and process.command[1:3] == ["-m", "advgen"]:
                devices[process.job] = process.environment.get("CUDA_VISIBLE_DEVICES", "none")
        time.sleep(0.5)
    driver.finish()
    same_tables(site.project)

    seen = {job: one for job, one in site.cluster.seen.items() if job not in site.before}
    rules = sorted(re.sub("_wildcards.*", "", one.comment) for one in seen.values())
    local = {task.rule for task in RULES.values() if task.local}
    assert {"fetch", "make_dataset", "verify"} <= local
    jobs = build(load_file(ROOT / STUDY)).jobs
    assert rules == sorted(f"rule_{job.rule}" for job in jobs if job.rule not in local)
    assert all(one.states[-1] == "COMPLETED" and len(one.places) == 1 for one in seen.values())
    places = {job: next(iter(one.places)) for job, one in seen.items()}
    assert {node for node, _ in places.values()} <= {"node1", "node2"}
    # SLURM's record and what the processes saw
    assert devices == {job: index for job, (_, index) in places.items()}
    together = [pair for pair in combinations(seen, 2) if frozenset(pair) in site.cluster.together]
    assert together
    assert all(places[one] != places[other] for one, other in together)

    completed = (site.cluster.state / "log" / "jobs.txt").read_text().splitlines()
    mine = [line for line in completed if f"WorkDir={site.project.folder} " in line]
    assert len(mine) == len(seen)
    assert all(" Name=advgen_" in line and " JobState=COMPLETED " in line for line in mine)

    again = site.start("--dry-run")
    again.finish()
    assert "Nothing to be done" in again.output.read_text()


def test_scancel(half_done: Site, same_tables: SameTables) -> None:
    driver = half_done.start()
    job = half_done.training_in_full_swing().job
    half_done.cluster.run("scancel", job)
    driver.finish()
    first, second = half_done.jobs("train_classifier")
    assert first == job and half_done.cluster.seen[first].states[-1] == "CANCELLED"
    assert "stopped by SIGTERM, state saved" in log_of_training(half_done, first)
    assert "continues from a saved state" in half_done.said(second)
    # SLURM does not tell why a job failed: the next turn asks for more memory, in case that was it
    assert [half_done.cluster.seen[one].memory for one in (first, second)] == ["8000M", "16000M"]
    same_tables(half_done.project)


def test_node_down(half_done: Site, same_tables: SameTables) -> None:
    driver = half_done.start()
    job = half_done.training_in_full_swing().job
    [(node, _)] = half_done.cluster.seen[job].places
    try:
        half_done.cluster.node_down(node)
        driver.finish()
    finally:
        half_done.cluster.node_up(node)
    first, second = half_done.jobs("train_classifier")
    assert first == job and half_done.cluster.seen[first].states[-1] == "NODE_FAIL"
    assert {place for place, _ in half_done.cluster.seen[second].places} == {"node1", "node2"} - {node}
    assert "continues from a saved state" in half_done.said(second)
    same_tables(half_done.project)
    wait_for("the node to come back", lambda: half_done.cluster.nodes()[node] == "idle")


def test_array_jobs(half_done: Site, local: Project) -> None:
    more = "".join(f"  fgsm-{number}: {{kind: fgsm, eps: 0.{number}}}\n" for number in range(1, 5))
    half_done.project.edit(STUDY, "attacks:\n", f"attacks:\n{more}")
    half_done.project.edit(STUDY, "attacks: [pgd]", "attacks: [pgd, fgsm-1, fgsm-2, fgsm-3, fgsm-4]")
    half_done.start("--slurm-array-jobs", "craft,transfer").finish()
    arrays = {rule: half_done.jobs(rule) for rule in ("craft", "transfer")}
    seen = half_done.cluster.seen
    assert all(len({seen[job].array for job in jobs}) < len(jobs) for jobs in arrays.values())
    assert all(seen[job].states[-1] == "COMPLETED" for jobs in arrays.values() for job in jobs)
    assert half_done.project.advgen("verify", STUDY).returncode == 0
    here, there = digests(half_done.project), digests(local)
    same = [path for path in there if here[path] == there[path]]
    assert "classifiers/cnn/seed0/classifier.safetensors" in same


def test_short_jobs_in_one_allocation(half_done: Site, same_tables: SameTables) -> None:
    """As docs/cluster.md says: a driver inside a job runs all of the rest there, forked from its own server."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--resources", "gpu=1", "--config", f"study={STUDY}"]
    options = ["--wait", "--gpus=1", "--cpus-per-task=2", "--mem=8000", "--signal=B:TERM@120", "--output=driver.log"]
    done = half_done.project.run("sbatch", *options, "--wrap", f"exec {shlex.join(command)}")
    assert done.returncode == 0, done.stderr + (half_done.project.folder / "driver.log").read_text()[-3000:]
    same_tables(half_done.project)
    served = (half_done.project.folder / "results/logs/workers.log").read_text().split()
    assert {"evaluate-classifiers", "transfer", "summarise"} <= set(served)  # the first ones come before it is up


def test_time_limit(half_done: Site, same_tables: SameTables) -> None:
    driver = half_done.start()
    job = half_done.training_in_full_swing().job
    # the profile's --signal=TERM@120 is due at once; SLURM wakes a stopped process to receive it
    half_done.cluster.run("scontrol", "update", f"jobid={job}", "timelimit=2")
    driver.finish()
    first, second = half_done.jobs("train_classifier")
    assert first == job
    # ended by itself, not by the limit (TIMEOUT)
    assert half_done.cluster.seen[first].states[-1] == "FAILED"
    assert "stopped by SIGTERM, state saved" in log_of_training(half_done, first)
    assert "continues from a saved state" in half_done.said(second)
    same_tables(half_done.project)


def test_preemption(half_done: Site, same_tables: SameTables) -> None:
    profile = "profiles/slurm/config.v8+.yaml"
    half_done.project.edit(profile, "slurm_partition: gpu ", "slurm_partition: spare ")
    half_done.project.edit(profile, "slurm-no-requeue: true ", "slurm-requeue: true ")
    driver = half_done.start()
    job = half_done.training_in_full_swing().job
    [(node, _)] = half_done.cluster.seen[job].places
    half_done.cluster.run(
        *("sbatch", "--partition=gpu", "--exclusive", f"--nodelist={node}", "--output=/dev/null", "--wrap=sleep 5")
    )
    driver.finish()
    assert half_done.jobs("train_classifier") == [job]
    states = half_done.cluster.seen[job].states
    assert states.count("RUNNING") == 2 and states[-1] == "COMPLETED"
    assert "continues from a saved state" in half_done.said(job)
    same_tables(half_done.project)


def test_driver_killed_and_recovered_as_documented(half_done: Site, same_tables: SameTables) -> None:
    driver = half_done.start()
    job = half_done.training_in_full_swing().job
    driver.kill()
    page = (ROOT / "docs/cluster.md").read_text()
    [block] = re.findall(r"## When the driver died\n.*?```\n(.*?)```", page, flags=re.DOTALL)
    find, cancel, again = block.strip().splitlines()
    assert half_done.project.run("bash", "-c", find).stdout.split()[0] == job
    assert half_done.project.run("bash", "-c", cancel).returncode == 0
    assert again.startswith("snakemake --workflow-profile profiles/slurm")
    half_done.start().finish()
    first, second = half_done.jobs("train_classifier")
    assert half_done.cluster.seen[first].states[-1] == "CANCELLED"
    assert "continues from a saved state" in half_done.said(second)
    same_tables(half_done.project)


def test_original_overlaps_its_rerun(half_done: Site, same_tables: SameTables) -> None:
    first_driver = half_done.start()
    original = half_done.training_in_full_swing()
    first_driver.kill()
    # where locks end at the node (some Lustre and NFS mounts), the rerun does not wait for the original
    for lock in (half_done.project.folder / "results" / "state").glob("*.lock"):
        lock.unlink()
    driver = half_done.start()
    rerun = wait_for("the rerun", lambda: [job for job in half_done.jobs("train_classifier") if job != original.job])[0]
    state = half_done.cluster.seen[rerun].states
    wait_for("the rerun to end", lambda: state[-1] not in ("PENDING", "RUNNING"))
    # writes the very files that jobs after the rerun are reading by now
    original.send(signal.SIGCONT)
    driver.finish()
    assert frozenset({original.job, rerun}) in half_done.cluster.together
    ended = half_done.cluster.seen[original.job].states
    wait_for("the original to end", lambda: ended[-1] == "COMPLETED")
    same_tables(half_done.project)
    again = half_done.start("--dry-run")
    again.finish()
    assert "Nothing to be done" in again.output.read_text()
    assert half_done.project.advgen("verify", STUDY).returncode == 0


def log_of_training(site: Site, job: str) -> str:
    """What a job of the CNN's training wrote to stderr: its retry has replaced the rule's log, the driver shows it."""
    return (site.project.folder / "driver.log").read_text() + site.said(job)


def test_an_environment_whose_path_has_a_space_is_refused_before_anything_is_submitted(
    half_done: Site, tmp_path: Path
) -> None:
    """The project's own folder has one, too: that is quoted."""
    environment = tmp_path / "my environment"
    environment.symlink_to(sys.prefix)
    driver = half_done.start(python=str(environment / "bin" / "python"))
    assert driver.process.wait(120) == 1
    said = driver.output.read_text()
    assert f"{environment}/bin/python: job scripts cannot call a Python whose path contains spaces" in said
    assert "Traceback" not in said
    assert half_done.jobs("train_classifier") == []


def test_profile_repeats_the_default_profile() -> None:
    default = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    slurm = yaml.safe_load((ROOT / "profiles/slurm/config.v8+.yaml").read_text())
    assert {key: slurm.get(key) for key in default if key != "cores"} == {
        key: value for key, value in default.items() if key != "cores"
    }


def test_a_stopped_cluster_leaves_nothing(cluster: Cluster) -> None:
    other = Cluster()
    try:
        other.start()
        job = other.run("sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 1000").strip()
        wait_for("the job", lambda: [one for one in other.processes() if one.job == job and "sleep" in one.command])
        processes = other.processes()
        assert len(processes) > 6
    finally:
        other.stop()
    assert not [one for one in processes if one.alive]
    assert not other.state.exists()
    assert not Path("/etc/slurm/slurm.conf").exists()
    assert set(cluster.nodes().values()) <= {"idle", "mixed"}
